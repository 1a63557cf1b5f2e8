"""Interruptions of a run are heard whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import unittest
from collections.abc import Sequence

from tests.runner.suites import begin, finish, folder_with

SENT = """
import os, select, signal, sys, threading
from supertester.runner.interrupts import Interrupts

main = threading.get_ident()

def wait():
    return select.select([interrupts.reader], [], [], 60)[0]

def send():
    while sys._current_frames()[main].f_code is not wait.__code__:
        pass
    os.kill(os.getpid(), signal.SIGTERM)

before = signal.set_wakeup_fd(-1)
with Interrupts() as interrupts:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # So it comes in the other thread.
    threading.Thread(target=send).start()
    heard = wait()
    interrupts.silence()
    print(bool(heard), interrupts.asked, select.select([interrupts.reader], [], [], 0)[0])
print(signal.set_wakeup_fd(-1) == before)
"""

TOLD = {
    "run.py": """
        import os, signal
        from supertester.runner import Options, Silent, load, run

        class Reader(Silent):
            def started(self, test_id, worker, at):
                if "test_waits" in test_id:
                    os.kill(os.getpid(), signal.SIGINT)

            def noted(self, note):
                print(note, flush=True)
                with open("gate", "w"):
                    pass
                with open("after") as after:  # Until another test begins or the worker has ended.
                    print("then", after.readline() or "none")

        os.mkfifo("gate")
        os.mkfifo("after")
        with load(Options(names=("test_two",), jobs=1)) as loaded:
            run(loaded, Options(jobs=1), [Reader()])
    """,
    "test_two.py": """
        import unittest

        class TestFirst(unittest.TestCase):
            def test_waits(self):
                global after
                with open("gate") as gate:
                    gate.read()
                after = open("after", "w", buffering=1)

        class TestSecond(unittest.TestCase):
            def test_later(self):
                after.write("test_later\\n")
    """,
}

OTHER = {
    "run.py": """
        import os, signal
        from supertester.runner import Options, Silent, load, run

        class Sender(Silent):
            def started(self, test_id, worker, at):
                os.kill(os.getpid(), signal.SIGUSR1)

        heard = []
        signal.signal(signal.SIGUSR1, lambda *_: heard.append("heard"))
        with load(Options(names=("test_two",), jobs=1)) as loaded:
            report = run(loaded, Options(jobs=1), [Sender()])
        print(heard, report.executed, report.interrupted, report.notes)
    """,
    "test_two.py": """
        import unittest

        class TestTwo(unittest.TestCase):
            def test_1(self): ...

        class TestLater(unittest.TestCase):
            def test_2(self): ...
    """,
}


IN_PROCESS = {
    "test_three.py": """
        import os, signal, unittest

        class TestThree(unittest.TestCase):
            def test_1(self): ...
            def test_2(self):
                os.kill(os.getpid(), signal.SIGINT)
                if os.environ.get("TWICE"): os.kill(os.getpid(), signal.SIGINT)
            def test_3(self): ...
    """
}


class TestInterruptsOfARunInThisProcess(unittest.TestCase):
    def check(self, *arguments: str, outcomes: Sequence[str], **more: str) -> tuple[str, str]:
        """Run it; return what it said and the report of it."""
        with folder_with(IN_PROCESS) as folder:
            finished = finish(begin(folder, "-v", "-j0", "--junit=junit.xml", *arguments, **more), folder)
            junit = (folder / "junit.xml").read_text()
        self.assertEqual(list(finished.outcomes.values()), outcomes, finished.text)
        self.assertEqual(finished.status, 1, finished.text)
        self.assertIn(f"INTERRUPTED (lost={outcomes.count('LOST')})", finished.text)
        return finished.text, junit

    def test_every_test_has_an_outcome_after_one(self) -> None:
        text, junit = self.check(outcomes=["ok", "LOST", "LOST"])
        for reason in ("interrupted while it ran", "interrupted before it began"):
            self.assertIn(f"LOST: 1 test: {reason}\n", text)
            self.assertIn(f'<error type="lost" message="{reason}">', junit)

    def test_one_that_is_to_be_caught_lets_the_test_end(self) -> None:
        self.check("-c", outcomes=["ok", "ok", "LOST"])
        self.check("-c", TWICE="1", outcomes=["ok", "LOST", "LOST"])

    def test_what_never_began_is_remembered_as_it_was_before(self) -> None:
        with folder_with(
            {**IN_PROCESS, "test_a.py": IN_PROCESS["test_three.py"].replace("SIGINT", "SIGURG")}
        ) as folder:
            finish(begin(folder, "-j0", "test_a.TestThree", "test_three.TestThree.test_1"), folder)
            finish(begin(folder, "-j0", "test_three.TestThree.test_2", "test_a.TestThree"), folder)
            again = finish(begin(folder, "-j0", "--list", "--last-failed", TWICE=""), folder)
        self.assertEqual(again.text, "test_three.TestThree.test_2\n")


@unittest.skipUnless(hasattr(signal, "pthread_sigmask"), "needs signals of threads")
class TestInterrupts(unittest.TestCase):
    def test_are_heard_in_whatever_thread_they_come(self) -> None:
        done = subprocess.run([sys.executable, "-c", SENT], capture_output=True, text=True, check=False, timeout=90)
        self.assertEqual((done.stdout, done.stderr), ("True 2 []\nTrue\n", ""))

    def test_no_test_begins_once_they_are_told_of(self) -> None:
        with folder_with(TOLD) as folder:
            finished = finish(begin(folder, module="run.py"), folder)
        waiting = "interrupted; waiting for test_two.TestFirst.test_waits; once more ends that at once"
        self.assertEqual(finished.text, f"{waiting}\nthen none\n")

    def test_are_no_other_signals_that_the_program_hears(self) -> None:
        with folder_with(OTHER) as folder:
            finished = finish(begin(folder, module="run.py"), folder)
        self.assertEqual(finished.text, "['heard', 'heard'] 2 False ()\n")
