import os
import re
import threading
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import supertester
from supertester._core.forking import free_in_children
from tests.alone import alone

__tags__ = {"layer": "component"}

MAKERS: list[Callable[[], Any]] = [threading.Lock, threading.RLock, threading.Condition]


def is_free_in_a_child(lock: Any) -> bool:
    """Say whether a process forked by a thread that does not hold *lock* can take it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # This process has threads.
        child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(blocking=False) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@alone("changes the warning filters of the process")
@unittest.skipUnless(hasattr(os, "fork"), "forks")
class TestFreeInChildren(unittest.TestCase):
    def from_another_thread(self, lock: Any) -> bool:
        answers: list[bool] = []
        with lock:
            thread = threading.Thread(target=lambda: answers.append(is_free_in_a_child(lock)))
            thread.start()
            thread.join()
        return answers == [True]

    def test_who_is_forked_finds_a_held_lock_free(self) -> None:
        for make in MAKERS:
            with self.subTest(make=make):
                self.assertFalse(self.from_another_thread(make()))
                self.assertTrue(self.from_another_thread(free_in_children(make())))

    def test_the_locks_that_all_tests_share_are_free_in_children(self) -> None:
        home = Path(supertester.__file__).parent / "isolation"
        held = re.compile(r"^\w+ = threading\.(?:R?Lock|Condition)\(", re.MULTILINE)
        self.assertEqual([str(path) for path in home.rglob("*.py") if held.search(path.read_text())], [])
