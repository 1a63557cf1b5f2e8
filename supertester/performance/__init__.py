"""What an operation costs, and whether that is within bounds."""

from supertester.performance.bounds import check_performance_within_bounds
from supertester.performance.comparing import Benchmark, Comparison, benchmark, compare_performance
from supertester.performance.judging import probe_performance
from supertester.performance.leak import LeakReport, LeakRound, probe_memory_leak
from supertester.performance.load import LoadPlan, LoadReport, judge_load, run_load, run_plan
from supertester.performance.mailbox import MailboxReport, Queue, check_mailbox_stable, measure_mailbox_growth
from supertester.performance.measurement import Measurement, check_expectations, measure_operation
from supertester.performance.memory import MemoryUsage, check_memory_usage_stable, measure_memory_usage
from supertester.performance.process_usage import ProcessCost, ProcessUsage, process_usage
from supertester.performance.regression import probe_regression
from supertester.performance.statistics import Interval
from supertester.performance.verdict import InconclusiveWarning, Judged, Rounds, Verdict

__all__ = [
    "Benchmark",
    "Comparison",
    "InconclusiveWarning",
    "Interval",
    "Judged",
    "LeakReport",
    "LeakRound",
    "LoadPlan",
    "LoadReport",
    "MailboxReport",
    "Measurement",
    "MemoryUsage",
    "ProcessCost",
    "ProcessUsage",
    "Queue",
    "Rounds",
    "Verdict",
    "benchmark",
    "check_expectations",
    "check_mailbox_stable",
    "check_memory_usage_stable",
    "check_performance_within_bounds",
    "compare_performance",
    "judge_load",
    "measure_mailbox_growth",
    "measure_memory_usage",
    "measure_operation",
    "probe_memory_leak",
    "probe_performance",
    "probe_regression",
    "process_usage",
    "run_load",
    "run_plan",
]
