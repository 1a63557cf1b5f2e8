"""What is kept of output that grows and grows."""

from __future__ import annotations

import os
import sys
import unittest

from supertester.runner.capture import MOST, Capture, open_file
from supertester.runner.holes import free_middle

MEGABYTE = 1024 * 1024


class TestCapture(unittest.TestCase):
    def setUp(self) -> None:
        self.file = open_file("output")
        self.addCleanup(os.close, self.file)
        self.worker, self.parent = Capture(self.file), Capture(self.file)

    def write(self, megabytes: int, end: bytes = b"") -> None:
        for _ in range(megabytes):
            os.write(self.file, b"x" * MEGABYTE)
        os.write(self.file, end)

    @property
    def held(self) -> int:
        """Bytes of memory that the file takes."""
        return os.fstat(self.file).st_blocks * 512

    def test_what_is_short_is_kept_whole(self) -> None:
        self.write(0, b"said")
        self.parent.limit()
        self.assertEqual(self.worker.take(), "said")
        self.assertEqual(self.worker.take(), "")

    def test_of_what_is_long_the_middle_is_left_out(self) -> None:
        self.write(1, b"the end")
        half = MOST // 2
        end = "x" * (half - 7) + "the end"
        self.assertEqual(self.worker.take(), f"{'x' * half}\n... {MEGABYTE + 7 - MOST} bytes left out ...\n{end}")

    @unittest.skipUnless(sys.platform == "linux", "holes are punched on Linux alone")
    def test_while_it_is_written_its_middle_is_freed_and_its_end_never_is(self) -> None:
        self.write(20, b"the end")
        self.parent.limit()
        self.assertLess(self.held, MEGABYTE)
        self.write(20, b", the last")
        self.parent.limit()
        self.assertLess(self.held, MEGABYTE)
        text = self.worker.take()
        self.assertTrue(text.startswith("xxx"), text[:10])
        self.assertTrue(text.endswith("xxx, the last"), text[-20:])
        self.assertIn(f"\n... {40 * MEGABYTE + 17 - MOST} bytes left out ...\n", text)
        self.assertNotIn("\0", text)

    @unittest.skipUnless(sys.platform == "linux", "holes are punched on Linux alone")
    def test_the_next_test_is_limited_as_the_first_was(self) -> None:
        self.write(40)
        self.parent.limit()
        self.worker.take()
        self.write(0, b"next")
        self.parent.limit()
        self.assertEqual(self.worker.take(), "next")
        self.write(20)
        self.parent.limit()
        self.assertLess(self.held, MEGABYTE)

    @unittest.skipUnless(sys.platform == "linux", "holes are punched on Linux alone")
    def test_what_can_have_no_holes_is_refused(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        with self.assertRaises(OSError):
            free_middle(writer, 0, 4096)
