"""Chaos in an isolated test: undone at the end of the test, and unseen by the test beside it.

In a file of its own: a test looks for coroutines that code of its file forgot.
"""

from __future__ import annotations

import errno
import os
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from supertester.chaos import (
    Exhaustion,
    corrupt_state,
    delay,
    drop,
    inject_random_failures,
    pause,
    simulate_resource_exhaustion,
)
from supertester.otp import SHUTDOWN, cast, until_idle
from supertester.testing import inner_case, run_inner
from tests.otp.support import Probe
from tests.subjects import Counter, Stubborn

MB = 1024 * 1024


class TestMessageFaults(unittest.TestCase):
    def test_the_end_of_a_test_ends_it(self) -> None:
        faults: list[Any] = []

        async def body(test: Any) -> None:
            server = await Counter.start_link()
            faults.extend([drop(server), delay(server, 5), server, test.isolation])
            server.cast(("add", 1))

        result = run_inner(inner_case(body))
        self.assertTrue(result.wasSuccessful(), result.report)
        dropped, late, _, _ = faults
        self.assertEqual((dropped.active, late.active, dropped.messages), (False, False, [("add", 1)]))

    def test_a_block_leaves_no_cleanup_behind(self) -> None:
        left: list[int] = []

        async def body(test: Any) -> None:
            server = await Counter.start_link()
            for _ in range(10):
                with drop(server):
                    pass
            left.append(len(test.isolation.cleanups))

        result = run_inner(inner_case(body))
        self.assertTrue(result.wasSuccessful(), result.report)
        self.assertEqual(left, [0])

    def test_two_tests_in_threads_do_not_disturb_each_other(self) -> None:
        together = threading.Barrier(2, timeout=30)
        results: list[tuple[int, int]] = []

        def one(match: int) -> None:
            async def body(test: Any) -> None:
                server = await Counter.start_link(name="the same name")
                together.wait()
                with drop("the same name", match=("add", match)) as dropped:
                    for number in (1, 2) * 50:
                        server.cast(("add", number))
                    value = await server.call("value")
                results.append((len(dropped.hits), value))
                together.wait()

            result = run_inner(inner_case(body))
            if not result.wasSuccessful():
                together.abort()
                raise AssertionError(result.report)

        with ThreadPoolExecutor(2) as threads:
            for running in [threads.submit(one, 1), threads.submit(one, 2)]:
                running.result()
        self.assertEqual(sorted(results), [(50, 50), (50, 100)])


class TestRandomFailures(unittest.TestCase):
    def test_the_end_of_the_test_ends_it(self) -> None:
        kept: list[Any] = []

        async def body(test: Any) -> None:
            server = await Counter.start_link()
            kept.append(inject_random_failures(server, failure_rate=1, failure_types=["timeout"]))
            cast(server, ("add", 1))

        result = run_inner(inner_case(body))
        self.assertTrue(result.wasSuccessful(), result.report)
        self.assertEqual((kept[0].active, len(kept[0].hits)), (False, 1))

    def test_two_tests_in_threads_do_not_disturb_each_other(self) -> None:
        together = threading.Barrier(2, timeout=30)

        def one(rate: float) -> int:
            hits: list[int] = []

            async def body(test: Any) -> None:
                server = await Probe.start_link([], name="the same name")
                together.wait()
                with inject_random_failures(
                    "the same name", failure_rate=rate, failure_types=["disconnect"]
                ) as failures:
                    for number in range(100):
                        server.cast(number)
                    await until_idle(server)
                hits.append(len(failures.hits))
                together.wait()

            result = run_inner(inner_case(body))
            if not result.wasSuccessful():
                together.abort()
                raise AssertionError(result.report)
            return hits[0]

        with ThreadPoolExecutor(2) as threads:
            all_of_them, none = threads.submit(one, 1), threads.submit(one, 0)
            self.assertEqual((all_of_them.result(), none.result()), (100, 0))


class TestState(unittest.TestCase):
    def test_the_end_of_the_test_undoes_them(self) -> None:
        seen: list[Any] = []

        class Dying(Stubborn):
            def terminate(self, reason: Any) -> None:
                seen.append((reason, self.state, paused[0].active))

        paused: list[Any] = []

        async def body(test: Any) -> None:
            server = await Dying.start_link(5)
            paused.append(await pause(server))
            await corrupt_state(server, lambda _: {"count": -1})
            seen.append(test.isolation.summary())

        result = run_inner(inner_case(body))
        self.assertTrue(result.wasSuccessful(), result.report)
        summary, end = seen
        self.assertRegex(summary, r"cleanup <<Pid \d+ .*Dying> paused>\n  cleanup <corrupted state of <Pid")
        self.assertEqual(end, (SHUTDOWN, {"count": 5}, False))


class TestExhaustion(unittest.TestCase):
    def test_it_is_released_with_the_test_also_when_that_fails(self) -> None:
        kept: list[Exhaustion] = []

        async def body(test: Any) -> None:
            kept.append(await simulate_resource_exhaustion("process_limit", spawn_count=5))
            kept.append(await simulate_resource_exhaustion("process_limit", kind="processes", spawn_count=5))
            kept.append(await simulate_resource_exhaustion("memory", size_mb=1))
            test.fail("the failure that is to be seen alone")

        result = run_inner(inner_case(body))
        self.assertEqual(result.kinds, ["start", "failure", "stop"])
        self.assertIn("the failure that is to be seen alone", result.report)
        self.assertEqual([each.released for each in kept], [True] * 3)

    def test_tables_of_the_test(self) -> None:
        seen: list[Any] = []

        async def body(test: Any) -> None:
            async with simulate_resource_exhaustion("tables", count=7) as exhaustion:
                seen.append((len(test.tables.created), exhaustion.taken))
            seen.append(len(test.tables.created))

        result = run_inner(inner_case(body, isolation="full_isolation"))
        self.assertTrue(result.wasSuccessful(), result.report)
        self.assertEqual(seen, [(7, 7), 0])

    def test_space_in_the_folder_of_the_test(self) -> None:
        seen: list[Any] = []

        async def body(test: Any) -> None:
            async with simulate_resource_exhaustion("disk", size_mb=2) as exhaustion:
                folder = exhaustion.folder
                seen.append((folder.parent == test.tmp_path, (folder / "ballast").stat().st_size))
                log = os.open(exhaustion.full_file("log"), os.O_WRONLY)
                with self.assertRaises(OSError) as caught:
                    os.write(log, b"a line")
                os.close(log)
                seen.append(caught.exception.errno)
            seen.append(folder.exists())

        result = run_inner(inner_case(body, isolation="full_isolation"))
        self.assertTrue(result.wasSuccessful(), result.report)
        self.assertEqual(seen, [(True, 2 * MB), errno.ENOSPC, False])
