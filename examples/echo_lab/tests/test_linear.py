"""`supertester.linear`: what callers saw at the same time, against an object that does one thing after the other."""

from __future__ import annotations

import asyncio

from echo_lab import Counter

from supertester import HarnessMixin, IsolatedTestCase
from supertester.linear import History, check_linearizable


class TestHistories(HarnessMixin, IsolatedTestCase):
    async def test_visitors_draw_numbers(self) -> None:
        """Every visitor gets a number of their own, and nobody a lower one than somebody who was there before."""
        counter = await self.setup_isolated_genserver(Counter)
        history = History()

        async def visit(name: str) -> None:
            for _ in range(20):
                token = history.invoke(name, "next")
                history.complete(token, await counter.call(("add", 1)))

        await asyncio.gather(*(visit(name) for name in ("ann", "ben", "cem")))
        self.assert_linearizable(history, "counter")
        self.assertEqual(len(check_linearizable(history, "counter").order), 60)

    def test_the_same_number_twice_is_explained(self) -> None:
        """The few operations that cannot be are named, and drawn."""
        history = History()
        tokens = [history.invoke(name, "next") for name in ("ann", "ben")]
        for token in tokens:
            history.complete(token, 1)
        found = check_linearizable(history, "counter")
        self.assertEqual(found.verdict, "not_linearizable")
        self.assertIn("ann: next() -> 1 and ben: next() -> 1 returned the same", found.explanation)
        self.assertIn("ben: next() -> 1     |", found.explanation)
