"""Interruptions of a run are heard whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import unittest

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
