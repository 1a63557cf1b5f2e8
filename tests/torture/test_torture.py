"""The torture: that it finds what is planted, and that it finds nothing in a part of the suite."""

import os
import random
import subprocess
import sys
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from tests.alone import alone, reason_to_be_alone
from tests.performance.frugal import frugal
from tests.torture import planted
from tests.torture.rounds import Report, torture
from tests.torture.units import Unit, units_of
from tests.torture.world import differences

ROOT = Path(__file__).parents[2]
SUBSET = (
    "tests.test_context",
    "tests.core.test_bell",
    "tests.isolation.test_plain_tests",
    "tests.isolation.test_cleanup",
)


def pair(cls: type[Any]) -> list[Unit]:
    return [Unit(f"{cls.__qualname__}.{name}", ((cls, name),), None) for name in ("test_one", "test_two")]


def run(units: list[Unit], rounds: int = 1, threads: int = 2) -> Report:
    return torture(units, rounds=rounds, threads=threads, seed=1)


@alone("compares what the whole process has")
class TestPlantedInterference(unittest.TestCase):
    home: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.home = Path.cwd()

    @classmethod
    def tearDownClass(cls) -> None:
        assert Path.cwd() == cls.home, f"what is planted has left the process in {Path.cwd()}"

    def setUp(self) -> None:
        frugal(self)
        # Two that go to a folder and back at once may come back to each other's.
        self.addCleanup(os.chdir, self.home)
        self.addCleanup(random.setstate, random.getstate())
        planted.clear()
        planted.barrier.reset()
        self.addCleanup(planted.clear)

    def test_between_tests_that_share_something_is_noticed(self) -> None:
        for cls in planted.NOTICED_BY_FAILING:
            with self.subTest(cls.__name__):
                # Both meet at a barrier, so to run one of them again alone would never end.
                report = torture(pair(cls), rounds=1, threads=2, seed=1, again=False)
                self.assertFalse(report.ok)
                failed = {finding.what.rpartition(".")[0] for finding in report.findings if finding.beside}
                self.assertEqual(failed, {f"{cls.__module__}.{cls.__qualname__}"}, report)

    def test_what_is_left_in_the_process_is_noticed(self) -> None:
        for cls, expected in planted.NOTICED_IN_THE_PROCESS.items():
            with self.subTest(cls.__name__):
                report = run(pair(cls), rounds=2)
                self.assertFalse(report.ok)
                self.assertIn(expected, str(report))
                planted.clear()

    def test_is_none_between_isolated_tests(self) -> None:
        for cls in planted.ISOLATED:
            with self.subTest(cls.__name__):
                report = run(pair(cls), rounds=2)
                self.assertTrue(report.ok, report)
                self.assertEqual((report.rounds, report.tests), (2, 4))


@alone("compares what the whole process has")
class TestTheRounds(unittest.TestCase):
    def setUp(self) -> None:
        frugal(self)

    def units(self, body: Callable[[unittest.TestCase], None], count: int = 3, **members: Any) -> list[Unit]:
        cls: Any = type("Inner", (unittest.TestCase,), {"test": body, **members})
        return [Unit(f"Inner.{number}", ((cls, "test"),), None) for number in range(count)]

    def test_run_as_many_at_once_as_there_are_threads(self) -> None:
        barrier = threading.Barrier(4, timeout=30.0)
        threads: set[str] = set()

        def body(case: unittest.TestCase) -> None:
            barrier.wait()
            threads.add(threading.current_thread().name)

        report = run(self.units(body, 4), threads=4)
        self.assertTrue(report.ok, report)
        self.assertEqual(len(threads), 4)

    def test_say_what_fails_alone_as_well(self) -> None:
        report = run(self.units(lambda case: case.fail("planted")))
        self.assertEqual(len(report.findings), 3)
        self.assertIn("fails alone as well:", str(report))
        self.assertIn("planted", str(report))

    def test_say_what_was_always_beside_a_failure(self) -> None:
        barrier = threading.Barrier(2, timeout=30.0)

        def victim(case: unittest.TestCase) -> None:
            if threading.current_thread() is not threading.main_thread():
                barrier.wait()
                case.fail("planted")

        def culprit(case: unittest.TestCase) -> None:
            barrier.wait()

        units = [Unit(name, self.units(body, 1)[0].tests, None) for name, body in (("v", victim), ("c", culprit))]
        report = run(units, rounds=2)
        self.assertIn("passes alone:", str(report))
        self.assertRegex(str(report), r"Inner\.test: failed 2 times, always beside c")

    def test_run_what_is_marked_alone_afterwards(self) -> None:
        order: list[str] = []
        [together] = self.units(lambda case: order.append("together"), 1)
        [apart] = self.units(lambda case: order.append(threading.current_thread().name), 1)
        report = torture([Unit("apart", apart.tests, "planted"), together], rounds=1, threads=1, seed=1)
        self.assertEqual(order, ["together", threading.current_thread().name])
        self.assertEqual(report.tests, 2)

    def test_without_any_test_are_no_success(self) -> None:
        self.assertFalse(run([]).ok)


class TestTheWorld(unittest.TestCase):
    def test_what_is_only_in_another_order_is_shown_in_both(self) -> None:
        self.assertEqual(
            differences({"filters": [1, 2]}, {"filters": [2, 1]}), ["filters: in another order: [1, 2] -> [2, 1]"]
        )


class TestMarks(unittest.TestCase):
    def test_say_why_a_test_runs_alone(self) -> None:
        class Inner(unittest.TestCase):
            @alone("planted")
            def test_marked(self) -> None: ...

            def test_plain(self) -> None: ...

            def test_with_a_tool(self) -> None:
                with self.assertWarns(DeprecationWarning):
                    pass

        reasons = [reason_to_be_alone(Inner, name) for name in ("test_marked", "test_plain", "test_with_a_tool")]
        self.assertEqual(reasons, ["planted", None, "uses assertWarns"])

    def test_hold_for_fixtures_that_a_class_inherits_and_extends(self) -> None:
        class Base(unittest.TestCase):
            def setUp(self) -> None:
                self.enterContext(mock.patch.object(planted, "PORT", 1))

        class Inner(Base):
            def setUp(self) -> None:
                super().setUp()

            def test(self) -> None: ...

        self.assertEqual(reason_to_be_alone(Inner, "test"), "uses mock.patch")

    def test_hold_for_a_class_a_module_and_what_looks_at_the_whole_process(self) -> None:
        self.assertEqual(
            reason_to_be_alone(TestTheRounds, "test_without_any_test_are_no_success"),
            "compares what the whole process has",
        )
        [reason] = {unit.alone for unit in units_of(["tests.isolation.test_gate"])}
        self.assertEqual(reason, "runs tests that wait until no other one runs")
        contaminating = "tests.isolation.environment.test_config.TestConfig"
        self.assertEqual({unit.alone for unit in units_of([contaminating])}, {"isolation='contamination_detection'"})

    def test_tests_with_a_class_fixture_stay_together(self) -> None:
        class Inner(unittest.TestCase):
            @classmethod
            def setUpClass(cls) -> None: ...

            def test_one(self) -> None: ...

            def test_two(self) -> None: ...

        sys.modules[__name__].Inner = Inner  # type: ignore[attr-defined]
        self.addCleanup(delattr, sys.modules[__name__], "Inner")
        [unit] = units_of([f"{__name__}.Inner"])
        self.assertEqual([name for _, name in unit.tests], ["test_one", "test_two"])


class TestASubset(unittest.TestCase):
    def test_sees_nothing_of_each_other(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.torture", "--rounds", "3", "--threads", "8", *SUBSET]
        ended = subprocess.run(
            command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn("nothing interfered", ended.stdout)
