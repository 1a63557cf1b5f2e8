from __future__ import annotations

import threading
import unittest
from unittest import mock

from supertester import attachments
from supertester.attachments import MOST, attach, collected, is_collecting
from tests.alone import alone


@alone("what is attached outside of any collection belongs to the only one there is")
class TestAttach(unittest.TestCase):
    def setUp(self) -> None:
        # The run that this test is of may collect as well.
        self.enterContext(mock.patch.object(attachments, "_open", []))

    def test_what_is_attached_is_kept_in_order(self) -> None:
        with collected() as attached:
            attach("plan", "Seq Scan")
            attach("page", "<p>", kind="text/html")
        self.assertEqual(
            [(each.name, each.content, each.kind) for each in attached],
            [("plan", "Seq Scan", None), ("page", "<p>", "text/html")],
        )

    def test_where_nobody_collects_nothing_is_kept(self) -> None:
        self.assertFalse(is_collecting())
        attach("plan", "Seq Scan")

    def test_it_is_bounded_and_says_so(self) -> None:
        with collected() as attached:
            self.assertTrue(is_collecting())
            for number in range(MOST + 3):
                attach(f"n{number}", "x")
            self.assertFalse(is_collecting())
        self.assertEqual(len(attached), MOST + 1)
        self.assertEqual(attached[-1].content, "3 more attachments")

    def test_a_thread_attaches_to_the_only_test_there_is(self) -> None:
        with collected() as attached:
            thread = threading.Thread(target=attach, args=("from a thread", "x"))
            thread.start()
            thread.join()
        self.assertEqual([each.name for each in attached], ["from a thread"])

    def test_tests_beside_each_other_do_not_mix(self) -> None:
        both, found = threading.Barrier(2), {}

        def one(name: str) -> None:
            with collected() as attached:
                both.wait(30)
                attach(name, name)
                both.wait(30)
            found[name] = [each.name for each in attached]

        threads = [threading.Thread(target=one, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {"a": ["a"], "b": ["b"]})

    def test_misuse_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "the name of an attachment is a text, got 3"):
            attach(3, "x")  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "an attachment of the kind 'text/html' is a text, got int"):
            attach("x", 3, kind="text/html")
