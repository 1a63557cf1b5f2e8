"""Half of all attempts fail, in three ways, each of them real; who tries again gets answers."""

from __future__ import annotations

import signal
from typing import Any

from session_pool import PythonPort, SessionPoolError

from supertester import HarnessMixin
from supertester.chaos import FailureDeck, PipeProxy
from tests.support import PATIENCE, TROUBLE, PoolCase

CALLS = 20


class FailingPort(PythonPort):
    """Has a fault delivered to its process before the calls that a deck says are to fail."""

    deck: FailureDeck
    proxy: PipeProxy

    def call(self, command: str, args: Any = None, *, session: str | None = None, timeout: float = 30.0) -> Any:
        kind = self.deck.draw() if command == "echo" else None
        if kind == "exit":
            self._signal(signal.SIGKILL)
        elif kind == "timeout":
            self._signal(signal.SIGSTOP)
            timeout = 0.1
        elif kind == "disconnect":
            self.proxy.cut()
        if kind is not None:
            self.deck.hit(kind, self.pid)
        return super().call(command, args, session=session, timeout=timeout)

    def _signal(self, number: int) -> None:
        assert self.child is not None
        assert self.child.signal_group(number), "no fault was delivered"


class TestRandomFailures(HarnessMixin, PoolCase):
    async def outcomes(self, attempts: int) -> tuple[FailureDeck, list[Any]]:
        """Return what came of calls that may try so often."""
        deck = FailureDeck(0.5)

        def start() -> FailingPort:
            proxy = PipeProxy()
            self.addCleanup(proxy.close)
            port = FailingPort.spawn(pool_name, argv=TROUBLE, wrap=proxy.wrap)
            port.deck, port.proxy = deck, proxy
            return port

        pool_name = f"failing-{id(self)}-{attempts}"
        pool = self.start_pool(port_factory=start, max_restarts=1_000)

        def call(number: int) -> Any:
            for left in reversed(range(attempts)):
                try:
                    return pool.execute_anonymous("echo", {"value": number}, pool_timeout=PATIENCE)["value"]
                except SessionPoolError:
                    if not left:
                        raise
            return None

        outcomes = await self.run_in_threads(CALLS, call, timeout=60)
        self.assertEqual(deck.delivered.total(), deck.drawn.total() - deck.drawn[None])
        for number, outcome in enumerate(outcomes):
            self.assertTrue(not outcome.ok or outcome.value == number)
        return deck, outcomes

    async def test_three_of_four_calls_succeed_that_may_try_four_times(self) -> None:
        """That is no matter of luck.

        A call that fails has used up 4 of the failures. Of n attempts no more than n/2 + 5 fail, since each ten have
        exactly five, so of 20 calls at most 5 can.
        """
        deck, outcomes = await self.outcomes(attempts=4)
        self.assert_success_rate(outcomes, 0.75, evidence=deck.hits)
        self.assertEqual({*deck.delivered}, {"exit", "timeout", "disconnect"}, "all kinds were delivered")
        self.assertGreaterEqual(deck.delivered.total(), 10)

    async def test_without_trying_again_half_of_them_fail(self) -> None:
        deck, outcomes = await self.outcomes(attempts=1)
        with self.assertRaisesRegex(AssertionError, r"10 of 20 succeeded \(50.000%\), expected at least 75.000%"):
            self.assert_success_rate(outcomes, 0.75, evidence=deck.hits)
