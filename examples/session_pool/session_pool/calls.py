"""What somebody wants done, and how he waits for it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from session_pool.worker import PoolWorker

__all__ = ["Call", "Waiter"]


@dataclass(frozen=True)
class Call:
    """A command, and how long it may take: one deadline for all of it.

    Attributes:
        session: Whose it is; ``None``: nobody's.
        command: What to do.
        args: With what.
        deadline: When it has to be done, in seconds of ``time.monotonic``.
        patience: Seconds that it waits for a worker, at most.
        retries: How often another worker may try.
        is_last: Whether the session ends with it.
    """

    session: str | None
    command: str
    args: dict[str, Any] | None
    deadline: float
    patience: float
    retries: int
    is_last: bool

    def left(self) -> float:
        """Return the seconds that are left of it."""
        return max(self.deadline - time.monotonic(), 0)


class Waiter(Future[PoolWorker]):
    """A call that waits for a worker."""

    def __init__(self, session: str | None) -> None:
        super().__init__()
        self.session = session
