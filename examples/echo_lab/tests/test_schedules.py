"""Which order of steps breaks it: `supertester.explore` and `supertester.schedule`."""

from __future__ import annotations

import asyncio
from functools import partial

from echo_lab.bar import Bar
from echo_lab.counter import Counter

from supertester import HarnessMixin, IsolatedTestCase, Scenario, explore
from supertester.schedule import explore_schedules, replay_schedule, watch_invariant


class QuickTill:
    """Takes the money at once; a real one does not."""

    async def charge(self, guest: str) -> None:
        await asyncio.sleep(0)


async def last_glass(*, careful: bool) -> None:
    bar = Bar(1, QuickTill(), careful=careful)

    async def late() -> None:
        for _ in range(3):  # hangs up his coat
            await asyncio.sleep(0)
        await bar.order("Ben")

    await asyncio.gather(bar.order("Ann"), late())
    assert bar.glasses == 0, f"{bar.glasses} glasses left, served to {bar.served}"


async def ask(port: int, guest: str) -> str:
    """Order a glass through the hatch."""
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(f"{guest}\n".encode())
    answer = await reader.readline()
    writer.close()
    return answer.decode().strip()


class TestSchedules(HarnessMixin, IsolatedTestCase):
    @explore(schedules=200)
    async def test_a_test_holds_in_every_order_of_its_steps(self) -> None:
        await last_glass(careful=True)

    @explore(schedules=200)
    async def test_an_invariant_holds_after_every_step(self) -> None:
        bar = Bar(2, QuickTill())
        watch_invariant(lambda: bar.glasses >= 0, name="the keg is not overdrawn")
        served = await asyncio.gather(*(bar.order(f"guest {number}") for number in range(4)))
        self.assertEqual(sum(served), 2)

    @explore(schedules=100)
    async def test_a_server_holds_however_late_what_is_sent_to_it_arrives(self) -> None:
        bar = Bar(2, QuickTill())

        async def hatch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            guest = (await reader.readline()).decode().strip()
            writer.write(b"here you are\n" if await bar.order(guest) else b"sorry\n")
            writer.close()

        server = await asyncio.start_server(hatch, "localhost", 8080)
        answers = await asyncio.gather(*(ask(8080, guest) for guest in ("Ann", "Ben", "Cleo")))
        server.close()
        self.assertEqual(sorted(answers), ["here you are", "here you are", "sorry"])

    def test_a_bug_is_found_that_asyncio_itself_does_not_show(self) -> None:
        report = explore_schedules(partial(last_glass, careful=False), database=False)
        assert report.failing is not None
        self.assertEqual((report.failing.feasible, report.failing.switches), ("await", 1))
        self.assertRegex(report.failing.conflicts[0], r"^`self\.glasses`: late writes it at bar\.py:\d+, after ")

    def test_all_schedules_with_one_preemption_are_run_and_a_second_customer_is_careful(self) -> None:
        report = explore_schedules(partial(last_glass, careful=True), strategy="bounded:1", database=False)
        assert report.ok and report.coverage is not None
        self.assertEqual(report.coverage.preemptions, 1)

    def test_its_token_replays_it(self) -> None:
        program = partial(last_glass, careful=False)
        found = explore_schedules(program, database=False).failing
        assert found is not None
        again = replay_schedule(program, found.token).failing
        assert again is not None
        self.assertEqual(again.sentence, found.sentence)

    def test_a_scenario_holds_in_every_order_of_its_messages(self) -> None:
        scenario = Scenario(Counter.start_link, [[("cast", ("add", 1))], [("cast", ("add", 1))]])
        self.explore_scenario(scenario, schedules=50, database=False)
