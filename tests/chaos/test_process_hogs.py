"""Hogs of processors and memory, and disks that are full: really taken, and given back."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import psutil

from supertester._core.waiting import wait_until
from supertester.chaos import (
    DiskFull,
    SmallDisk,
    cgroups,
    consume_memory,
    hog_program,
    limits,
    run_chaos_suite,
    simulate_resource_exhaustion,
    small_disk,
)
from supertester.errors import Unsupported, UsageError
from supertester.targets import start_process
from supertester.targets.os_process import ProcessTarget
from supertester.targets.tree import living
from tests.chaos.processes import ChildCase, is_mounted, is_there, text_of

MB = 1024 * 1024
DISKS = sys.modules["supertester.chaos.small_disk"]


class TestProcessors(ChildCase):
    async def test_they_are_busy_and_then_gone(self) -> None:
        journal = self.journal()
        async with simulate_resource_exhaustion("cpu", count=1, nice=19) as exhaustion:
            [pid] = exhaustion.evidence["pids"]
            self.assertEqual((exhaustion.taken, exhaustion.unit), (1, "processors"))
            ours, theirs = (os.getpriority(os.PRIO_PROCESS, each) for each in (0, pid))
            self.assertEqual(theirs, min(ours + 19, 19))
            await wait_until(lambda: exhaustion.evidence["cpu_seconds"] > 0, "it to compute", timeout=20)
            json.dumps(exhaustion.to_dict())
        self.assertFalse(is_there(f"/proc/{pid}"))
        [event] = journal.events
        self.assertEqual((event.fault, event.target, event.details["pids"]), ("exhaustion", "cpu", [pid]))

    async def test_what_is_refused(self) -> None:
        for options, message in (
            ({"nice": 20}, "nice must be from 0 to 19, got nice=20"),
            ({"count": 10_000}, "10000 processors are more than is safe here"),
            ({"count": 0}, "count must be 1 or more"),
            ({"count": 1, "percentage": 0.5}, "give one of percentage and count, not both"),
        ):
            with self.subTest(options), self.assertRaisesRegex(UsageError, message):
                simulate_resource_exhaustion("cpu", **options)  # type: ignore[arg-type]


class TestProcesses(ChildCase):
    async def test_they_wait_and_then_are_gone(self) -> None:
        async with simulate_resource_exhaustion("process_limit", kind="os_processes", spawn_count=30) as exhaustion:
            self.assertEqual((exhaustion.taken, exhaustion.reached_limit, exhaustion.unit), (30, False, "processes"))
            hog = psutil.Process(exhaustion.evidence["pid"])
            workers = hog.children()
            self.assertEqual((len(workers), exhaustion.evidence["running"]), (30, 30))
        self.assertEqual(living([hog, *workers]), [])
        self.assertEqual(exhaustion.evidence["running"], 0)

    def test_where_there_are_fewer_they_are_counted(self) -> None:
        said: list[tuple[object, ...]] = []
        say = mock.patch.object(hog_program, "say", lambda *words: said.append(words))
        with say, mock.patch.object(hog_program, "os") as system:
            system.fork.side_effect = [11, 12, BlockingIOError("Resource temporarily unavailable")]
            hog_program.multiply(9)
        self.assertEqual(said, [("ready",), ("done", 2)])

    def test_more_than_is_safe_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "spawn_count=1001 is 1001 os_processes, and 1000 is the most"):
            simulate_resource_exhaustion("process_limit", kind="os_processes", spawn_count=1001)


class TestMemory(ChildCase):
    async def test_of_a_worker(self) -> None:
        child = self.child()
        async with consume_memory(0.5, limit_mb=64, target=child) as exhaustion:
            self.assertEqual(exhaustion.taken, 32 * MB)
            self.assertIn("failed MemoryError", self.ask(child, "len(bytearray(48 * 1024 * 1024))"))
            self.assertIn("did", self.ask(child, "len(bytearray(8 * 1024 * 1024))"))
        self.assertIn("did", self.ask(child, "len(bytearray(48 * 1024 * 1024))"))

    async def test_of_a_group_that_the_system_ends(self) -> None:
        child = self.child()
        try:
            exhaustion = await consume_memory(0.5, limit_mb=64, target=child, scope="cgroup")
        except Unsupported as error:
            self.skipTest(str(error))
        self.assertEqual(self.ask(child, "len(bytes(bytearray(4 * 1024 * 1024)))"), f"did {4 * MB}")
        self.assertEqual(exhaustion.evidence["oom_kills"], 0)
        self.tell(child, "kept.append(b'x' * (128 * 1024 * 1024))")
        self.assertEqual(child.wait(), -signal.SIGKILL)
        group = Path(exhaustion.evidence["group"])
        self.assertTrue(is_there(group))
        await exhaustion.cleanup()
        self.assertGreaterEqual(exhaustion.evidence["oom_kills"], 1)
        self.assertFalse(is_there(group))

    async def test_who_survives_returns_to_its_group(self) -> None:
        child = self.child()
        before = text_of(f"/proc/{child.pid}/cgroup")
        try:
            async with consume_memory(0.5, limit_mb=64, target=child, scope="cgroup"):
                self.assertNotEqual(text_of(f"/proc/{child.pid}/cgroup"), before)
        except Unsupported as error:
            self.skipTest(str(error))
        self.assertEqual(text_of(f"/proc/{child.pid}/cgroup"), before)

    async def test_no_group_is_left_when_the_test_process_is_killed(self) -> None:
        tests = await start_process([sys.executable, "-u", "-c", GROUPING])
        said = await tests.wait_for_output("^there (.*)$|Unsupported: (.*)$")
        if said.group(2):
            self.skipTest(said.group(2))
        group = Path(said.group(1))
        self.assertTrue(is_there(group))
        os.kill(tests.pid, signal.SIGKILL)
        await wait_until(lambda: not is_there(group), "the group to be gone", timeout=20)

    async def test_of_the_machine(self) -> None:
        free, physical = limits.free_memory(), limits.physical_memory()
        assert free is not None and physical is not None
        if free < 3072 * MB:
            self.skipTest(f"only {free // MB} MB of the machine's memory are free")
        used = 1 - free / physical
        async with consume_memory(min(used + 0.3, 1), scope="machine", cap_mb=32) as exhaustion:
            evidence = exhaustion.evidence
            self.assertEqual((exhaustion.taken, evidence["held"], exhaustion.reached_limit), (32 * MB, 32 * MB, False))
            self.assertEqual(text_of(f"/proc/{evidence['pid']}/oom_score_adj").strip(), "1000")
        self.assertFalse(is_there(f"/proc/{evidence['pid']}"))

    async def test_of_the_machine_never_below_the_floor(self) -> None:
        floor = limits.physical_memory()
        assert floor is not None
        async with consume_memory(1, scope="machine", cap_mb=32, floor_mb=floor / MB) as exhaustion:
            self.assertEqual((exhaustion.taken, exhaustion.reached_limit), (0, True))

    async def test_what_is_refused(self) -> None:
        child = self.child()
        with self.assertRaisesRegex(UsageError, "scope='worker' needs a target"):
            consume_memory(0.5, scope="worker")
        with self.assertRaisesRegex(UsageError, "scope='machine' has no target"):
            consume_memory(0.5, scope="machine", target=child)
        with self.assertRaisesRegex(UsageError, "give limit_mb, what the group may have"):
            consume_memory(0.5, scope="cgroup", target=child)
        with self.assertRaisesRegex(UsageError, "the machine has what it has; leave limit_mb out"):
            consume_memory(0.5, scope="machine", limit_mb=5)
        with self.assertRaisesRegex(UsageError, "cap_mb is for what is really taken, and not for scope='worker'"):
            consume_memory(0.5, target=child, cap_mb=5)
        with self.assertRaisesRegex(UsageError, "no scope 'town'; the scopes are own, worker, cgroup, machine"):
            consume_memory(0.5, scope="town")
        with self.assertRaisesRegex(UsageError, "of the machine's memory are in use already"):
            consume_memory(1e-9, scope="machine")

    async def test_where_no_group_can_be_made(self) -> None:
        child = self.child()
        with mock.patch.object(cgroups, "_above", return_value=Path("/proc/nowhere")):
            exhaustion = consume_memory(0.5, limit_mb=64, target=child, scope="cgroup")
            with self.assertRaisesRegex(Unsupported, "cannot be made in /proc/nowhere: .*takes root"):
                await exhaustion

    async def test_where_there_are_no_groups(self) -> None:
        nobody = mock.Mock(spec=ProcessTarget, pid=0)
        with self.assertRaisesRegex(Unsupported, "this system has no cgroups"):
            cgroups.MemoryGroup(nobody)


class TestTheSecondVersionOfGroups(ChildCase):
    def test_where_a_group_can_be_made(self) -> None:
        inner = self.tmp_path / "service"
        inner.mkdir()
        (self.tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
        (inner / "cgroup.subtree_control").write_text("\n")
        self.assertEqual(cgroups._above(inner, cgroups._SECOND), self.tmp_path)
        (inner / "cgroup.controllers").write_text("cpu memory\n")
        self.assertTrue(cgroups._has_memory(inner))
        self.assertFalse(cgroups._has_memory(self.tmp_path))


class TestSmallDisk(ChildCase):
    async def disk(self, **options: float) -> SmallDisk:
        try:
            return await small_disk(**options)
        except Unsupported as error:
            self.skipTest(str(error))

    async def test_it_fills_up_and_has_room_again(self) -> None:
        child, journal = self.child(), self.journal()
        disk = await self.disk(size_mb=1)
        write = f"open({str(disk.folder / 'data')!r}, 'wb', buffering=0).write(b'x' * 8192)"
        self.assertEqual(self.ask(child, write), "did 8192")
        self.assertEqual(disk.fill(), 0)
        other = f"open({str(disk.folder / 'more')!r}, 'wb', buffering=0).write(b'x' * 8192)"
        self.assertIn("No space left on device", self.ask(child, other))
        self.assertGreater(disk.drain(), 8192)
        self.assertEqual(self.ask(child, other), "did 8192")
        self.assertEqual([event.fault for event in journal.events], ["disk_full"])
        json.dumps(disk.to_dict())

    async def test_it_has_room_again_whoever_has_inherited_the_file(self) -> None:
        async with await self.disk(size_mb=1) as disk:
            disk.fill()
            [ballast] = disk.folder.iterdir()
            with ballast.open("rb"):  # As a process has it open that was forked meanwhile.
                self.assertGreater(disk.drain(), 8192)
            self.assertEqual(list(disk.folder.iterdir()), [])
            self.assertGreater(disk.drain(), 8192)

    async def test_some_of_it(self) -> None:
        async with await self.disk(size_mb=1) as disk:
            before = disk.free
            self.assertAlmostEqual(disk.fill(0.5), before / 2, delta=8192)

    async def test_it_is_gone_afterwards_also_when_a_file_is_open(self) -> None:
        disk = await self.disk()
        folder = disk.folder
        self.assertTrue(is_mounted(folder))
        with (folder / "open").open("w"):
            await disk.cleanup()
            self.assertFalse(is_there(folder))
        self.assertEqual(repr(disk), f"<disk of {MB} bytes, not there>")

    async def test_it_is_gone_when_the_test_process_is_killed(self) -> None:
        (await self.disk()).to_dict()
        tests = await start_process([sys.executable, "-u", "-c", MOUNTING])
        folder = Path((await tests.wait_for_output("^there (.*)$")).group(1))
        self.assertTrue(is_mounted(folder))
        os.kill(tests.pid, signal.SIGKILL)
        await wait_until(lambda: not is_there(folder), "the disk to be gone", timeout=20)

    async def test_in_a_suite(self) -> None:
        disk = await self.disk()
        report = await run_chaos_suite(disk, [{"type": "fault", "fault": DiskFull(), "duration_ms": 1}])
        self.assertEqual((report.passed, report.failed), (1, 0), str(report))
        self.assertGreater(disk.free, 0)

    async def test_what_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "size_mb must be more than 0 and at most 1024, got size_mb=0"):
            small_disk(size_mb=0)
        with self.assertRaisesRegex(TypeError, "size_mb must be a number"):
            small_disk(size_mb="1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "await it, or enter it"):
            _ = small_disk().folder

    async def test_without_the_privileges_it_says_what_does_without(self) -> None:
        with (
            mock.patch.object(DISKS, "_call", side_effect=PermissionError(1, "not permitted")),
            self.assertRaisesRegex(Unsupported, r"takes root here. Without: full_file\(\)"),
        ):
            await small_disk()
        self.assertEqual(list(self.tmp_path.iterdir()), [])


MOUNTING = """
import asyncio
from supertester.chaos import small_disk

async def main():
    print("there", (await small_disk()).folder, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

GROUPING = """
import asyncio, sys
from supertester.chaos import consume_memory
from supertester.targets import start_process

async def main():
    child = await start_process([sys.executable, "-c", "input()"])
    group = await consume_memory(0.5, limit_mb=64, target=child, scope="cgroup")
    print("there", group.evidence["group"], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
