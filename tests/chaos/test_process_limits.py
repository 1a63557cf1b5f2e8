"""A process may take no more of something, and then it may again."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

from supertester.chaos import limit_resources, rlimits, simulate_resource_exhaustion
from supertester.errors import Unsupported, UsageError
from tests.chaos.processes import ChildCase

OPEN = "kept.append(os.open(os.devnull, os.O_RDONLY)) or len(os.listdir('/proc/self/fd'))"
TAKE = "len(bytearray(64 * 1024 * 1024))"


def limits_of(child: subprocess.Popen[str], name: str) -> tuple[int, int]:
    return resource.prlimit(child.pid, getattr(resource, name))


class TestLimits(ChildCase):
    async def test_no_more_descriptors(self) -> None:
        child, journal = self.child(), self.journal()
        before = limits_of(child, "RLIMIT_NOFILE")
        async with limit_resources(child, file_descriptors=2) as limited:
            answers = [self.ask(child, "os.open(os.devnull, os.O_RDONLY) > 0") for _ in range(3)]
            self.assertEqual(answers[:2], ["did True"] * 2)
            self.assertIn("OSError [Errno 24] Too many open files", answers[2])
            self.assertEqual(limits_of(child, "RLIMIT_NOFILE"), limited.limits["RLIMIT_NOFILE"][1:] + before[1:])
        self.assertEqual(limits_of(child, "RLIMIT_NOFILE"), before)
        self.assertIn("did", self.ask(child, "os.open(os.devnull, os.O_RDONLY)"))
        self.assertEqual([event.fault for event in journal.events], ["limit_resources"])
        self.assertEqual(json.loads(json.dumps(limited.to_dict()))["limited"], {"file_descriptors": 2})

    async def test_descriptors_with_gaps(self) -> None:
        child = self.child()
        self.ask(child, "[os.dup(0) for _ in range(6)] and os.close(5)")
        async with limit_resources(child, file_descriptors=1):
            self.assertEqual(self.ask(child, "os.dup(0)"), "did 5")
            self.assertIn("Too many open files", self.ask(child, "os.dup(0)"))

    async def test_no_more_memory(self) -> None:
        child = self.child()
        async with limit_resources(child, memory_mb=32):
            self.assertIn("failed MemoryError", self.ask(child, TAKE))
            self.assertEqual(self.ask(child, "len(bytearray(1024))"), "did 1024")
        self.assertEqual(self.ask(child, TAKE), f"did {64 * 1024 * 1024}")

    async def test_files_that_may_not_grow(self) -> None:
        child = self.child()
        path = self.tmp_path / "log"
        write = f"os.pwrite(os.open({str(path)!r}, os.O_CREAT | os.O_WRONLY), b'x' * 100, 2000)"
        async with limit_resources(child, file_size_mb=0.001):
            self.assertIn("File too large", self.ask(child, write))
        self.assertEqual(self.ask(child, write), "did 100")

    async def test_no_more_processor_time(self) -> None:
        child = self.child()
        await limit_resources(child, cpu_seconds=0)
        self.tell(child, "[None for _ in iter(int, 1)]")
        self.assertEqual(child.wait(), -signal.SIGXCPU)

    async def test_what_it_starts_meanwhile_is_limited_and_freed_too(self) -> None:
        child = self.child()
        async with limit_resources(child, file_size_mb=1):
            start = "__import__('subprocess').Popen([sys.executable, '-c', 'input()'], stdin=-1)"
            self.ask(child, f"kept.append({start})")
            pid = int(self.ask(child, "kept[0].pid").split()[1])
            self.assertEqual(resource.prlimit(pid, resource.RLIMIT_FSIZE)[0], 1 << 20)
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_FSIZE), limits_of(child, "RLIMIT_FSIZE"))

    async def test_a_tree(self) -> None:
        child = self.child()
        self.ask(child, "kept.append(__import__('subprocess').Popen([sys.executable, '-c', 'input()'], stdin=-1))")
        pid = int(self.ask(child, "kept[0].pid").split()[1])
        async with limit_resources(child, file_size_mb=1, tree=True):
            self.assertEqual(resource.prlimit(pid, resource.RLIMIT_FSIZE)[0], 1 << 20)
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_FSIZE), limits_of(child, "RLIMIT_FSIZE"))

    async def test_one_that_ends_meanwhile(self) -> None:
        child = self.child()
        async with limit_resources(child, memory_mb=100) as limited:
            self.assertTrue(limited.active)
            child.kill()
            child.wait()
        self.assertFalse(limited.active)
        with self.assertRaisesRegex(UsageError, "has ended already"):
            limit_resources(child, memory_mb=100)

    async def test_what_is_refused(self) -> None:
        child = self.child()
        wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({}, UsageError, "there is nothing to limit; give one of memory_mb, file_descriptors"),
            ({"memory_mb": -1}, UsageError, "memory_mb must be 0 or more, got memory_mb=-1"),
            ({"memory_mb": "much"}, TypeError, "memory_mb must be a number"),
            ({"file_descriptors": 1.5}, TypeError, "file_descriptors must be a whole number"),
            ({"colour": 1}, TypeError, "colour"),
        ]
        for options, kind, message in wrong:
            with self.subTest(options), self.assertRaisesRegex(kind, message):
                limit_resources(child, **options)
        with self.assertRaisesRegex(TypeError, "is no process of the operating system; give an ExternalProcess"):
            limit_resources("server", memory_mb=1)

    async def test_where_there_is_no_such_thing(self) -> None:
        with mock.patch.object(rlimits, "resource", None), self.assertRaisesRegex(Unsupported, "by prlimit, which"):
            limit_resources(self.child(), memory_mb=1)


class TestProcesses(ChildCase):
    async def test_root_may_start_any_number(self) -> None:
        if os.getuid() != 0:
            self.skipTest("for root")
        with self.assertRaisesRegex(Unsupported, "runs as root.*start it as another user"):
            await limit_resources(self.child(), processes=0)

    @unittest.skipIf(os.getuid() == 0, "root may start any number of processes")
    async def test_nobody_else_may(self) -> None:
        child = self.child()
        async with simulate_resource_exhaustion("process_limit", target=child) as exhaustion:
            self.assertTrue(exhaustion.reached_limit)
            self.assertIn("failed BlockingIOError", self.ask(child, "os.fork()"))

    async def test_anothers_process(self) -> None:
        child = self.child()
        refusing = mock.Mock(prlimit=mock.Mock(side_effect=PermissionError), RLIMIT_AS=9)
        with mock.patch.object(rlimits, "resource", refusing):
            limited = limit_resources(child, memory_mb=1)
            with self.assertRaisesRegex(Unsupported, "belongs to another user, whose processes may not be limited"):
                await limited


class TestExhaustionOfAProcess(ChildCase):
    async def test_all_descriptors(self) -> None:
        child, journal = self.child(), self.journal()
        async with simulate_resource_exhaustion("file_descriptors", target=child) as exhaustion:
            self.assertTrue(exhaustion.reached_limit)
            self.assertGreater(exhaustion.taken, 100)
            self.assertIn("RLIMIT_NOFILE", exhaustion.evidence["limits"])
            self.assertIn("Too many open files", self.ask(child, OPEN))
            with open(os.devnull):  # noqa: PTH123, ASYNC230 - this process has its own
                pass
        self.assertIn("did", self.ask(child, OPEN))
        self.assertEqual([event.fault for event in journal.events], ["limit_resources", "exhaustion"])
        json.dumps(exhaustion.to_dict())

    async def test_some_descriptors(self) -> None:
        child = self.child()
        left = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)[0] - int(self.ask(child, OPEN).split()[1]) + 1
        async with simulate_resource_exhaustion("file_descriptors", target=child, count=left - 1) as exhaustion:
            self.assertFalse(exhaustion.reached_limit)
            self.assertIn("did", self.ask(child, "kept.append(os.dup(0))"))
            self.assertIn("Too many open files", self.ask(child, "kept.append(os.dup(0))"))

    async def test_all_memory(self) -> None:
        child = self.child()
        async with simulate_resource_exhaustion("memory", target=child, percentage=1):
            self.assertIn("failed MemoryError", self.ask(child, TAKE))
        self.assertIn("did", self.ask(child, TAKE))

    async def test_what_cannot_be_taken_from_one_process(self) -> None:
        with self.assertRaisesRegex(Unsupported, "'disk' cannot be taken away from one process; what can is process_l"):
            simulate_resource_exhaustion("disk", target=self.child())
        with self.assertRaisesRegex(TypeError, "'memory' has no option 'count'"):
            simulate_resource_exhaustion("memory", target=self.child(), count=3)


if sys.platform != "linux":
    del TestLimits, TestProcesses, TestExhaustionOfAProcess
