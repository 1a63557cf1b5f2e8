from __future__ import annotations

import unittest

from tests.project.source import check_collectable_names, check_sleeps
from tests.project.support import PACKAGE, ROOT, Planted

__alone__ = "parses much source, which Python 3.11 cannot do in several threads at once"


class TestTheProject(unittest.TestCase):
    def test_no_test_sleeps(self) -> None:
        self.assertEqual(check_sleeps(ROOT / "tests"), [])

    def test_no_example_sleeps(self) -> None:
        self.assertEqual(check_sleeps(ROOT / "examples"), [])

    def test_no_name_of_the_package_would_be_collected_as_a_test(self) -> None:
        self.assertEqual(check_collectable_names(PACKAGE), [])


class TestTheSleepCheck(Planted):
    def found(self, source: str) -> int:
        return len(check_sleeps(self.plant(case=source)))

    def test_every_way_to_name_a_sleep_is_found(self) -> None:
        for source in (
            "import time\ntime.sleep(0.1)",
            "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
            "import asyncio as aio\naio.sleep(1)",
            "from time import sleep\nsleep(2)",
            "from asyncio import sleep as nap\nnap(delay=2)",
            "def late():\n    import time\n    time.sleep(1)",
        ):
            with self.subTest(source=source):
                self.assertEqual(self.found(source), 1)

    def test_letting_others_run_is_no_sleep(self) -> None:
        self.assertEqual(self.found("import asyncio\nasync def f():\n    await asyncio.sleep(0)"), 0)

    def test_a_duration_that_the_test_was_given_is_no_constant(self) -> None:
        self.assertEqual(self.found("import asyncio\nasync def f(x):\n    await asyncio.sleep(x)"), 0)

    def test_a_clock_of_ones_own_is_no_sleep(self) -> None:
        self.assertEqual(self.found("async def f(clock):\n    await clock.sleep(5)"), 0)


class TestTheNameCheck(Planted):
    def test_every_kind_of_name_is_found(self) -> None:
        source = "def test_a(): ...\nclass test_b:\n    async def test_c(self): ...\n    test_d = 1\ntest_e: int = 1\n"
        found = check_collectable_names(self.plant(case=source))
        self.assertEqual([name in line for name, line in zip("abcde", sorted(found), strict=False)].count(True), 5)

    def test_a_parameter_or_a_local_variable_is_no_such_name(self) -> None:
        source = "def setup(test_name):\n    test_id = test_name\n    return test_id\n"
        self.assertEqual(check_collectable_names(self.plant(case=source)), [])
