"""What targets that work off a queue have in common, whoever does the work."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from supertester._core.waiting import wait_until
from supertester.targets.target import Target

__all__ = ["QueueTarget"]


class QueueTarget(Target):
    """The worker of a queue; what does the work is what a subclass is besides.

    Attributes:
        queue: Where the work comes from, which knows its ``qsize()``.
    """

    queue: Any

    def queue_len(self) -> int:
        """Return how much is in the queue."""
        return int(self.queue.qsize())

    async def sync(self, timeout: float = 5.0) -> None:
        """Wait until the queue is empty and all who work it off wait for more.

        Raises:
            WaitTimeout: That does not happen in so many seconds.
            UsageError: The worker ends before it.
        """
        await wait_until(
            self._waits_for_more,
            f"{self!r} to have done what is in its queue",
            timeout=timeout,
            seen=lambda: f"{self.queue.qsize()} left in the queue",
        )

    @abstractmethod
    def _waits_for_more(self) -> bool:
        """Say whether there is nothing left and nobody at work; raise `UsageError` if the worker has ended."""
