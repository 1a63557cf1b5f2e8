"""Nothing outlives the process of the tests, however that ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import psutil

from supertester.errors import UsageError
from supertester.targets import reaper_program
from supertester.targets.reaper import Reaper
from supertester.targets.reaper_program import marked, variables, wait_begun
from tests.alone import alone
from tests.targets.orphans import ENDINGS, STATES, family_of, is_zombie, left, run

PROGRAM = [sys.executable, "-I", "-S", str(reaper_program.__file__)]


class TestOrphans(unittest.TestCase):
    def test_there_are_none(self) -> None:
        for state in STATES:
            programs = {ending: run(ending, state) for ending in ENDINGS}
            for ending, program in programs.items():
                with self.subTest(ending=ending, state=state), program:
                    family = family_of(program)
                    program.wait(60)
                    self.assertEqual(left(family), [])

    def test_the_test_would_notice(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as orphan:
            process = psutil.Process(orphan.pid)
            self.assertFalse(is_zombie(process))
            orphan.kill()
            self.assertEqual(left([process]), [])


class TestReaper(unittest.TestCase):
    def test_ends_who_has_the_mark_or_is_of_a_group_when_its_input_ends(self) -> None:
        reaper = Reaper()
        argv = [sys.executable, "-c", "import signal; signal.pause()"]
        marked = subprocess.Popen(argv, env={**os.environ, **reaper.environment()})
        grouped = subprocess.Popen(argv, start_new_session=True)
        neither = subprocess.Popen(argv, start_new_session=True)
        forgotten = subprocess.Popen(argv, start_new_session=True)
        try:
            reaper.add(grouped.pid)
            reaper.add(forgotten.pid)
            reaper.discard(forgotten.pid)
            os.close(reaper._pipe)
            os.waitpid(reaper.pid, 0)
            self.assertEqual([marked.wait(60), grouped.wait(60)], [-9, -9])
            self.assertEqual([neither.poll(), forgotten.poll()], [None, None])
        finally:
            for each in (marked, grouped, neither, forgotten):
                each.kill()
                each.wait()

    def test_one_that_was_killed_is_no_reason_to_fail(self) -> None:
        reaper = Reaper()
        reaper.environment()
        os.kill(reaper.pid, signal.SIGKILL)
        os.waitpid(reaper.pid, 0)
        reaper.add(1 << 22)
        os.close(reaper._pipe)

    def test_the_program_says_which_line_means_nothing_and_does_what_the_others_say(self) -> None:
        argv = [sys.executable, "-c", "import signal; signal.pause()"]
        nonsense = [b"?what", b"+many", b"-", b"s1", b"sone 2", b"m", b"k", b""]
        with subprocess.Popen(argv, start_new_session=True) as grouped:
            lines = [b"REAPER=of nobody", *nonsense, b"+%d" % grouped.pid, b"+12 but cut of"]
            done = subprocess.run(PROGRAM, input=b"\n".join(lines), capture_output=True, check=True)
            self.assertEqual(grouped.wait(60), -9)
        said = [f"not understood: {line!r}" for line in [*(each + b"\n" for each in nonsense), lines[-1]]]
        self.assertEqual(done.stderr.decode().splitlines(), said)

    def test_what_has_a_line_break_in_its_name_is_refused(self) -> None:
        reaper = Reaper()
        with self.assertRaisesRegex(UsageError, r"a line break cannot be watched over, got '/tmp/a"):
            reaper.folder_made(Path("/tmp/a\nb"))

    def test_no_process_has_the_mark_of_one_that_was_killed_before_it_had_one(self) -> None:
        self.assertEqual(marked(b""), [])

    def test_who_was_started_a_moment_ago_is_known_by_its_mark(self) -> None:
        """Right after ``posix_spawn`` a process often has no environment yet."""
        argv = [sys.executable, "-c", "import signal; signal.pause()"]
        found = []
        for _ in range(300):
            pid = os.posix_spawn(argv[0], argv, {"MARK": "this"}, setsid=True)
            try:
                found.append(variables(pid)[:1])
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self.assertEqual(found, [[b"MARK=this"]] * 300)

    @alone("replaces what others wait by")
    def test_who_has_an_environment_or_will_have_none_is_not_waited_for(self) -> None:
        argv = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
        with mock.patch.object(reaper_program, "time", None), subprocess.Popen(argv, env={}, stdout=-1) as bare:
            wait_begun(os.getpid())
            assert bare.stdout is not None
            bare.stdout.readline()
            wait_begun(bare.pid)
            os.kill(bare.pid, signal.SIGKILL)
            os.waitid(os.P_PID, bare.pid, os.WEXITED | os.WNOWAIT)
            wait_begun(bare.pid)  # A zombie has neither memory nor an environment.
        with self.assertRaises(OSError):
            wait_begun(bare.pid)

    def test_the_matrix_is_whole(self) -> None:
        self.assertEqual(len(list(itertools.product(ENDINGS, STATES))), 15)
