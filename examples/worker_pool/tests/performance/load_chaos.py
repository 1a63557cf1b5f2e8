"""The same as in `tests/chaos`, more often."""

from __future__ import annotations

from tests.chaos import test_parent_killed, test_worker_crash

__tags__ = {"layer": "stress", "load": True, "chaos": True}


class TestStorm(test_worker_crash.TestStorm, timeout=None):
    CYCLES = 30


class TestParentKilled(test_parent_killed.TestParentKilled, timeout=None):
    TIMES = 20
