from __future__ import annotations

import unittest

from supertester._core.evidence import difference, history_of, shown
from supertester.otp import KILL, KILLED
from tests.otp.support import RuntimeCase
from tests.subjects import Counter


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError("planted")


class Alike:
    def __repr__(self) -> str:
        return "alike"


class TestShowing(unittest.TestCase):
    def test_long_values_are_shortened(self) -> None:
        self.assertEqual(len(shown("x" * 10_000)), 303)

    def test_a_failing_repr_does_not_fail_the_report(self) -> None:
        self.assertIn("Unshowable object at", shown(Unshowable()))
        self.assertIn("Unshowable object at", difference(1, Unshowable()))

    def test_values_that_look_alike_are_told_apart_by_their_classes(self) -> None:
        self.assertEqual(difference(Alike(), Alike()), "- a Alike\n+ a Alike, which looks alike but is not equal")


class TestHistory(RuntimeCase):
    runtime_options = {"history": 4}  # noqa: RUF012

    async def test_has_messages_and_ends_of_the_subjects_and_ends_of_others(self) -> None:
        first, second = await self.start(Counter), await self.start(Counter)
        first.cast(("add", 1))
        await first.call("value")
        first.exit(KILL)
        second.exit(KILL)
        self.assertEqual(
            history_of(first, None),
            ["cast ('add', 1)", "call 'value'", f"exit {KILLED!r}", f"death of {second!r}"],
        )
        self.assertEqual(history_of(second, first)[0], f"{second!r}: exit {KILLED!r}")

    async def test_of_nobody_is_empty(self) -> None:
        self.assertEqual(history_of(None), [])
