"""`FailureDeck`: which of many attempts are to fail, and how, in exactly the share that was asked for."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from supertester.chaos.chance import checked_count, checked_rate
from supertester.chaos.journal import ChaosEvent, chosen_seed
from supertester.chaos.random_failures import FAILURE_TYPES
from supertester.errors import UsageError

__all__ = ["FailureDeck"]


class FailureDeck:
    """A shuffled deck of attempts, so many of which fail.

    With a coin for each attempt, 20 requests at a rate of 0.5 would sometimes nearly all succeed, and sometimes hardly
    any. Here each block of attempts has exactly its share of failures, of each kind in turn; only the order within a
    block is left to chance. So a test can ask for a rate of success, and be right each time.

    It does not know how to make anything fail: who draws a kind delivers it, and says so with `hit`. A deck may be used
    by many threads.

    Args:
        failure_rate: The share of the attempts that fail, from 0 to 1.
        failure_types: The kinds of failure, which take turns; any names will do.
        block: How many attempts have their exact share.
        seed: Of the order; by default that of the running test.

    Attributes:
        seed: The same.
        drawn: How many attempts there were of each kind; ``None`` is the kind of those that do not fail.
        hits: The failures that were delivered, oldest first.

    Raises:
        UsageError: The rate is not from 0 to 1, there is no kind, or the block is empty.

    >>> deck = FailureDeck(0.5, ["exit", "timeout"], seed=1)
    >>> draws = [deck.draw() for _ in range(10)]
    >>> draws.count(None), draws.count("exit"), draws.count("timeout")
    (5, 3, 2)
    """

    def __init__(
        self,
        failure_rate: float,
        failure_types: Iterable[str] = FAILURE_TYPES,
        *,
        block: int = 10,
        seed: int | None = None,
    ) -> None:
        if isinstance(failure_types, str):
            raise TypeError(f"failure_types is a list, got {failure_types!r}; write [{failure_types!r}]")
        self._types = tuple(failure_types)
        if not self._types:
            raise UsageError("failure_types must have one kind of failure at least, got none")
        checked_count("block", block)
        self._share = Fraction(str(checked_rate("failure_rate", failure_rate))) * block
        self._block = block
        self.seed = chosen_seed(seed, "FailureDeck")
        self.drawn: Counter[str | None] = Counter()
        self.hits: list[ChaosEvent] = []
        self._random = random.Random(self.seed)
        self._cards: list[str | None] = []
        self._blocks = self._failures = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def draw(self) -> str | None:
        """Return how the next attempt is to fail, or ``None``."""
        with self._lock:
            if not self._cards:
                self._shuffle()
            card = self._cards.pop()
            self.drawn[card] += 1
            return card

    def _shuffle(self) -> None:
        self._blocks += 1
        # What is not whole is carried on, so a share of 2.5 is 2 and 3 in turn.
        count = int(self._share * self._blocks) - self._failures
        kinds = [self._types[(self._failures + each) % len(self._types)] for each in range(count)]
        self._failures += count
        self._cards = [*kinds, *[None] * (self._block - count)]
        self._random.shuffle(self._cards)

    def hit(self, kind: str, target: Any, details: Any = None) -> None:
        """Take note that a failure has been delivered, to whom, and how."""
        at_ms = (time.monotonic() - self._began) * 1000
        with self._lock:
            self.hits.append(ChaosEvent(fault=kind, target=target, at_ms=at_ms, details=details))

    @property
    def delivered(self) -> Counter[str]:
        """How many failures of each kind were delivered."""
        with self._lock:
            return Counter(hit.fault for hit in self.hits)

    def __repr__(self) -> str:
        drawn = sum(self.drawn.values())
        return f"<FailureDeck, {len(self.hits)} failures delivered in {drawn} attempts, seed {self.seed}>"
