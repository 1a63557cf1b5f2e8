"""The bug programs of processes: asyncio's order hides each, a few schedules show it, and its twin has none."""

from __future__ import annotations

import unittest

from benchmarks.bugs import otp
from benchmarks.bugs.program import programs
from supertester.schedule import explore_schedules

SCHEDULES = 300


class TestBugs(unittest.TestCase):
    def test_each_is_found_within_few_schedules(self) -> None:
        for bug in programs(otp.OTP):
            with self.subTest(bug=bug.name):
                report = explore_schedules(bug.wrong.start, schedules=SCHEDULES, seed=1, database=False)
                assert report.failing is not None
                self.assertGreater(report.schedules, 1, "asyncio's own order shows it")

    def test_nothing_is_found_in_their_twins(self) -> None:
        for bug in programs(otp.OTP):
            with self.subTest(bug=bug.name):
                assert bug.twin is not None
                self.assertTrue(explore_schedules(bug.twin.start, schedules=SCHEDULES, seed=1, database=False).ok)

    def test_there_are_those_that_are_asked_for(self) -> None:
        self.assertGreaterEqual(
            {bug.name for bug in programs(otp.OTP)},
            {
                "otp-late-reply",
                "otp-stale-down",
                "otp-restart-window",
                "otp-registration",
                "otp-last-message",
                "otp-acknowledged",
            },
        )
