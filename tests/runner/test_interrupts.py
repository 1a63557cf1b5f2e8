"""Interruptions of a run are heard whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import unittest

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


@unittest.skipUnless(hasattr(signal, "pthread_sigmask"), "needs signals of threads")
class TestInterrupts(unittest.TestCase):
    def test_are_heard_in_whatever_thread_they_come(self) -> None:
        done = subprocess.run([sys.executable, "-c", SENT], capture_output=True, text=True, check=False, timeout=90)
        self.assertEqual((done.stdout, done.stderr), ("True 2 []\nTrue\n", ""))
