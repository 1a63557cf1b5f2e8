"""Strategies: who of those that could run next does."""

from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.dpor import Dpor
from supertester.schedule.strategies.fifo import Fifo

__all__ = ["Dpor", "Fifo", "Strategy"]
