"""Load: operations that become due at a given rate, whatever the system does with them."""

from supertester.performance.load.histogram import Histogram
from supertester.performance.load.judging import judge_load
from supertester.performance.load.plan import LoadPlan
from supertester.performance.load.recorder import NotFinished
from supertester.performance.load.report import Event, LoadReport, Slot, Timeline
from supertester.performance.load.runner import run_load, run_plan

__all__ = [
    "Event",
    "Histogram",
    "LoadPlan",
    "LoadReport",
    "NotFinished",
    "Slot",
    "Timeline",
    "judge_load",
    "run_load",
    "run_plan",
]
