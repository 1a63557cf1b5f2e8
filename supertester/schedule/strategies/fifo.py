"""The order of asyncio itself."""

from __future__ import annotations

from supertester.schedule.strategies.base import Strategy

__all__ = ["Fifo"]


class Fifo(Strategy):
    """Run what was scheduled first, as asyncio does."""

    name = "fifo"
