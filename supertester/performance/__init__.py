"""What an operation costs, and whether that is within bounds."""

from supertester.performance.bounds import check_performance_within_bounds
from supertester.performance.memory import MemoryUsage, check_memory_usage_stable, measure_memory_usage

__all__ = [
    "MemoryUsage",
    "check_memory_usage_stable",
    "check_performance_within_bounds",
    "measure_memory_usage",
]
