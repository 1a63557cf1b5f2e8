"""Processes that are left are found by a mark, and named."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.mixins.services import ServiceAssertions
from supertester.targets import check_no_orphans, find_marked

WAITS = "import sys; print(flush=True); sys.stdin.read()"


class TestOrphans(ServiceAssertions, IsolatedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.mark = uuid.uuid4().hex

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", WAITS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables or None,
        )
        assert process.stdout is not None
        process.stdout.readline()
        self.addCleanup(process.communicate)
        return process

    async def test_a_mark_in_the_arguments_or_in_the_environment(self) -> None:
        both = [self.start(f"--run-id={self.mark}"), self.start(RUN=f"run {self.mark}")]
        self.start("--run-id=another")
        self.assertEqual([each.pid for each in find_marked(self.mark)], sorted(each.pid for each in both))

    async def test_none_is_left(self) -> None:
        self.assertIsNone(await check_no_orphans(self.mark, within=0))

    async def test_what_is_ending_is_waited_for(self) -> None:
        process = self.start(self.mark)
        checking = asyncio.create_task(self.assert_no_orphans(self.mark, within=30))
        process.communicate()
        await checking

    async def test_what_is_left_is_named(self) -> None:
        process = self.start(self.mark)
        found = await check_no_orphans(self.mark, within=0)
        assert found is not None
        self.assertEqual(found.message, f"1 process is left with '{self.mark}'")
        self.assertRegex(found.history[0], rf"^pid {process.pid}, \w+, [\d.]+ s old: .*python\S* -S -c import sys")
        self.start(self.mark)
        with self.assertRaisesRegex(AssertionError, f"2 processes are left with '{self.mark}'"):
            await self.assert_no_orphans(self.mark, within=0)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "has at least 4 characters, .* got mark='py'"):
            find_marked("py")
        with self.assertRaisesRegex(TypeError, "a mark is a text, got mark=7"):
            await check_no_orphans(7)  # type: ignore[arg-type]
