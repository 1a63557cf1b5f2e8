"""Strategies: who of those that could run next does."""

from supertester.schedule.strategies.auto import Auto
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.bounded import Bounded
from supertester.schedule.strategies.dpor import Dpor
from supertester.schedule.strategies.fifo import Fifo
from supertester.schedule.strategies.named import STRATEGIES, named_strategy
from supertester.schedule.strategies.pct import Pct
from supertester.schedule.strategies.pos import Pos
from supertester.schedule.strategies.random_walk import RandomWalk
from supertester.schedule.strategies.roles import Roles
from supertester.schedule.strategies.sticky import Sticky
from supertester.schedule.strategies.urw import Urw

__all__ = [
    "STRATEGIES",
    "Auto",
    "Bounded",
    "Dpor",
    "Fifo",
    "Pct",
    "Pos",
    "RandomWalk",
    "Roles",
    "Sticky",
    "Strategy",
    "Urw",
    "named_strategy",
]
