"""The logical threads of a scenario: they start together, and each notes what it does and what comes of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from supertester._core.outcome import Outcome
from supertester.errors import CallExit, WaitTimeout
from supertester.otp.reasons import TIMEOUT
from supertester.scenarios.operations import Operation
from supertester.scenarios.report import ScenarioEvent
from supertester.scenarios.scenario import Scenario
from supertester.servers import call_with_timeout, cast_and_sync

__all__ = ["LogicalThreads", "outcome_of"]

_ENDING = 0.5
"""Seconds that threads of the operating system have to end when the run is over."""


class LogicalThreads:
    """The threads of one run of a scenario.

    Args:
        scenario: The scenario.
        subject: What they work on.
    """

    def __init__(self, scenario: Scenario, subject: Any) -> None:
        self._scenario = scenario
        self._subject = subject
        self._began = 0
        self.events: list[ScenarioEvent] = []
        self.running: dict[int, tuple[int, Operation]] = {}
        """Of each thread in an operation: the step and the operation."""
        self.released = asyncio.Event()
        """Set when all threads stand at the barrier and are let go."""
        self.done = False
        """Whether all have done all that they should."""
        self._stopped = False
        self._awaited: set[concurrent.futures.Future[Any]] = set()

    async def run(self) -> None:
        """Run all threads to their ends; when cancelled, end them."""
        if self._scenario.mode == "threads":
            await self._run_os_threads()
        else:
            await self._run_tasks()
        self.done = True

    def _release(self) -> None:
        self._began = time.perf_counter_ns()
        self.released.set()

    # Tasks -------------------------------------------------------------------------------------------------------

    async def _run_tasks(self) -> None:
        waiting = len(self._scenario.threads)  # type: ignore[arg-type]

        async def thread(number: int, script: tuple[Operation, ...]) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                self._release()
            await self.released.wait()
            for step, operation in enumerate(script, 1):
                began = self._begin(number, step, operation)
                self._end(number, step, operation, began, await self._perform(operation))

        async with asyncio.TaskGroup() as group:
            for number, script in enumerate(self._scenario.threads, 1):
                group.create_task(thread(number, script), name=self._scenario.name_of_thread(number))

    def _begin(self, thread: int, step: int, operation: Operation) -> int:
        self.running[thread] = (step, operation)
        return time.perf_counter_ns()

    def _end(self, thread: int, step: int, operation: Operation, began: int, outcome: Outcome[Any]) -> None:
        done = time.perf_counter_ns()
        self.running.pop(thread, None)
        if not self._stopped:
            self.events.append(
                ScenarioEvent(
                    thread=thread,
                    step=step,
                    operation=operation,
                    outcome=outcome,
                    invocation_ns=began - self._began,
                    response_ns=done - self._began,
                )
            )

    async def _perform(self, operation: Operation) -> Outcome[Any]:
        """Do *operation* on the event loop."""
        kind, content = operation
        if kind == "call":
            return await self._call(content)
        if kind == "cast":
            return await self._cast(content)
        return await outcome_of(partial(content, self._subject))

    async def _call(self, request: Any) -> Outcome[Any]:
        try:
            return await call_with_timeout(self._subject, request, self._scenario.call_timeout_ms / 1000)
        except Exception as error:  # noqa: BLE001 - it is the operation's outcome
            return Outcome(error=error)

    async def _cast(self, message: Any) -> Outcome[Any]:
        scenario = self._scenario
        try:
            reply = await cast_and_sync(
                self._subject, message, scenario.sync_message, timeout=scenario.call_timeout_ms / 1000
            )
        except CallExit as error:
            return Outcome(error=error.reason)
        except WaitTimeout:
            return Outcome(error=TIMEOUT)
        except Exception as error:  # noqa: BLE001 - it is the operation's outcome
            return Outcome(error=error)
        return Outcome("ok" if reply is None else reply)

    # Threads of the operating system -------------------------------------------------------------------------------

    async def _run_os_threads(self) -> None:
        loop = asyncio.get_running_loop()
        scripts: Any = self._scenario.threads
        done = loop.create_future()
        left = [len(scripts)]
        barrier = threading.Barrier(len(scripts), action=lambda: self._release_from_thread(loop))
        threads = [
            threading.Thread(
                target=self._os_thread,
                args=(number, script, barrier, loop, partial(self._os_thread_ended, left, done)),
                name=f"scenario thread {number}",
                daemon=True,
            )
            for number, script in enumerate(scripts, 1)
        ]
        try:
            for thread in threads:
                thread.start()
            await done
        except BaseException:
            self._stop(barrier, threads)
            raise
        for thread in threads:
            thread.join()  # They are past their last operation.

    def _stop(self, barrier: threading.Barrier, threads: list[threading.Thread]) -> None:
        """Let the threads end that wait for something; one that is busy in a function of its own cannot be ended."""
        self._stopped = True
        barrier.abort()
        for future in list(self._awaited):
            future.cancel()
        deadline = time.monotonic() + _ENDING
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(deadline - time.monotonic(), 0.0))

    def _release_from_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        self._began = time.perf_counter_ns()
        loop.call_soon_threadsafe(self.released.set)

    @staticmethod
    def _os_thread_ended(left: list[int], done: asyncio.Future[None]) -> None:
        left[0] -= 1
        if not left[0] and not done.done():
            done.set_result(None)

    def _os_thread(
        self,
        number: int,
        script: tuple[Operation, ...],
        barrier: threading.Barrier,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[], None],
    ) -> None:
        try:
            barrier.wait()
            for step, operation in enumerate(script, 1):
                if self._stopped:
                    return
                began = self._begin(number, step, operation)
                self._end(number, step, operation, began, self._perform_from_thread(operation, loop))
        except (threading.BrokenBarrierError, _LoopIsGone):
            return
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended)

    def _perform_from_thread(self, operation: Operation, loop: asyncio.AbstractEventLoop) -> Outcome[Any]:
        kind, content = operation
        if kind == "custom" and not inspect.iscoroutinefunction(content):
            return self._custom_from_thread(content, loop)
        return self._on_loop(self._perform(operation), loop)

    def _custom_from_thread(self, function: Callable[[Any], Any], loop: asyncio.AbstractEventLoop) -> Outcome[Any]:
        try:
            result = function(self._subject)
        except BaseException as error:  # noqa: BLE001 - as in `outcome_of`; nobody interrupts this thread
            return Outcome(error=error)
        if inspect.isawaitable(result):
            return self._on_loop(outcome_of(lambda: result), loop)
        return result if isinstance(result, Outcome) else Outcome(result)

    def _on_loop(self, coroutine: Any, loop: asyncio.AbstractEventLoop) -> Outcome[Any]:
        if self._stopped or loop.is_closed():
            coroutine.close()
            raise _LoopIsGone
        future: concurrent.futures.Future[Outcome[Any]] = asyncio.run_coroutine_threadsafe(coroutine, loop)
        self._awaited.add(future)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise _LoopIsGone from None
        finally:
            self._awaited.discard(future)


class _LoopIsGone(Exception):
    """The run has ended without this thread."""


async def outcome_of(function: Callable[[], Any]) -> Outcome[Any]:
    """Call *function*, plain or async; whatever it raises is its outcome, except what ends the present task."""
    task = asyncio.current_task()
    cancellations = task.cancelling() if task is not None else 0
    try:
        result = function()
        if inspect.isawaitable(result):
            result = await result
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > cancellations:
            raise
        return Outcome(error=error)
    return result if isinstance(result, Outcome) else Outcome(result)
