"""Properties: Hypothesis makes up the requests, and each example has servers of its own."""

from __future__ import annotations

from echo_lab import Counter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supertester import IsolatedTestCase
from supertester.otp import Agent, whereis
from supertester.testing import failure_of, inner_case, run_inner

few = settings(max_examples=20, database=None, deadline=None)
numbers = st.lists(st.integers())


class TestCounting(IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        self.assertIsNone(whereis("counter"))
        self.counter = await Counter.start_link(name="counter")

    @few
    @example(numbers=[1, -1])
    @given(numbers=numbers)
    async def test_the_value_is_the_sum_of_what_was_added(self, numbers: list[int]) -> None:
        """Each example counts from zero: it has a counter of its own, of the same name."""
        for number in numbers:
            self.counter.cast(("add", number))
        self.assertEqual(await self.counter.call("value"), sum(numbers))


class TestFailures(IsolatedTestCase):
    def test_a_server_left_running_is_shrunk_too(self) -> None:
        """The smallest example that leaks a process is the one that is shown."""

        @few
        @given(number=st.integers(0, 100))
        async def leaks(_: IsolatedTestCase, number: int) -> None:
            if number > 17:
                await Agent.start(number)

        report = failure_of(leaks)
        self.assertIn("was left running", report)
        self.assertIn("number=18", report)

    def test_the_same_passes_when_the_server_belongs_to_the_test(self) -> None:
        """What `start_link` started is stopped after each example."""

        @few
        @given(number=st.integers(0, 100))
        async def links(_: IsolatedTestCase, number: int) -> None:
            await Agent.start_link(number)

        self.assertTrue(run_inner(inner_case(links)).wasSuccessful())
