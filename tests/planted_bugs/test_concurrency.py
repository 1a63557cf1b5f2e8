"""Bugs that need two at once, a cancellation or a fault at the wrong moment."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from supertester import ChaosMixin, HarnessMixin
from supertester.failpoints import InjectedFault, async_failpoint
from supertester.harness import Scenario
from supertester.otp import Agent
from supertester.programs import Machine, Program, Step, rule
from tests.planted import forever
from tests.planted_bugs.support import PlantedBugs


async def add_one(agent: Any) -> None:
    await Agent.update(agent, lambda total: total + 1)


async def add_one_carelessly(agent: Any) -> None:
    total = await Agent.get(agent)
    await Agent.update(agent, lambda _: total + 1)


class Seats:
    """What it means to book the last seat, for one caller at a time."""

    def __init__(self) -> None:
        self.left = 1

    def book(self) -> bool:
        self.left -= 1
        return self.left >= 0


class Booking(Machine):
    model = Seats

    async def setup(self) -> Any:
        return await Agent.start_link(1)

    @rule()
    async def book(self, seats: Any) -> Any:
        return await Agent.get_and_update(seats, lambda left: (left > 0, left - (left > 0)))


class CheckThenAct(Booking):
    @rule()
    async def book(self, seats: Any) -> Any:
        if await Agent.get(seats) == 0:
            return False
        await Agent.update(seats, lambda left: left - 1)
        return True


class TestRaces(PlantedBugs):
    def test_a_counter_without_synchronisation(self) -> None:
        async def body(case: Any, add: Any) -> None:
            async def all_count(agent: Any, _context: Any) -> bool:
                return bool(await Agent.get(agent) == 4)

            scenario = Scenario(lambda: Agent.start_link(0), [[add, add], [add, add]], invariant=all_count)
            await case.run_scenario(scenario)

        says = "threads 1 to 2: custom(add_one_carelessly), custom(add_one_carelessly)\n  invariant: "
        self.assert_found(body, add_one, add_one_carelessly, HarnessMixin, says=says)

    def test_a_check_that_is_no_longer_true_when_it_acts(self) -> None:
        async def body(case: Any, machine: Any) -> None:
            await case.assert_linearizable_program(Program(machine, branches=[[Step("book")], [Step("book")]]))

        says = "branch 1: book() -> True, but there it returns False"
        self.assert_found(body, Booking, CheckThenAct, HarnessMixin, says=says)


class Vault:
    """Is locked while somebody is in it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.entries = ["old"]

    async def visit(self) -> None:
        async with self.lock:
            await asyncio.sleep(0)

    async def write(self) -> None:
        """Replace the entries, or leave them as they are."""
        new = ["new"]
        await async_failpoint("vault.write")
        self.entries = new

    def check(self) -> None:
        assert not self.lock.locked(), "the vault is still locked"


class StuckVault(Vault):
    async def visit(self) -> None:
        await self.lock.acquire()
        await asyncio.sleep(0)
        self.lock.release()


class StubbornVault(Vault):
    async def visit(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().visit()


class HalfVault(Vault):
    async def write(self) -> None:
        self.entries.clear()
        await async_failpoint("vault.write")
        self.entries.append("new")


class HopefulVault(Vault):
    """Does not think of the disk being full."""


class CarefulVault(Vault):
    async def write(self) -> None:
        try:
            await super().write()
        except InjectedFault:
            self.entries = ["old", "could not be written"]


class LingeringVault(Vault):
    async def visit(self) -> None:
        self.guard = asyncio.create_task(forever())


class TestCancellation(PlantedBugs):
    async def visited(self, case: Any, cls: Any) -> None:
        vault = cls()
        await case.assert_cancellation_safe(vault.visit, vault.check)

    def test_a_lock_that_is_not_released(self) -> None:
        says = "the vault is still locked\nafter the run that was cancelled at await 0, "
        self.assert_found(self.visited, Vault, StuckVault, ChaosMixin, says=says)

    def test_a_cancellation_that_is_swallowed(self) -> None:
        says = "1 of 1 cancellations did not end it\n  1. await 0, "
        self.assert_found(self.visited, Vault, StubbornVault, ChaosMixin, says=says)

    def test_a_task_that_outlives_its_test(self) -> None:
        async def body(_case: Any, cls: Any) -> None:
            await cls().visit()

        self.assert_found(body, Vault, LingeringVault, says="was left running")


class TestFaults(PlantedBugs):
    def test_a_fault_that_nobody_thought_of(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            runs = await case.exhaust_failpoints(lambda: cls().write())
            case.assertEqual([run.faults for run in runs if not run.handled], [])

        says = "(('vault.write', 1),)"
        self.assert_found(body, CarefulVault, HopefulVault, ChaosMixin, says=says)

    def test_a_fault_that_leaves_half_of_it(self) -> None:
        async def body(case: Any, cls: Any) -> None:
            async def write() -> Any:
                vault = cls()
                try:
                    await vault.write()
                except InjectedFault:
                    return vault.entries
                return ["old"]

            for run in await case.exhaust_failpoints(write):
                case.assertEqual(run.result, ["old"], f"after {run.faults}")

        says = "Lists differ: [] != ['old']"
        self.assert_found(body, Vault, HalfVault, ChaosMixin, says=says)
