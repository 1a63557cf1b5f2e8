"""A deck of attempts has exactly the share of failures that was asked for."""

from __future__ import annotations

import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from supertester.chaos import FAILURE_TYPES, FailureDeck
from supertester.errors import UsageError


class TestFailureDeck(unittest.TestCase):
    def test_each_block_has_its_exact_share(self) -> None:
        for seed in range(50):
            deck = FailureDeck(0.5, seed=seed)
            for _ in range(6):
                block = [deck.draw() for _ in range(10)]
                self.assertEqual(block.count(None), 5)
            self.assertEqual(deck.drawn, {None: 30, "exit": 10, "timeout": 10, "disconnect": 10})

    def test_a_share_that_is_not_whole_is_carried_on(self) -> None:
        deck = FailureDeck(0.25, ["exit"], seed=1)
        failures = [[deck.draw() for _ in range(10)].count("exit") for _ in range(4)]
        self.assertEqual(failures, [2, 3, 2, 3])
        third = FailureDeck(1 / 3, ["exit"], seed=1)
        self.assertEqual([third.draw() for _ in range(3_000)].count("exit"), 999)

    def test_none_and_all(self) -> None:
        none, every = FailureDeck(0, seed=1), FailureDeck(1, ["exit"], seed=1)
        self.assertEqual({none.draw() for _ in range(30)}, {None})
        self.assertEqual({every.draw() for _ in range(30)}, {"exit"})

    def test_the_seed_decides_the_order(self) -> None:
        decks = [FailureDeck(0.5, seed=seed) for seed in (7, 7, 8)]
        one, same, other = ([deck.draw() for _ in range(40)] for deck in decks)
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_many_threads_draw_from_one_deck(self) -> None:
        deck = FailureDeck(0.5, seed=1)
        with ThreadPoolExecutor(8) as threads:
            drawn = Counter(threads.map(lambda _: deck.draw(), range(1_000)))
        self.assertEqual(drawn[None], 500)
        self.assertEqual(drawn, deck.drawn)

    def test_what_is_delivered_is_noted(self) -> None:
        deck = FailureDeck(0.5, seed=3)
        deck.draw()
        deck.hit("exit", "worker-1", "SIGKILL")
        self.assertEqual(deck.delivered, {"exit": 1})
        self.assertRegex(str(deck.hits[0]), r"^[\d.]+ ms: exit hit 'worker-1': 'SIGKILL'$")
        self.assertEqual(repr(deck), "<FailureDeck, 1 failures delivered in 1 attempts, seed 3>")

    def test_nonsense_is_refused(self) -> None:
        for make, error, message in (
            (lambda: FailureDeck(1.5), UsageError, "failure_rate"),
            (lambda: FailureDeck(0.5, "exit"), TypeError, r"failure_types is a list, got 'exit'; write \['exit'\]"),
            (lambda: FailureDeck(0.5, []), UsageError, "one kind of failure at least"),
            (lambda: FailureDeck(0.5, block=0), UsageError, "block must be 1 or more, got block=0"),
        ):
            with self.subTest(message), self.assertRaisesRegex(error, message):
                make()

    def test_the_usual_kinds(self) -> None:
        deck = FailureDeck(1, block=3, seed=1)
        self.assertEqual({deck.draw() for _ in range(3)}, set(FAILURE_TYPES))
