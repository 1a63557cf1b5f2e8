"""Nothing outlives the process of the tests, however that ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import unittest
from contextlib import suppress
from pathlib import Path

import psutil

from supertester.targets.reaper import Reaper
from tests.targets.orphans import ENDINGS, STATES

ROOT = Path(__file__).parents[2]


def run(ending: str, state: str) -> subprocess.Popen[str]:
    """Begin a program that starts a family and comes to an end of some kind."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.targets.orphans", ending, state],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def left(family: list[psutil.Process]) -> list[psutil.Process]:
    """Return who of the family runs a minute later at the most; a zombie does not."""
    _, alive = psutil.wait_procs([each for each in family if not is_zombie(each)], timeout=60)
    return [each for each in alive if not is_zombie(each)]


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def family_of(program: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that *program* names on its first line, if they still run."""
    assert program.stdout is not None
    numbers = [int(number) for number in program.stdout.readline().split()]
    assert len(numbers) == 3, "it did not start its family"
    found = []
    for number in numbers:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


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

    def test_the_matrix_is_whole(self) -> None:
        self.assertEqual(len(list(itertools.product(ENDINGS, STATES))), 15)
