"""Programs with concurrency bugs, and how many schedules it takes to find them: ``python -m benchmarks bugs``."""

from benchmarks.bugs import channels, detector, locks, memory, otp, protocols, stealing
from benchmarks.bugs.program import HELD_OUT, KNOWN, Bug, Program, programs

__all__ = ["HELD_OUT", "KNOWN", "SUITES", "Bug", "Program", "programs"]

SUITES = (memory, locks, stealing, protocols, detector, channels, otp)
"""The modules that define the programs."""
