"""What came of an exploration: the least schedule that fails, what happens in it, and how to see it again."""

from supertester.schedule.report.exploration import ExplorationReport, FailingSchedule

__all__ = ["ExplorationReport", "FailingSchedule"]
