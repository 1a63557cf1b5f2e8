"""Random programs that note every step they take, to be run by two event loops."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Program"]

_TICK = 0.01
"""Seconds of which the durations in programs are multiples."""
_LONGEST = 6
_DEPTH = 3


class Program:
    """A program made of random numbers; `main` runs it once, and `log` has each step, who took it, and when.

    Args:
        seed: What it is made of.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.is_eager = sys.version_info >= (3, 12) and self._random.random() < 0.2
        self._script = self._block(0)
        self.log: list[tuple[Any, ...]] = []
        self._count = 0

    def __repr__(self) -> str:
        return f"<Program {'eager ' if self.is_eager else ''}{self._script}>"

    # Making ----------------------------------------------------------------------------------------------------------

    def _block(self, depth: int) -> list[tuple[Any, ...]]:
        return [self._step(depth) for _ in range(self._random.randrange(2 if depth else 3, 7 - depth))]

    def _step(self, depth: int) -> tuple[Any, ...]:
        names = list(_STEPS)
        name = self._random.choice(names if depth < _DEPTH else [each for each in names if not each.startswith("x_")])
        numbers = [self._random.randrange(_LONGEST) for _ in range(2)]
        blocks = [self._block(depth + 1) for _ in range(self._random.randrange(1, 4))] if name.startswith("x_") else []
        return name, numbers, blocks

    # Running ---------------------------------------------------------------------------------------------------------

    async def main(self) -> None:
        """Run it."""
        self.log.clear()
        self._count = 0
        self.locks = [asyncio.Lock(), asyncio.Lock()]
        self.semaphore = asyncio.Semaphore(2)
        self.condition = asyncio.Condition()
        self.events = [asyncio.Event(), asyncio.Event()]
        self.queue: asyncio.Queue[int] = asyncio.Queue(2)
        self.tasks: list[asyncio.Task[Any]] = []
        await self.run(self._script)

    def note(self, *what: Any) -> None:
        self.log.append((*what, round(asyncio.get_running_loop().time() / _TICK)))

    def callback(self, *what: Any) -> Callable[..., None]:
        return lambda *_: self.note("callback", *what)

    async def run(self, script: list[tuple[Any, ...]]) -> int:
        self._count += 1
        who = self._count
        try:
            for at, (name, numbers, blocks) in enumerate(script):
                self.note(who, at, name)
                await _STEPS[name](self, numbers, blocks)
        except BaseException as error:
            self.note(who, "raises", type(error).__name__)
            raise
        self.note(who, "ends")
        return who


Step = Callable[[Program, list[int], list[Any]], Awaitable[Any]]


async def _yield(_program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    for _ in range(numbers[0] + 1):
        await asyncio.sleep(0)


async def _sleep(_program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    await asyncio.sleep(numbers[0] * _TICK)


async def _lock(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    async with program.locks[numbers[0] % 2]:
        await _sleep(program, numbers[1:], [])


async def _semaphore(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    async with program.semaphore:
        await _sleep(program, numbers, [])


async def _condition(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    async with program.condition:
        if numbers[0] % 2:
            program.condition.notify(numbers[1])
        else:
            await asyncio.wait_for(program.condition.wait(), 2 * _TICK)


async def _event(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    event = program.events[numbers[0] % 2]
    if numbers[1] % 3 == 0:
        event.set()
    elif numbers[1] % 3 == 1:
        event.clear()
    else:
        async with asyncio.timeout(numbers[0] * _TICK):
            await event.wait()


async def _queue(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    try:
        if numbers[0] % 2:
            await asyncio.wait_for(program.queue.put(numbers[1]), 3 * _TICK)
        else:
            program.note("got", await asyncio.wait_for(program.queue.get(), numbers[1] * _TICK))
    except TimeoutError:
        program.note("no luck")


async def _callbacks(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    loop = asyncio.get_running_loop()
    handles = [
        loop.call_soon(program.callback("soon", numbers)),
        loop.call_later(0, program.callback("at once", numbers)),
        loop.call_later(numbers[0] * _TICK, program.callback("later", numbers)),
        loop.call_soon_threadsafe(program.callback("safely", numbers)),
    ]
    if numbers[1] < len(handles):
        handles[numbers[1]].cancel()


async def _future(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.add_done_callback(program.callback("future", numbers))
    loop.call_later(numbers[0] * _TICK, lambda: future.done() or future.set_result(None))
    if numbers[1] % 2:
        await future


async def _generate(program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    async def counted() -> Any:
        try:
            for number in range(numbers[0] + 1):
                await asyncio.sleep(0)
                yield number
        finally:
            program.note("generator ends")

    async for number in counted():
        if number == numbers[1]:
            break


async def _fail(_program: Program, numbers: list[int], _blocks: list[Any]) -> None:
    if numbers[0] == 0:
        raise LookupError(numbers[1])


async def _spawn(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    task = asyncio.create_task(program.run(blocks[0]))
    task.add_done_callback(lambda each: each.cancelled() or each.exception())
    program.tasks.append(task)
    if numbers[0] % 2:
        await asyncio.sleep(0)


async def _cancel(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    await _spawn(program, numbers, blocks)
    program.tasks[numbers[1] % len(program.tasks)].cancel()


async def _gather(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    program.note(await asyncio.gather(*map(program.run, blocks), return_exceptions=numbers[0] > 0) is not None)


async def _group(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for block in blocks:
                coroutine = program.run(block)
                try:
                    group.create_task(coroutine)
                except RuntimeError:
                    coroutine.close()  # Not all versions do, for a group that has failed already.
                    raise
            await _sleep(program, numbers, [])
    except* (LookupError, TimeoutError) as errors:
        program.note("group failed", len(errors.exceptions))


async def _wait(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    how = (asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED)[numbers[0] % 3]
    tasks = [asyncio.create_task(program.run(block)) for block in blocks]
    for task in tasks:
        task.add_done_callback(lambda each: each.cancelled() or each.exception())
    done, pending = await asyncio.wait(tasks, timeout=numbers[1] * _TICK or None, return_when=how)
    program.note(len(done), len(pending))
    for task in pending:
        task.cancel()


async def _as_completed(program: Program, _numbers: list[int], blocks: list[Any]) -> None:
    for each in asyncio.as_completed([program.run(block) for block in blocks]):
        try:
            await each
        except (LookupError, TimeoutError) as error:
            program.note("one failed", type(error).__name__)


async def _timeout(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    try:
        if numbers[1] % 2:
            await asyncio.wait_for(program.run(blocks[0]), numbers[0] * _TICK)
        else:
            async with asyncio.timeout(numbers[0] * _TICK):
                await program.run(blocks[0])
    except TimeoutError:
        program.note("timed out")


async def _shield(program: Program, numbers: list[int], blocks: list[Any]) -> None:
    try:
        async with asyncio.timeout(numbers[0] * _TICK):
            await asyncio.shield(program.run(blocks[0]))
    except TimeoutError:
        program.note("gave up")


_STEPS: dict[str, Step] = {
    "yield": _yield,
    "sleep": _sleep,
    "lock": _lock,
    "semaphore": _semaphore,
    "condition": _condition,
    "event": _event,
    "queue": _queue,
    "callbacks": _callbacks,
    "future": _future,
    "generate": _generate,
    "fail": _fail,
    "x_spawn": _spawn,
    "x_cancel": _cancel,
    "x_gather": _gather,
    "x_group": _group,
    "x_wait": _wait,
    "x_as_completed": _as_completed,
    "x_timeout": _timeout,
    "x_shield": _shield,
}
"""Those that begin with ``x_`` have blocks of steps of their own."""
