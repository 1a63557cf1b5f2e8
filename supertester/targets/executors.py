"""A ``ProcessPoolExecutor`` as a target: its processes are its workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supertester._core.waiting import wait_until
from supertester.errors import UsageError
from supertester.otp.reasons import KILL, NORMAL
from supertester.targets.os_process import ProcessTarget
from supertester.targets.target import Identity, Target, serial_of

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

__all__ = ["ProcessPoolTarget"]

_NO_PAUSE = "an executor is held up by holding up its workers: suspend those that workers() returns"


class ProcessPoolTarget(Target):
    """A ``ProcessPoolExecutor``, which never replaces a worker: the end of one is the end of it.

    Its exit reason is `NORMAL` if it was shut down, otherwise the text by which it says that it is broken.

    Args:
        executor: The executor. It starts its processes with the first jobs, and has no workers before.
    """

    lacks = {"suspend": _NO_PAUSE, "resume": _NO_PAUSE}  # noqa: RUF012 - declared a ClassVar above

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self.executor: Any = executor
        self._identity = Identity(type(executor).__name__, os.getpid(), serial_of(executor))
        self._workers: dict[int, ProcessTarget] = {}
        processes: Any = self.executor._processes  # Which it forgets when it is shut down.
        self._processes: dict[int, Any] = {} if processes is None else processes
        self._manager: Any = None

    @property
    def identity(self) -> Identity:
        """The name of its class, the number of this process, and a number of its own."""
        return self._identity

    @property
    def exit_reason(self) -> Any:
        """`NORMAL`, or why it is broken."""
        self._manager = self.executor._executor_manager_thread or self._manager
        if self._manager is not None and self._manager.is_alive():
            return None
        if self.executor._broken:
            return f"broken: {self.executor._broken}"
        return NORMAL if self.executor._shutdown_thread and not self.workers() else None

    def kill(self, reason: Any = KILL) -> None:
        """Send each of its workers a signal, as `ProcessTarget.kill` does; one without workers is shut down."""
        workers = self.workers()
        for worker in workers:
            worker.kill(reason)
        if not workers and self.is_alive():
            self.executor.shutdown(wait=False, cancel_futures=True)

    async def stop(self, timeout: float = 5.0) -> Any:
        """Shut it down; what was submitted before is still done."""
        if self.is_alive():  # And takes note of what it forgets.
            self.executor.shutdown(wait=False)
        return await self.ended(timeout, "it was shut down")

    def queue_len(self) -> int:
        """Return how many jobs wait in this process; a few more are on their way to the workers."""
        return sum(not item.future.running() for item in list(self.executor._pending_work_items.values()))

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until all that was submitted is done.

        Raises:
            WaitTimeout: It is not, in so many seconds.
            UsageError: It is broken, so that nothing will be done any more.
        """
        pending = self.executor._pending_work_items

        def is_done() -> bool:
            if self.executor._broken:
                raise UsageError(f"{self!r} has left {len(pending)} jobs undone", reason="noproc")
            return not pending

        await wait_until(
            is_done, f"{self!r} to have done all", timeout=timeout, seen=lambda: f"{len(pending)} jobs undone"
        )

    def workers(self) -> Sequence[Target]:
        """Return the processes that it has started and that are alive, the oldest first."""
        known, self._workers = self._workers, {}
        for pid, process in list(self._processes.items()):
            target = known.get(pid)
            if target is None:
                with suppress(UsageError):  # It has ended, and the executor has not noticed yet.
                    target = ProcessTarget(process)
            if target is not None and target.is_alive():
                self._workers[pid] = target
        return list(self._workers.values())
