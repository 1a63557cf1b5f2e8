"""`supertester.state_machines`: callers at once, checked against a model that knows nothing of concurrency."""

from __future__ import annotations

from typing import Any

from echo_lab import Counter
from hypothesis import given, settings
from hypothesis import strategies as st

from supertester import HarnessMixin, IsolatedTestCase
from supertester.programs import Program, Step, explore_program, programs, replay_program, run_program, told
from supertester.state_machines import ConcurrentStateMachine, rule


class Sum:
    """What a counter is for one caller at a time."""

    def __init__(self) -> None:
        self.sum = 0

    def value(self) -> int:
        return self.sum

    def add(self, n: int) -> int:
        self.sum += n
        return self.sum


class CounterMachine(ConcurrentStateMachine):
    """Whatever callers do to a counter at the same time, it answers as if they took turns."""

    model = Sum
    settings = settings(max_examples=20, deadline=None)

    async def setup(self) -> Any:
        return await Counter.start_link()

    @rule()
    async def value(self, counter: Any) -> Any:
        return await counter.call("value")

    @rule(n=st.integers(1, 3))
    async def add(self, counter: Any, n: int) -> Any:
        return await counter.call(("add", n))


class ImpatientMachine(CounterMachine):
    """A client that does not wait until its cast has been handled, and guesses what came of it."""

    @rule(n=st.integers(1, 3))
    async def add(self, counter: Any, n: int) -> Any:
        before = await counter.call("value")
        counter.cast(("add", n))
        return before + n


class ExploredMachine(CounterMachine):
    """The same, each program under ten schedules."""

    explore = 10


CounterTest = CounterMachine.TestCase
ExploredTest = ExploredMachine.TestCase


class TestPrograms(HarnessMixin, IsolatedTestCase):
    @settings(max_examples=10, deadline=None)
    @given(program=programs(CounterMachine))
    async def test_programs_are_drawn_like_other_arguments(self, program: Program) -> None:
        """A test of one's own draws programs too."""
        await self.assert_linearizable_program(program)

    def test_a_guess_is_found_under_some_schedule(self) -> None:
        """The schedule that fails is shrunk, explained, and replayed."""
        program = Program(ImpatientMachine, branches=[[Step("add", (1,))], [Step("value")]])
        report = explore_program(program, schedules=200, seed=1, database=False)
        assert report.failing is not None
        self.assertIn("value() -> ", told(report))
        self.assertFalse(replay_program(program, report.failing.token).ok)

    async def test_a_guess_is_found_out(self) -> None:
        """Two impatient clients at once: both guess the same sum."""
        report = await run_program(Program(ImpatientMachine, branches=[[Step("add", (1,))], [Step("add", (1,))]]))
        self.assertEqual(report.verdict, "not_linearizable")
        self.assertIn("add(1) -> 1, but there it returns 2", report.explanation)
