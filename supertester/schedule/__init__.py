"""Time and order under control, on the standard library alone: an event loop whose clock leaps over waiting."""

from supertester.schedule.clock import VirtualClock
from supertester.schedule.virtual_loop import LONG_PATIENCE, PATIENCE, Deadlock, VirtualLoop

__all__ = ["LONG_PATIENCE", "PATIENCE", "Deadlock", "VirtualClock", "VirtualLoop"]
