"""`supertester.tracing`: the messages between servers."""

from __future__ import annotations

from echo_lab import Counter
from echo_lab.worker import Worker

from supertester import IsolatedTestCase, OTPAssertions


class TestTracing(OTPAssertions, IsolatedTestCase):
    async def test_delivered_messages_are_recorded(self) -> None:
        """Both jobs reach the worker, in order."""
        worker = await self.setup_isolated_genserver(Worker)

        async def give_jobs() -> None:
            worker.cast("wash")
            worker.cast("dry")

        trace = await self.trace_messages(worker, give_jobs)
        self.assertEqual(trace.messages, ("wash", "dry"))

    async def test_a_conversation_is_drawn(self) -> None:
        """A worker says goodbye to its journal: the diagram shows it."""
        journal = await self.setup_isolated_genserver(Counter, name="journal")
        with self.trace("journal") as flow:
            await journal.call("value")
        self.assertIn("call 'value'", flow.diagram())
