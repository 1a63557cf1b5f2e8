"""When a call lets the event loop go round: wherever anybody else could have a turn meanwhile (rule 36)."""

from __future__ import annotations

import asyncio
import sys
import unittest
from typing import Any

from supertester.otp import Runtime, cast
from supertester.otp.runtime import CALLS_A_ROUND
from tests.otp.support import Probe, RuntimeCase, parked


def noting(what: str) -> Any:
    """Return a request that lets the server note *what*."""

    def handle(server: Any) -> None:
        server.diary.append(what)

    return handle


class CallsAndTheirTurn(RuntimeCase):
    """What holds on every loop."""

    async def test_rule_36_what_is_ready_runs_before_a_call_is_handled(self) -> None:
        server = await self.start(Probe, diary := [])
        asyncio.get_running_loop().call_soon(diary.append, "callback")
        other = await self.start(Probe, diary)
        cast(other, noting("cast"))
        await server.call(noting("call"))
        self.assertEqual(["callback", "cast", "call"], diary)

    async def test_rule_36_what_a_handler_makes_ready_runs_after_the_caller(self) -> None:
        server, loop = await self.start(Probe, diary := []), asyncio.get_running_loop()
        await server.call(lambda _: loop.call_soon(diary.append, "callback") and None)
        diary.append("caller")
        await server.call(noting("next call"))
        self.assertEqual(["caller", "callback", "next call"], diary)

    async def test_rule_36_callers_take_turns(self) -> None:
        server = await self.start(Probe, diary := [])

        async def calls(name: str) -> None:
            for _ in range(3):
                await server.call(noting(name))

        await asyncio.gather(calls("one"), calls("other"))
        self.assertEqual(["one", "other"] * 3, diary)

    async def test_rule_36_calls_in_a_row_starve_no_timer(self) -> None:
        server, fired = await self.start(), []
        asyncio.get_running_loop().call_later(0, fired.append, True)
        made = 0
        while not fired and made < 10 * CALLS_A_ROUND:
            await server.call(made)
            made += 1
        self.assertLessEqual(made, CALLS_A_ROUND + 2)


class CallsWithoutARound(RuntimeCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.rounds = 0
        loop: Any = asyncio.get_running_loop()
        go_round = loop._run_once

        def counted() -> None:
            self.rounds += 1
            go_round()

        loop._run_once = counted
        self.addCleanup(delattr, loop, "_run_once")

    async def test_rule_36_a_call_goes_on_at_once_where_nothing_else_is_ready(self) -> None:
        server = await self.start()
        before = self.rounds
        self.assertEqual(["x", "y"], [await server.call("x"), await server.call("y")])
        self.assertEqual(0, self.rounds - before)

    async def test_rule_36_one_call_in_so_many_lets_the_loop_go_round(self) -> None:
        server = await self.start()
        before = self.rounds
        for number in range(10 * (CALLS_A_ROUND + 1)):
            await server.call(number)
        self.assertEqual(10, self.rounds - before)

    async def test_rule_36_a_handler_that_waits_lets_the_loop_go_round(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        asyncio.get_running_loop().call_later(0, gate.set)
        before = self.rounds
        await server.call(parked(gate))
        self.assertGreater(self.rounds, before)

    async def test_rule_36_a_loop_that_hides_what_is_ready_goes_round(self) -> None:
        server = await self.start()
        hiding: Any = HidingLoop(asyncio.get_running_loop())
        self.rt.upcoming = Runtime(loop=hiding).upcoming
        before = self.rounds
        await server.call(1)
        self.assertEqual(1, self.rounds - before)

    @unittest.skipIf(sys.version_info < (3, 12), "eager tasks are new in Python 3.12")
    async def test_rule_36_an_eager_task_makes_no_server_run_inside_of_who_made_it(self) -> None:
        server = await self.start(Probe, diary := [])
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        self.addCleanup(loop.set_task_factory, None)
        calling = asyncio.create_task(server.call(noting("server")))
        diary.append("who made it")
        await calling
        self.assertEqual(["who made it", "server"], diary)


class HidingLoop:
    """A loop that keeps to itself what it runs next, as those written in C do."""

    def __init__(self, loop: Any) -> None:
        self.time, self.call_at = loop.time, loop.call_at
