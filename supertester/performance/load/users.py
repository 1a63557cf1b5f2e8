"""The users of a load: tasks for async operations, threads for plain ones."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final, Protocol

from supertester.otp.drive import PAUSE
from supertester.performance.load.alarm import Alarm
from supertester.performance.load.first import FirstOperation
from supertester.performance.load.plan import LoadPlan
from supertester.performance.load.recorder import NotFinished, Recorder

__all__ = ["TaskUsers", "ThreadUsers", "Users"]

_SOON_NS: Final = 200_000
"""What is due within this time is waited for by looking again and again; to be woken would take as long."""
_TURN_NS: Final = 50_000
"""How long a user who is late may go on without a pause; only operations that never wait notice."""

now = time.perf_counter_ns


class Users(Protocol):
    """Those who do the operations of a plan. Another kind may be on other machines."""

    async def run(self, deadline: float) -> None:
        """Do all, until *deadline* seconds after the last was due; what has not ended then is noted as not finished."""
        ...


class _Schedule:
    """What each user has to do: when the present operation is due, and the following ones."""

    def __init__(self, plan: LoadPlan, recorder: Recorder, first: FirstOperation | None) -> None:
        self.began = recorder.began_ns
        self._recorder = recorder
        self._left = {number: plan.due(number) for number in plan.numbers}
        self.first = first
        if first is not None:
            next(self._left[first.number], None)
        self._doing: dict[int, int] = {}

    def of(self, number: int) -> Iterator[int]:
        """Yield when the user's operations are due; each is taken to be under way until the next is asked for."""
        for offset in self._left[number]:
            self._doing[number] = self.began + offset
            yield self.began + offset
        self._doing.pop(number, None)

    def give_up(self) -> None:
        """Note all that has not ended."""
        if self.first is not None:
            self.first.give_up()
        ended = now()
        error = NotFinished()
        for number, due in self._doing.items():
            self._recorder.note(due, due, ended, error)
            for offset in self._left[number]:
                self._recorder.note(self.began + offset, ended, ended, error)
        self._doing.clear()


class TaskUsers:
    """A task for each user, all woken by one timer."""

    def __init__(
        self,
        plan: LoadPlan,
        operation: Callable[[int], Awaitable[Any]],
        recorder: Recorder,
        *,
        first: FirstOperation | None = None,
    ) -> None:
        self._plan = plan
        self._operation = operation
        self._recorder = recorder
        self._schedule = _Schedule(plan, recorder, first)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._alarm: Alarm | None = None
        self._spinning = False

    async def run(self, deadline: float) -> None:
        """Do all; see `Users`."""
        self._alarm = Alarm(self._loop, self._wake)
        tasks = [self._loop.create_task(self._user(number)) for number in self._plan.numbers]
        try:
            end = self._recorder.began_ns / 1e9 + self._plan.duration + deadline
            await asyncio.wait(tasks, timeout=max(end - now() / 1e9, 0))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._alarm.close()
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        self._schedule.give_up()

    async def _user(self, number: int) -> None:
        operation, note = self._operation, self._recorder.note
        paused = 0
        for due in self._schedule.of(number):
            if due > now():
                await self._turn(due, number)
                began = now()
                self._recorder.note_lag(began - due)
            else:
                began = now()
                if began - paused > _TURN_NS:  # Users who are late let the others have their turn.
                    await PAUSE
                    began = paused = now()
            error: Exception | None = None
            try:
                await operation(number)
            except Exception as caught:  # noqa: BLE001 - of the system under test
                error = caught
            note(due, began, now(), error)

    def _turn(self, due: int, number: int) -> asyncio.Future[None]:
        """Return what to wait for until *due*."""
        future = self._loop.create_future()
        heapq.heappush(self._waiting, (due, number, future))
        if self._waiting[0][2] is future and not self._spinning:
            self._arrange(due)
        return future

    def _arrange(self, due: int) -> None:
        assert self._alarm is not None
        if due - now() < _SOON_NS:
            self._spinning = True
            self._loop.call_soon(self._wake)
        else:
            self._alarm.set(due)

    def _wake(self) -> None:
        """Let all begin whose time has come."""
        self._spinning = False
        waiting, present = self._waiting, now()
        while waiting and waiting[0][0] <= present:
            future = heapq.heappop(waiting)[2]
            if not future.done():
                future.set_result(None)
        if waiting:
            self._arrange(waiting[0][0])


async def _awaited(result: Awaitable[Any]) -> None:
    await result


class ThreadUsers:
    """A thread for each user."""

    def __init__(
        self,
        plan: LoadPlan,
        operation: Callable[[int], Any],
        recorder: Recorder,
        *,
        first: FirstOperation | None = None,
    ) -> None:
        self._plan = plan
        self._operation = operation
        self._recorder = recorder
        self._schedule = _Schedule(plan, recorder, first)
        self._loop = asyncio.get_running_loop()
        self._stop = Event()
        self._ended = asyncio.Event()
        self._active = len(plan.numbers)
        self._crashes: list[BaseException] = []

    async def run(self, deadline: float) -> None:
        """Do all; see `Users`. A thread that does not come back from an operation is left behind."""
        threads = [
            Thread(target=self._user, args=(number,), name=f"supertester-load-user-{number}", daemon=True)
            for number in self._plan.numbers
        ]
        for thread in threads:
            thread.start()
        end = self._recorder.began_ns / 1e9 + self._plan.duration + deadline
        try:
            await asyncio.wait_for(self._ended.wait(), max(end - now() / 1e9, 0))
        except TimeoutError:
            pass
        finally:
            self._stop.set()
        if self._crashes:
            raise self._crashes[0]
        self._schedule.give_up()

    def _user(self, number: int) -> None:
        try:
            self._work(number)
        except BaseException as error:  # noqa: BLE001 - raised where the load is awaited
            self._crashes.append(error)
        finally:
            # Nobody waits any more for a thread that was left behind, and the loop may be closed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._active -= 1
        if not self._active or self._crashes:
            self._ended.set()

    def _work(self, number: int) -> None:
        first = self._schedule.first
        if first is not None and first.number == number:
            first.ended.wait()
        for due in self._schedule.of(number):
            left = due - now()
            if left > 0:
                self._stop.wait(left / 1e9)
                began = now()
                self._recorder.note_lag(began - due)
            else:
                began = now()
            if self._stop.is_set():
                return
            error: Exception | None = None
            try:
                result = self._operation(number)
                if isinstance(result, Awaitable):  # It took long to make its first coroutine.
                    asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result()
            except Exception as caught:  # noqa: BLE001 - of the system under test
                error = caught
            if self._stop.is_set():
                return  # It has been noted as not finished.
            self._recorder.note(due, began, now(), error)
