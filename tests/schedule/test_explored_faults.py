"""Faults in explored programs of processes: found, shrunk away where a failure does not need them, and replayed."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from supertester.errors import CallExit, UsageError
from supertester.otp import (
    Agent,
    ChildSpec,
    GenServer,
    Runtime,
    Supervisor,
    call,
    self_pid,
    send,
    until_idle,
)
from supertester.schedule import ExplorationReport, explore_schedules, replay_schedule
from supertester.schedule.faults import Faults, no_more_faults
from supertester.sim_process import SimProcess, Stdio


class Store(GenServer):
    """Says that it has something before it writes it down."""

    def init(self, disk: list[int]) -> None:
        self.disk = disk

    def handle_call(self, item: int, sender: Any) -> str:
        send(self_pid(), item)
        return "stored"

    def handle_info(self, item: int) -> None:
        self.disk.append(item)


async def storing() -> None:
    disk: list[int] = []
    stored: list[int] = []
    async with Runtime() as runtime:
        token = runtime.activate(runtime.new_root())
        await Supervisor.start_link([ChildSpec("store", Store, (disk,), kwargs={"name": "store"})])

        async def put(item: int) -> None:
            try:
                await call("store", item, timeout=2)
            except CallExit:
                return
            stored.append(item)

        await asyncio.gather(*(put(item) for item in range(3)))
        no_more_faults()
        await until_idle(timeout=100)
        runtime.deactivate(token)
    assert set(stored) <= set(disk), f"lost: {set(stored) - set(disk)}"


def explored(program: Any, **options: Any) -> ExplorationReport:
    return explore_schedules(program, database=False, seed=1, **options)


class TestExploredFaults(unittest.TestCase):
    def test_without_faults_nothing_is_lost(self) -> None:
        self.assertIsNone(explored(storing, schedules=200).failing)

    def test_a_kill_loses_what_was_acknowledged_and_nothing_else_is_in_the_report(self) -> None:
        faults = Faults(kill=1, drop=1, delay=1, duplicate=1)
        report = explored(storing, faults=faults)
        assert report.failing is not None
        text = str(report)
        self.assertIn("kill store", text)
        self.assertNotIn("drop the call", text)
        self.assertNotIn("delay the call", text)
        again = replay_schedule(storing, report.failing.token, faults=faults)
        assert again.failing is not None
        self.assertIn("lost: {", str(again))

    def test_a_failure_that_needs_no_fault_is_shown_without(self) -> None:
        async def racing() -> None:
            async with Runtime():
                agent = await Agent.start(0)

                async def add() -> None:
                    before = await Agent.get(agent)
                    await Agent.update(agent, lambda _: before + 1)

                await asyncio.gather(add(), add(), return_exceptions=True)
                no_more_faults()
                assert not agent.is_alive() or await Agent.get(agent) == 2, "an update is lost"

        report = explored(racing, faults=Faults(delay=3, duplicate=2))
        assert report.failing is not None
        self.assertNotIn("(fault)", str(report))

    def test_the_token_of_a_fault_needs_the_faults(self) -> None:
        report = explored(storing, faults=Faults(kill=1))
        assert report.failing is not None
        with self.assertRaises(UsageError):
            replay_schedule(storing, report.failing.token)

    def test_half_a_line_of_a_worker_that_is_killed(self) -> None:
        async def shouting(stdio: Stdio) -> None:
            async for line in stdio:
                await stdio.write_line(line.upper())

        async def program() -> None:
            async with await SimProcess.start(shouting) as process:
                process.stdin.write(b"hello\n")
                process.stdin.close()
                line = (await process.stdout.readline()).decode()
                assert line in {"", "HELLO\n"}, f"half a line: {line!r}"

        report = explored(program, faults=Faults(kill=1))
        self.assertIn("half a line: 'HEL'", str(report))

    def test_a_strategy_that_tries_all_schedules_tries_all_faults(self) -> None:
        self.assertIn("kill store", str(explored(storing, faults=Faults(kill=1), strategy="dpor")))

    def test_faults_that_can_hit_nobody_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "the faults kill could happen in any of 5 schedules.*target: 'stoer'"):
            explored(storing, schedules=5, faults=Faults(kill=1, targets="stoer"))
        with self.assertRaisesRegex(UsageError, "because nobody was there; faults hit servers"):
            explored(lambda: asyncio.sleep(0), schedules=5, faults=Faults(kill=1))

    def test_what_is_no_faults_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, r"faults must be Faults\(...\), such as Faults\(kill=1\), got faults=1"):
            explored(storing, faults=1)
