from __future__ import annotations

import os
import time
from threading import Thread

from supertester import IsolatedTestCase, UsageError
from supertester.chaos import PipeProxy, journaled


class TestPipeProxy(IsolatedTestCase):
    def setUp(self) -> None:
        self.proxy = PipeProxy(seed=1)
        self.closed: set[int] = set()
        self.reading, self.writing = self.connect()

    def connect(self) -> tuple[int, int]:
        """Return where to read what was written, with the proxy in between."""
        reading, writing = os.pipe()
        read, unchanged = self.proxy.wrap(reading, writing)
        self.assertEqual(unchanged, writing)
        self.addCleanup(os.close, read)
        self.addCleanup(self.hang_up, writing)
        return read, writing

    def hang_up(self, descriptor: int) -> None:
        """Close it, unless the test has done so: by now the number may be another's."""
        if descriptor not in self.closed:
            self.closed.add(descriptor)
            os.close(descriptor)

    def passed(self, data: bytes) -> bytes:
        os.write(self.writing, data)
        return os.read(self.reading, 1 << 16)

    def test_without_a_fault_bytes_pass_as_they_are(self) -> None:
        for data in (b"hello", b"\x00\xff", b"x" * 10_000):
            self.assertEqual(self.passed(data), data)

    def test_more_than_a_pipe_holds_passes(self) -> None:
        os.set_blocking(self.writing, False)
        data, sent, received = os.urandom(1 << 20), 0, bytearray()
        part = 10_000  # No whole number of pages: what comes next passes in parts, too.
        while sent < len(data):
            try:
                sent += os.write(self.writing, data[sent : sent + (1 << 16)])
            except BlockingIOError:
                received += os.read(self.reading, part)
        self.hang_up(self.writing)
        while piece := os.read(self.reading, part):
            received += piece
        self.assertEqual(received, data)

    def test_who_does_not_read_slows_down_who_writes(self) -> None:
        os.set_blocking(self.writing, False)
        with self.proxy.latency(60_000), self.assertRaises(BlockingIOError):
            for _ in range(1 << 20):
                os.write(self.writing, b"x" * 4096)

    def test_the_end_passes_too(self) -> None:
        self.hang_up(self.writing)
        self.assertEqual(os.read(self.reading, 1), b"")

    def test_latency_delays_while_it_is_on(self) -> None:
        began = time.monotonic()
        with self.proxy.latency(50) as fault:
            self.assertEqual(self.passed(b"late"), b"late")
            self.assertGreaterEqual(time.monotonic() - began, 0.05)
        self.assertEqual([str(hit) for hit in fault.hits], ["latency on pipe 0: 50 ms late"])
        self.assertEqual(self.passed(b"in time"), b"in time")
        self.assertEqual(len(fault.hits), 1)

    def test_a_flip_changes_one_bit_once(self) -> None:
        fault = self.proxy.flip()
        changed = self.passed(b"hello")
        difference = [a ^ b for a, b in zip(changed, b"hello", strict=True)]
        self.assertEqual(sum(each.bit_count() for each in difference), 1)
        self.assertIn("bit", fault.hits[0].outcome)
        self.assertEqual(self.passed(b"hello"), b"hello")

    def test_the_same_seed_flips_the_same_bit(self) -> None:
        changed = set()
        for _ in range(2):
            self.proxy = PipeProxy(seed=7)
            self.reading, self.writing = self.connect()
            self.proxy.flip()
            changed.add(self.passed(b"a longer text"))
        self.assertEqual(len(changed), 1)

    def test_garbage_arrives_first(self) -> None:
        self.proxy.insert(b"oops")
        self.assertEqual(self.passed(b"hello"), b"oopshello")

    def test_what_comes_next_arrives_twice(self) -> None:
        self.proxy.duplicate(count=1)
        self.assertEqual(self.passed(b"hello"), b"hellohello")

    def test_a_cut_ends_the_pipe(self) -> None:
        fault = self.proxy.cut(keep=2)
        self.assertEqual(self.passed(b"hello"), b"he")
        self.assertEqual(os.read(self.reading, 1), b"")
        self.assertEqual(fault.hits[0].outcome, "after 2 of 5 bytes")

    def test_silence_loses_all(self) -> None:
        with self.proxy.silence(count=1):
            os.write(self.writing, b"lost")
            while not self.proxy._faults[0].hits:
                time.sleep(0)
        self.assertEqual(self.passed(b"hello"), b"hello")

    def test_it_hits_so_many_on_any_pipe(self) -> None:
        first = self.reading, self.writing
        fault = self.proxy.duplicate(count=2)
        self.passed(b"a")
        self.reading, self.writing = self.connect()
        self.assertEqual(self.passed(b"b"), b"bb")
        self.reading, self.writing = first
        self.assertEqual(self.passed(b"c"), b"c")
        self.assertEqual([hit.connection for hit in fault.hits], [0, 1])

    def test_hits_are_in_the_journal(self) -> None:
        with journaled() as journal:
            self.proxy = PipeProxy()
            self.reading, self.writing = self.connect()
            self.proxy.duplicate()
            self.passed(b"a")
        self.assertEqual([(event.fault, event.target) for event in journal.events], [("duplicate", "pipe 0")])

    def test_it_may_be_made_in_a_thread_and_outside_of_a_test(self) -> None:
        made: list[PipeProxy] = []
        thread = Thread(target=lambda: made.append(PipeProxy()))
        thread.start()
        thread.join()
        [self.proxy] = made
        self.addCleanup(self.proxy.close)
        self.reading, self.writing = self.connect()
        self.proxy.duplicate()
        self.assertEqual(self.passed(b"a"), b"aa")

    def test_nonsense_is_refused(self) -> None:
        for call in (lambda: self.proxy.latency(-1), lambda: self.proxy.cut(keep=-1), lambda: self.proxy.flip(count=0)):
            with self.assertRaises(UsageError):
                call()
        self.proxy.close()
        with self.assertRaisesRegex(UsageError, "the proxy is closed"):
            self.proxy.wrap(0, 1)
