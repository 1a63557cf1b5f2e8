"""`Fault`: what every kind of chaos that has a beginning and an end looks like."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

__all__ = ["Fault"]


@runtime_checkable
class Fault(Protocol):
    """Something that can be wrong with a target for a while.

    A kind of chaos of your own needs no more than this to take part in `supertester.chaos.run_chaos_suite`.

    Example::

        class SlowDisk:
            name = "slow disk"

            @asynccontextmanager
            async def inject(self, target):
                target.disk.delay = 0.5
                try:
                    yield {"delay": 0.5}
                finally:
                    target.disk.delay = 0
    """

    name: str

    def inject(self, target: Any, /) -> AbstractAsyncContextManager[Any]:
        """Return a context manager in whose body the fault is on; it yields the evidence of what was done."""
        ...
