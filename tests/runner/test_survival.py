"""Nothing survives a run: no process, no matter how the run ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from supertester._core.waiting import wait_until
from tests.runner.suites import Finished, begin, finish, folder_with, run_suite

FILES = {
    "test_waiting.py": """
        import os, signal, subprocess, sys, threading, unittest

        WAIT = [sys.executable, "-c", "import signal; signal.pause()"]

        def say(line):
            with open(os.environ["MARKS"], "a") as file:
                file.write(line + "\\n")

        class TestWaiting(unittest.TestCase):
            def test_waits(self):
                children = [subprocess.Popen(WAIT), subprocess.Popen(WAIT, start_new_session=True)]
                if os.fork() == 0:
                    os.setsid()
                    if os.fork():
                        os._exit(0)
                    say(f"pid {os.getpid()}")
                    signal.pause()
                for child in children:
                    say(f"pid {child.pid}")
                say(f"worker {os.getpid()}")
                say(f"zygote {os.getppid()}")
                with open(os.environ["GATE"]) as gate:
                    gate.read()
                for child in children:
                    child.kill()
                    child.wait()

        class TestZLater(unittest.TestCase):
            def test_later(self): ...
    """
}
PIDS = 5
"""Lines that the test says before it waits."""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until *condition* holds, in a test without an event loop."""
    asyncio.run(wait_until(condition, what, timeout=30))


class _Run:
    """A run whose first test waits, with three child processes, one of them a daemon."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, gate: Path) -> None:
        self.process = process
        self._folder = folder
        self._gate = gate

    @property
    def _lines(self) -> list[list[str]]:
        marks = self._folder / "marks"
        return [line.split() for line in marks.read_text().splitlines()] if marks.exists() else []

    def wait_until_it_waits(self) -> None:
        """Wait for the test to be where it waits."""
        wait_for(lambda: self.is_complete or self.process.poll() is not None, "five lines")

    @property
    def is_complete(self) -> bool:
        """Whether the test has started all its processes."""
        return len(self._lines) >= PIDS

    @property
    def pids(self) -> list[int]:
        return [int(value) for name, value in self._lines if name != "zygote"]

    def pid_of(self, name: str) -> int:
        return next(int(value) for each, value in self._lines if each == name)

    def open_gate(self) -> None:
        """Let the test go on."""
        self._gate.write_text("")

    def finish(self) -> Finished:
        return finish(self.process, self._folder)


@contextmanager
def waiting_run(*arguments: str) -> Iterator[_Run]:
    with folder_with(FILES) as folder:
        gate = folder / "gate"
        os.mkfifo(gate)
        process = begin(folder, "-v", *arguments, GATE=str(gate))
        run = _Run(process, folder, gate)
        try:
            run.wait_until_it_waits()
            yield run
        finally:
            process.kill()
            process.communicate()
            for pid in run.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Say whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@unittest.skipUnless(Path("/proc/self/task").is_dir(), "orphans are found, and adopted, on Linux")
class TestNothingSurvives(unittest.TestCase):
    arguments: tuple[str, ...] = ()

    def check_nothing_is_left(self, run: _Run) -> None:
        pids = run.pids
        self.assertEqual(len(pids), PIDS - 1)
        wait_for(lambda: not any(map(is_alive, pids)), "the end of all processes")

    def interrupt(self, run: _Run, number: int) -> None:
        os.killpg(run.process.pid, number)

    def after(self, end: Callable[[_Run], object], *arguments: str) -> Finished:
        with waiting_run(*self.arguments, *arguments) as run:
            end(run)
            finished = run.finish()
            self.check_nothing_is_left(run)
            return finished

    def test_after_a_run_that_ends_by_itself(self) -> None:
        finished = self.after(lambda run: run.open_gate())
        self.assertEqual(finished.outcomes, {"test_waits TestWaiting": "ok", "test_later TestZLater": "ok"})
        self.assertEqual(finished.status, 0, finished.text)

    def test_after_the_runner_was_killed(self) -> None:
        finished = self.after(lambda run: run.process.kill())
        self.assertEqual(finished.status, -signal.SIGKILL)

    def test_after_the_runner_and_the_zygote_were_killed(self) -> None:
        def end(run: _Run) -> None:
            os.kill(run.pid_of("zygote"), signal.SIGSTOP)  # So that it cannot do anything about it.
            run.process.kill()
            with suppress(ProcessLookupError):  # Who is stopped is hung up on when his session ends.
                os.kill(run.pid_of("zygote"), signal.SIGKILL)

        with waiting_run(*self.arguments) as run:
            end(run)
            run.finish()
            worker = run.pid_of("worker")
            wait_for(lambda: not is_alive(worker), "the end of the worker")

    def test_after_the_zygote_was_killed(self) -> None:
        finished = self.after_zygote()
        self.assertIn("no more workers: the process that begins workers is gone", finished.text)
        self.assertEqual(finished.outcomes["test_waits TestWaiting"], "CRASHED", finished.text)
        self.assertEqual(finished.outcomes["test_later TestZLater"], "LOST", finished.text)
        self.assertEqual(finished.status, 1)

    def after_zygote(self) -> Finished:
        with waiting_run(*self.arguments) as run:
            os.kill(run.pid_of("zygote"), signal.SIGKILL)
            finished = run.finish()
            worker = run.pid_of("worker")
            wait_for(lambda: not is_alive(worker), "the end of the worker")
            return finished

    def test_after_the_runner_was_told_to_end(self) -> None:
        finished = self.after(lambda run: run.process.terminate())
        self.assertIn("interrupted; ended at once: test_waiting.TestWaiting.test_waits", finished.text)
        self.assertEqual(finished.status, 1, finished.text)

    def test_one_interruption_lets_the_running_test_end(self) -> None:
        def end(run: _Run) -> None:
            self.interrupt(run, signal.SIGINT)
            assert run.process.stdout is not None
            said = run.process.stdout.readline()
            self.assertIn("interrupted; waiting for test_waiting.TestWaiting.test_waits; once more", said)
            run.open_gate()

        finished = self.after(end)
        self.assertEqual(
            finished.outcomes, {"test_waits TestWaiting": "ok", "test_later TestZLater": "LOST"}, finished.text
        )
        self.assertIn("LOST: 1 test: interrupted before it began\n", finished.text)
        self.assertIn("declared 2, executed 1", finished.text)
        self.assertIn("INTERRUPTED (lost=1)", finished.text)
        self.assertEqual(finished.status, 1, finished.text)

    def test_two_interruptions_end_it_at_once(self) -> None:
        def end(run: _Run) -> None:
            assert run.process.stdout is not None
            self.interrupt(run, signal.SIGINT)
            run.process.stdout.readline()
            self.interrupt(run, signal.SIGINT)

        finished = self.after(end)
        self.assertIn("LOST: 1 test: interrupted while it ran", finished.text)
        self.assertEqual(finished.status, 1, finished.text)

    def test_after_the_runner_was_killed_while_a_module_was_imported(self) -> None:
        files = {
            "test_slow.py": """
                import os, signal
                with open(os.environ["MARKS"], "a") as file:
                    file.write(f"{os.getpid()}\\n")
                signal.pause()
            """
        }
        with folder_with(files) as folder:
            process = begin(folder, *self.arguments)
            marks = folder / "marks"
            wait_for(lambda: marks.exists() and marks.read_text().endswith("\n"), "the import")
            process.kill()
            finish(process, folder)
            zygote = int(marks.read_text())
            wait_for(lambda: not is_alive(zygote), "the end of the process that loads tests")

    def test_after_a_test_that_was_killed_for_its_time(self) -> None:
        for limit in (0.2, 1, 5, 25):
            with waiting_run(f"--timeout={limit}", "--grace=0.2") as run:
                finished = run.finish()
                if run.is_complete:  # On a busy machine a short time may be over before all of them are there.
                    self.check_nothing_is_left(run)
                    break
        else:
            self.fail("the test never came to where it waits")
        self.assertEqual(finished.outcomes, {"test_waits TestWaiting": "TIMEOUT", "test_later TestZLater": "ok"})


DYING_IDLE = {
    "test_dying_idle.py": """
        import os, sys, threading, unittest

        if not os.path.exists("gate"):
            os.mkfifo("gate")
        main = threading.main_thread().ident

        def end_process_when_it_waits_for_work():
            while not sys._current_frames()[main].f_locals.get("waited"):
                pass
            os._exit(3)

        class TestDies(unittest.TestCase):
            def test_dies(self):
                global gate
                gate = open("gate", "w")  # When another worker has opened it.
                threading.Thread(target=end_process_when_it_waits_for_work, daemon=True).start()

        class TestWaits(unittest.TestCase):
            def test_waits(self):
                with open("gate") as gate:
                    gate.read()  # Until the other worker has ended.
    """
}


class TestNothingIsHushedUp(unittest.TestCase):
    def test_the_death_of_a_worker_between_its_tests_fails_the_run(self) -> None:
        finished = run_suite(DYING_IDLE, "-j2")
        self.assertEqual(finished.count("ok"), 2, finished.text)
        self.assertRegex(finished.text, r"the end of worker \d \.\.\. CRASHED")
        self.assertRegex(finished.text, r"its worker process ended with exit status 3, in worker \d, between tests")
        self.assertEqual(finished.status, 1, finished.text)


class TestNothingOfSpawnedWorkersSurvives(TestNothingSurvives):
    arguments = ("--start-method=spawn",)
