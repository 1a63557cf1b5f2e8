"""Descriptors that C code opens: only their number tells."""

import ctypes
import json
import os
import subprocess
import sys
import unittest

from supertester.isolation.leaks import census

PROGRAM = """
import ctypes, json, os, socket
from pathlib import Path
from supertester.testing import inner_case, run_inner

libc = ctypes.CDLL(None)

def leaks(case):
    libc.dup(0)

async def leaks_in_loop(case):
    libc.dup(0)

async def closes(case):
    os.close(libc.dup(0))
    with Path(os.devnull).open(), socket.socket():
        pass


reports = [run_inner(inner_case(body)).report for body in (closes, leaks, closes, leaks_in_loop, closes)]
print(json.dumps(reports))
"""

MOVED = """
import ctypes, json, os
from supertester.isolation.leaks import census
from supertester.testing import inner_case, run_inner

libc = ctypes.CDLL(None)
spare = libc.dup(0)

def clean(case):
    pass

def leaks(case):
    libc.dup(0)

reports = [run_inner(inner_case(clean)).report]
census.count.close()
taken = libc.dup(0)
census.count()  # Opens the folder anew, under another number.
os.close(spare)
reports.append(run_inner(inner_case(leaks)).report)
print(json.dumps(reports))
"""

BESIDE_PLAIN_ONES = """
import ctypes, json, threading, unittest
from supertester.testing import inner_case, run_inner

libc = ctypes.CDLL(None)
begun, opened, over = threading.Event(), threading.Event(), threading.Event()

class Plain(unittest.TestCase):
    def test(self):
        begun.wait()
        libc.dup(0)
        opened.set()
        over.wait()

def clean(case):
    begun.set()
    opened.wait()

other = threading.Thread(target=Plain("test").run)
other.start()
reports = [run_inner(inner_case(clean)).report]
over.set()
other.join()
print(json.dumps(reports))
"""


@unittest.skipUnless(census.count(), "needs a system that counts descriptors")
class TestCensus(unittest.TestCase):
    def test_one_that_c_code_leaves_open_is_found(self) -> None:
        # In a process of its own: here, other tests may run at the same time.
        result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        first, leaks, again, leaks_in_loop, last = json.loads(result.stdout)
        for report in (leaks, leaks_in_loop):
            self.assertRegex(report, r"1\. descriptor \d+, .*, was left open; it was not opened by Python code")
        self.assertEqual([first, again, last], ["", "", ""])

    def test_its_own_is_never_blamed(self) -> None:
        result = subprocess.run([sys.executable, "-c", MOVED], capture_output=True, text=True, check=True)
        self.assertNotRegex(" ".join(json.loads(result.stdout)), "/proc/")

    def test_nor_what_plain_tests_open_in_other_threads(self) -> None:
        result = subprocess.run([sys.executable, "-c", BESIDE_PLAIN_ONES], capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(result.stdout), [""])

    def test_it_speaks_only_of_tests_that_are_alone(self) -> None:
        from supertester.isolation import isolate

        async def leak_beside_another() -> int:
            async with isolate(), isolate():
                number: int = ctypes.CDLL(None).dup(0)
                return number

        import asyncio

        os.close(asyncio.run(leak_beside_another()))
