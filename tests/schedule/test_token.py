"""Replay tokens: they mean the same everywhere, and say what is wrong with them."""

from __future__ import annotations

import random
import unittest

from supertester.errors import UsageError
from supertester.schedule.token import Schedule, Switch, fingerprint

SCHEDULE = Schedule((Switch((0, 1), 4, (0, 2)), Switch((0, 2, 170), 300, (0,))), choices=512, seed=2**48, program=77)


def path(numbers: random.Random) -> tuple[int, ...]:
    return tuple(numbers.randrange(300) for _ in range(numbers.randrange(1, 6)))


class TestSchedule(unittest.TestCase):
    def test_it_comes_back_from_its_token(self) -> None:
        numbers = random.Random(1)
        for _ in range(200):
            switches = tuple(
                Switch(path(numbers), numbers.randrange(9_000), path(numbers)) for _ in range(numbers.randrange(8))
            )
            schedule = Schedule(switches, numbers.randrange(10_000), numbers.randrange(2**50), numbers.randrange(2**16))
            self.assertEqual(Schedule.of_token(schedule.token()), schedule)

    def test_a_token_of_a_fault_comes_back(self) -> None:
        schedule = Schedule((Switch((0,), 2, (-1, 2193425103)), Switch((0, 1), 5, (-2,))), choices=9)
        self.assertEqual(Schedule.of_token(schedule.token()), schedule)

    def test_a_token_is_one_word(self) -> None:
        self.assertRegex(SCHEDULE.token(), r"^s1\.[\w-]+$")

    def test_a_token_of_today_is_read_for_ever(self) -> None:
        schedule = Schedule((Switch((0, 1), 4, (0,)), Switch((0,), 9, (-1, 7))), choices=20, seed=5, program=77)
        self.assertEqual(Schedule.of_token("s1.eNoTYfVlYmFiYmZk4mRkYmLkBAAGygCP"), schedule)

    def test_white_space_around_it_is_no_part_of_it(self) -> None:
        self.assertEqual(Schedule.of_token(f"  {SCHEDULE.token()}\n"), SCHEDULE)

    def test_a_damaged_token_says_so(self) -> None:
        token = SCHEDULE.token()
        for damaged in (token[:-3], token[:9] + "A" + token[10:], "s1.", "s1.????", "s1.e"):
            with self.subTest(damaged), self.assertRaisesRegex(UsageError, "is damaged; copy the whole line"):
                Schedule.of_token(damaged)

    def test_a_token_of_another_version_names_both(self) -> None:
        with self.assertRaisesRegex(UsageError, "has format 's9', and this version of the library reads 's1'"):
            Schedule.of_token("s9.abc")

    def test_what_is_no_token_says_so(self) -> None:
        with self.assertRaisesRegex(UsageError, "'seed 5' is no replay token; one begins with 's1.'"):
            Schedule.of_token("seed 5")
        with self.assertRaisesRegex(TypeError, "a replay token is a text such as"):
            Schedule.of_token(5)  # type: ignore[arg-type]


class TestFingerprint(unittest.TestCase):
    def test_it_tells_names_apart_and_is_the_same_everywhere(self) -> None:
        self.assertEqual(fingerprint("test_a"), fingerprint("test_a"))
        self.assertNotEqual(fingerprint("test_a"), fingerprint("test_b"))
        self.assertEqual(fingerprint("test_bank.BankTest.test_transfer"), 58347)
