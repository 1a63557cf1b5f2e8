"""Servers and worker processes in any order, while things go wrong: `Faults` and `SimProcess`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from echo_lab import EchoLab
from echo_lab.counter import Counter
from echo_lab.interpreter import PHRASES, Interpreter, interpret

from supertester import CallExit, IsolatedTestCase, explore
from supertester.otp import call, until_idle, whereis
from supertester.schedule import Faults, explore_schedules, no_more_faults
from supertester.sim_process import SimProcess


async def count_to_two() -> None:
    """Let two clients count at the same time, and look whether the counter knows what it has answered."""
    await EchoLab.start_link(name="echo_lab")
    answers = []

    async def count() -> None:
        with suppress(CallExit):  # Then it was not counted, as far as anybody knows.
            answers.append(await call("counter", ("add", 1)))

    await asyncio.gather(count(), count())
    no_more_faults()
    await until_idle()
    value = await call("counter", "value")
    assert value >= max(answers, default=0), f"{max(answers)} was answered, and the counter says {value}"


async def greet(interpreter: Interpreter) -> None:
    phrase = await interpreter.translate("hello")
    assert phrase in {PHRASES["hello"], None}, f"nobody says {phrase!r}"


class TestServers(IsolatedTestCase):
    @explore(schedules=100, faults=Faults(kill=1))
    async def test_the_application_gets_over_the_end_of_any_server(self) -> None:
        await EchoLab.start_link(name="echo_lab")
        with suppress(CallExit):
            await call("counter", ("add", 1))
        no_more_faults()
        await until_idle()
        for name in ("counter", "echo", "worker_a", "worker_b"):
            self.assertIsNotNone(whereis(name))

    @explore(complete=True)
    async def test_a_counter_counts_in_every_order(self) -> None:
        counter = await self.setup_isolated_genserver(Counter)
        answers = await asyncio.gather(*(counter.call(("add", 1)) for _ in range(3)))
        self.assertEqual(sorted(answers), [1, 2, 3])

    def test_a_counter_that_is_killed_forgets_what_it_has_answered(self) -> None:
        report = explore_schedules(count_to_two, faults=Faults(kill=1, targets="counter"), database=False)
        self.assertIn("kill counter", str(report))
        self.assertIn("was answered, and the counter says 0", str(report))


class TestProcesses(IsolatedTestCase):
    @explore(schedules=100, faults=Faults(kill=1, delay=1))
    async def test_an_interpreter_may_die_at_any_point(self) -> None:
        async with await SimProcess.start(interpret) as process:
            await greet(Interpreter(process))

    async def test_a_real_interpreter_says_the_same(self) -> None:
        async with await SimProcess.start(interpret, live=True) as process:
            await greet(Interpreter(process))
            self.assertEqual(await Interpreter(process).translate("goodbye"), "au revoir")

    def test_whoever_believes_half_a_line_is_told_nonsense(self) -> None:
        async def careless() -> None:
            async with await SimProcess.start(interpret) as process:
                await greet(Interpreter(process, careful=False))

        report = explore_schedules(careless, faults=Faults(kill=1), database=False)
        self.assertIn("nobody says 'bonj'", str(report))
