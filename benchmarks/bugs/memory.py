"""Shared memory without a lock, a step before every visible operation: races of the textbooks and of SCTBench."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from benchmarks.bugs.program import add, bug, step

__all__: list[str] = []


async def lost_update(*, late: int, correct: bool = False) -> None:
    """Two tasks read, pause and write: the second write hides the first."""
    shared, lock = SimpleNamespace(count=0), asyncio.Lock()

    async def increment(after: int) -> None:
        for _ in range(after):
            await step()
        async with lock if correct else nullcontext():
            await step()
            seen = shared.count
            await step()
            shared.count = seen + 1

    await asyncio.gather(increment(0), increment(late))
    assert shared.count == 2, f"two increments made {shared.count}"


add("lost-update", lost_update, late=0)
add("lost-update-late", lost_update, late=5)


@bug("pool")
async def pool(*, correct: bool = False) -> None:
    """A pool of two connections sees that one is free, connects, and only then counts it."""
    shared, size = SimpleNamespace(out=0), 2

    async def client(after: int) -> None:
        for _ in range(after):
            await step()
        while shared.out >= size:
            await step()
        if correct:
            shared.out += 1
        await step()
        if not correct:
            shared.out += 1
        assert shared.out <= size, f"{shared.out} connections of {size}"
        await step()
        shared.out -= 1

    await asyncio.gather(*(client(3 * number) for number in range(3)))


@bug("lost-wakeup")
async def lost_wakeup(*, correct: bool = False) -> None:
    """A consumer looks, pauses, and then waits for a signal that came in the pause."""
    items: list[int] = []
    signal = asyncio.Condition()

    async def consumer() -> None:
        if correct:
            async with signal:
                await signal.wait_for(lambda: items)
        elif not items:
            await step()
            async with signal:
                await signal.wait()

    async def producer() -> None:
        for _ in range(4):
            await step()
        async with signal:
            items.append(1)
            signal.notify_all()

    await asyncio.gather(consumer(), producer())


@bug("uneven-25", twin=False)
async def uneven(*, correct: bool = False) -> None:  # noqa: ARG001 there is no right version
    """Of two tasks the short one has to come after all 25 steps of the long one."""
    shared = SimpleNamespace(done=0)

    async def long() -> None:
        for _ in range(25):
            await step()
            shared.done += 1

    async def short() -> None:
        await step()
        assert shared.done < 25, "the short task came last"

    await asyncio.gather(long(), short())


async def started(many: Callable[[], Coroutine[Any, Any, None]], times: int, last: Callable[[], Any]) -> None:
    """Start so many tasks and then the last one, each in a step of its own, and wait for all."""
    tasks = []
    for start in [*[many] * times, last]:
        await step()
        tasks.append(asyncio.ensure_future(start()))
    await asyncio.gather(*tasks)


async def reorder(*, threads: int, correct: bool = False) -> None:
    """Many tasks write two values one after the other, and one sees the first without the second."""
    shared, lock = SimpleNamespace(a=0, b=0), asyncio.Lock()

    async def setter() -> None:
        async with lock if correct else nullcontext():
            await step()
            shared.a = 1
            await step()
            shared.b = -1

    async def checker() -> None:
        async with lock if correct else nullcontext():
            await step()
            if shared.a == 0:
                await step()
                if shared.b == 0:
                    return
            await step()
            if shared.a == 1:
                await step()
                if shared.b == -1:
                    return
        raise AssertionError(f"a={shared.a} while b={shared.b}")

    await started(setter, threads - 1, checker)


for _threads in (3, 5, 10, 20):
    add(f"reorder-{_threads}", reorder, threads=_threads)


async def two_stage(*, threads: int, correct: bool = False) -> None:
    """Writers set one value under a lock and the next under another; a reader comes between the two."""
    shared = SimpleNamespace(one=0, two=0)
    first, second, both = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    async def writer() -> None:
        async with both if correct else nullcontext():
            await step()
            async with first:
                await step()
                shared.one = 1
            await step()
            async with second:
                await step()
                shared.two = shared.one + 1

    async def reader() -> None:
        async with both if correct else nullcontext():
            await step()
            async with first:
                await step()
                one = shared.one
            if one == 0:
                return
            await step()
            async with second:
                await step()
                two = shared.two
        assert two == one + 1, f"one={one}, two={two}"

    await started(writer, threads - 1, reader)


add("twostage", two_stage, threads=2)
add("twostage-20", two_stage, threads=20)


@bug("bluetooth")
async def bluetooth(*, correct: bool = False) -> None:
    """A driver is stopped between a request's look at the flag and its entry in the count of requests."""
    driver = SimpleNamespace(stopping=False, stopped=False, pending=1)
    idle = asyncio.Event()

    async def leave() -> None:
        await step()
        driver.pending -= 1
        if driver.pending == 0:
            await step()
            idle.set()

    async def request() -> None:
        await step()
        if correct:
            driver.pending += 1
        if driver.stopping:
            if correct:
                await leave()
            return
        await step()
        if not correct:
            driver.pending += 1
        await step()
        assert not driver.stopped, "the request ran in a stopped driver"
        await leave()

    async def stop() -> None:
        await step()
        driver.stopping = True
        await leave()
        await idle.wait()
        await step()
        driver.stopped = True

    await asyncio.gather(request(), stop())


@bug("token-ring")
async def token_ring(*, correct: bool = False) -> None:
    """Three tasks copy a value from neighbour to neighbour; the last look assumes the order of the ring."""
    x = [1, 2, 1]
    done = [asyncio.Event() for _ in x]

    async def node(number: int) -> None:
        await step()
        if number == 0:
            x[0] = (x[2] + 1) % 4
        else:
            if correct:
                await done[number - 1].wait()
            x[number] = x[number - 1]
        await step()
        done[number].set()

    async def checker() -> None:
        for flag in done:
            await flag.wait()
        await step()
        assert x[0] == x[1] == x[2], f"the ring holds {x}"

    await asyncio.gather(*(node(number) for number in range(3)), checker())


@bug("stack")
async def stack(*, correct: bool = False) -> None:
    """Once anything was pushed the popping task pops every time, also what is no longer there."""
    items: list[int] = []
    shared, lock, rounds = SimpleNamespace(pushed=False), asyncio.Lock(), 3

    async def pusher() -> None:
        for number in range(rounds):
            async with lock:
                await step()
                items.append(number)
                shared.pushed = True
            await step()

    async def popper() -> None:
        for _ in range(rounds):
            async with lock:
                await step()
                if items if correct else shared.pushed:
                    assert items, "popped from an empty stack"
                    items.pop()
            await step()

    await asyncio.gather(pusher(), popper())
