"""`simulate_resource_exhaustion` and `consume_memory`: really taken, really given back, and nothing unsafe."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.chaos import consume_memory, journaled, simulate_resource_exhaustion
from supertester.chaos import limits as limits_of_the_system
from supertester.chaos.hogs import Threads
from supertester.errors import Unsupported, UsageError
from tests.alone import alone
from tests.otp.support import RuntimeCase
from tests.project.support import ROOT
from tests.subjects import Counter

MB = 1024 * 1024


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "supertester chaos"]


class TestProcessLimit(RuntimeCase):
    async def test_tasks(self) -> None:
        before = len(asyncio.all_tasks())
        async with simulate_resource_exhaustion("process_limit") as exhaustion:
            self.assertEqual(len(asyncio.all_tasks()), before + 500)
            self.assertEqual((exhaustion.taken, exhaustion.unit, exhaustion.reached_limit), (500, "tasks", False))
        self.assertEqual(len(asyncio.all_tasks()), before)
        self.assertEqual((exhaustion.taken, exhaustion.released), (0, True))

    async def test_a_share(self) -> None:
        async with simulate_resource_exhaustion("process_limit", percentage=0.01) as exhaustion:
            self.assertEqual(exhaustion.taken, 100)

    async def test_processes_leave_no_trace_among_the_deaths(self) -> None:
        victim = await Counter.start()
        victim.exit("the death that matters")
        before = len(self.rt.processes)
        async with simulate_resource_exhaustion("process_limit", kind="processes", spawn_count=100):
            self.assertEqual(len(self.rt.processes), before + 100)
        self.assertEqual(len(self.rt.processes), before)
        self.assertEqual([death.pid for death in self.rt.deaths], [victim])

    async def test_a_number_decides_whatever_the_share_is(self) -> None:
        async with simulate_resource_exhaustion("process_limit", percentage=0.05, spawn_count=10) as exhaustion:
            self.assertEqual(exhaustion.taken, 10)

    async def test_an_awaited_one_lasts_until_its_cleanup(self) -> None:
        before = len(asyncio.all_tasks())
        exhaustion = await simulate_resource_exhaustion("process_limit", spawn_count=10)
        self.assertIn("<exhaustion of process_limit: 10 tasks taken>", repr(exhaustion))
        self.assertEqual(len(asyncio.all_tasks()), before + 10)
        await exhaustion.cleanup()
        await exhaustion.cleanup()
        self.assertEqual(len(asyncio.all_tasks()), before)

    async def test_it_is_released_when_the_block_fails(self) -> None:
        before = len(asyncio.all_tasks())
        with self.assertRaises(ZeroDivisionError):
            async with simulate_resource_exhaustion("process_limit", spawn_count=10):
                raise ZeroDivisionError
        self.assertEqual(len(asyncio.all_tasks()), before)

    async def test_is_noted_and_shown(self) -> None:
        with journaled() as journal:
            async with simulate_resource_exhaustion("process_limit", spawn_count=1) as exhaustion:
                self.assertEqual(json.loads(json.dumps(exhaustion.to_dict()))["taken"], 1)
        [event] = journal.events
        self.assertEqual((event.fault, event.target), ("exhaustion", "process_limit"))
        self.assertEqual(event.details, {"taken": 1, "unit": "tasks", "limit": None})


@alone("it counts threads of the process")
class TestThreads(RuntimeCase):
    async def test_threads(self) -> None:
        async with simulate_resource_exhaustion("process_limit", kind="threads", spawn_count=20):
            self.assertEqual(len(ours()), 20)
        self.assertEqual(ours(), [])

    async def test_the_system_has_no_more(self) -> None:
        start, left = threading.Thread.start, iter(range(3))

        def limited(thread: threading.Thread) -> None:
            if next(left, None) is None:
                raise RuntimeError("can't start new thread")
            start(thread)

        hog = Threads()
        with mock.patch.object(threading.Thread, "start", limited):
            taken = await hog.take(10)
        self.assertEqual(taken, (3, True))
        await hog.release()
        self.assertEqual(ours(), [])


class TestTables(unittest.TestCase):
    def test_outside_of_a_test(self) -> None:
        async def main() -> tuple[int, bool]:
            exhaustion = await simulate_resource_exhaustion("tables")
            taken = exhaustion.taken
            await exhaustion.cleanup()
            return taken, exhaustion.released

        self.assertEqual(asyncio.run(main()), (50, True))


class TestMemory(RuntimeCase):
    @alone("it compares the memory of the process")
    async def test_memory_is_really_there_and_given_back(self) -> None:
        before = _resident()
        async with simulate_resource_exhaustion("memory", size_mb=64) as exhaustion:
            self.assertEqual(exhaustion.taken, 64 * MB)
            self.assertGreater(_resident() - before, 48 * MB)
        self.assertLess(_resident() - before, 32 * MB)

    async def test_a_share_of_a_limit(self) -> None:
        async with consume_memory(0.25, limit_mb=8) as exhaustion:
            self.assertEqual((exhaustion.taken, exhaustion.limit), (2 * MB, 8 * MB))

    async def test_never_more_than_the_cap(self) -> None:
        async with consume_memory(0.9, cap_mb=1) as exhaustion:
            self.assertEqual((exhaustion.wanted, exhaustion.taken), (MB, MB))
            self.assertEqual(exhaustion.limit, limits_of_the_system.memory_limit())

    async def test_more_than_is_safe_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "size_mb must be more than 0 and at most 1024, got size_mb=1000000"):
            simulate_resource_exhaustion("memory", size_mb=1e6)
        for fraction in (0, 1.5):
            with self.assertRaisesRegex(UsageError, f"at most 1, e.g. 0.8; got percentage={fraction}"):
                consume_memory(fraction)
        little = mock.patch.object(limits_of_the_system, "free_memory", lambda: 4 * MB)
        with little, self.assertRaisesRegex(UsageError, "10 MB of memory is more than is safe here, 2 MB"):
            simulate_resource_exhaustion("memory")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class TestFileDescriptors(unittest.TestCase):
    """In a process of its own, which has few of them: the others need theirs."""

    def run_there(self, source: str) -> Any:
        script = """
            import asyncio, errno, json, os, resource
            from supertester.chaos import simulate_resource_exhaustion
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            def opening():
                try:
                    os.close(os.open(os.devnull, os.O_RDONLY))
                except OSError as error:
                    return errno.errorcode[error.errno]
                return "fine"
        """
        script = textwrap.dedent(script) + textwrap.dedent(source) + "\nprint(json.dumps(asyncio.run(main())))\n"
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_next_open_fails_until_it_is_over(self) -> None:
        found = self.run_there("""
            async def main():
                async with simulate_resource_exhaustion("file_descriptors") as exhaustion:
                    during = opening(), exhaustion.reached_limit, exhaustion.taken == exhaustion.limit
                return [*during, opening()]
        """)
        self.assertEqual(found, ["EMFILE", True, True, "fine"])

    def test_a_share_and_a_count_leave_the_rest(self) -> None:
        found = self.run_there("""
            async def main():
                async with simulate_resource_exhaustion("file_descriptors", percentage=0.5) as half:
                    first = opening(), half.taken == half.limit // 2
                async with simulate_resource_exhaustion("file_descriptors", count=3) as three:
                    second = opening(), three.taken
                async with simulate_resource_exhaustion("file_descriptors", count=1000) as many:
                    third = opening(), many.taken == many.limit
                return [*first, *second, *third]
        """)
        self.assertEqual(found, ["fine", True, "fine", 3, "EMFILE", True])

    def test_a_share_of_what_nobody_knows_is_refused(self) -> None:
        unknown = mock.patch.object(limits_of_the_system, "free_descriptors", lambda: None)
        with unknown, self.assertRaisesRegex(Unsupported, "it cannot be known how much of file_descriptors is left"):
            simulate_resource_exhaustion("file_descriptors", percentage=0.5)


class TestDisk(unittest.TestCase):
    def test_what_others_need_is_left_alone(self) -> None:
        async def main() -> None:
            await simulate_resource_exhaustion("disk", size_mb=10)

        little = mock.patch.object(limits_of_the_system, "free_disk", lambda _: 515 * MB)
        with little, self.assertRaisesRegex(UsageError, "10 MB would leave less than 512 MB of the 515 MB that are"):
            asyncio.run(main())

    def test_only_a_disk_has_files(self) -> None:
        for exhaustion in (simulate_resource_exhaustion("tables"), simulate_resource_exhaustion("disk")):
            with self.assertRaisesRegex(UsageError, "only a disk that space is taken of has a folder and full files"):
                exhaustion.full_file()


class TestNonsense(unittest.TestCase):
    def test_is_refused_at_once(self) -> None:
        cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
            (
                "ets_tables",
                {},
                UsageError,
                "did you mean 'tables'.* process_limit, tables, memory, file_desc",
            ),
            (5, {}, UsageError, "there is no resource 5"),
            ("tables", {"count": 0}, UsageError, "count must be 1 or more, got count=0"),
            ("tables", {"count": -3}, UsageError, "count must be 1 or more, got count=-3"),
            ("tables", {"count": "x"}, TypeError, "count must be a whole number"),
            (
                "tables",
                {"size_mb": 3},
                TypeError,
                "of 'tables' has no option 'size_mb'; its options are count",
            ),
            ("memory", {"size_mb": 0}, UsageError, "size_mb must be more than 0"),
            ("memory", {"size_mb": "x"}, TypeError, "size_mb must be a number of megabytes"),
            ("memory", {"size_mb": 1, "percentage": 0.1}, UsageError, "give one of percentage and size_mb, not both"),
            ("process_limit", {"spawn_count": 0}, UsageError, "spawn_count must be 1 or more"),
            ("process_limit", {"percentage": 80}, UsageError, "e.g. 0.8; got percentage=80"),
            ("process_limit", {"percentage": "x"}, TypeError, "percentage must be a number"),
            (
                "process_limit",
                {"kind": "fibres"},
                UsageError,
                "no kind 'fibres'; the kinds are tasks, threads",
            ),
            (
                "process_limit",
                {"kind": "threads", "spawn_count": 9999},
                UsageError,
                "spawn_count=9999 is 9999 threads, and 4000 is the most that is safe",
            ),
        ]
        for resource, options, error, message in cases:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                simulate_resource_exhaustion(resource, **options)
