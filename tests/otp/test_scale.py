"""Large numbers: what is linear stays linear, and nothing recurses (rules 1, 4 and 10)."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester.otp import (
    KILL,
    KILLED,
    GenServer,
    Pid,
    Supervisor,
    call,
    exit,
    link,
    sys,
    until_idle,
    whereis,
)
from tests.alone import alone
from tests.otp.support import Asynchronous, RuntimeCase
from tests.performance.frugal import frugal

__tags__ = {"layer": "stress"}


class Small(GenServer):
    def init(self, other: Pid | None = None) -> Any:
        if other is not None:
            link(other)
        return 0

    def handle_cast(self, message: Any) -> None:
        self.state += message

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.state


@alone("has so many tasks that `asyncio.all_tasks` gives up in other threads, and sets the garbage collector")
class Scale(RuntimeCase):
    processes = messages = 100_000

    def setUp(self) -> None:
        super().setUp()
        frugal(self)  # So many objects set the collector off, which then looks at all that is loaded.

    async def test_rule_01_very_many_processes_start_work_and_die(self) -> None:
        pids = [await self.start(Small) for _ in range(self.processes)]
        self.assertEqual(self.processes, len(set(pids)))
        for pid in pids:
            pid.cast(1)
        await until_idle()
        self.assertEqual(1, await pids[-1].call("value"))
        for pid in pids:
            exit(pid, KILL)
        self.assertEqual({KILLED}, {pid.exit_reason for pid in pids})
        self.assertEqual([self.root], list(self.rt.processes))

    async def test_rule_04_very_many_messages_are_handled_in_order(self) -> None:
        server = await self.start(Small)
        for _ in range(self.messages):
            server.cast(1)
        self.assertEqual(self.messages, await server.call("value", timeout=60.0))

    async def test_rule_03_ten_thousand_calls_at_once_are_answered(self) -> None:
        server = await self.start(Small)
        replies = await asyncio.gather(*(server.call("value") for _ in range(10_000)))
        self.assertEqual([0] * 10_000, replies)

    async def test_rule_03_ten_thousand_waiting_calls_fail_with_their_server(self) -> None:
        server = await self.start(Small)
        await sys.suspend(server)
        waiting = [asyncio.ensure_future(server.call("value")) for _ in range(10_000)]
        await asyncio.wait(waiting, timeout=0)
        exit(server, KILL)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        self.assertEqual({KILLED}, {result.reason for result in results})

    async def test_rule_10_five_thousand_linked_processes_die_together(self) -> None:
        pids = [await self.start(Small)]
        while len(pids) < 5_000:
            pids.append(await self.start(Small, pids[-1]))
        exit(pids[2_500], "boom")
        self.assertEqual({"boom"}, {pid.exit_reason for pid in pids})

    async def test_rule_24_a_thousand_children_are_restarted_together(self) -> None:
        children = [self.child(str(number), [], trap=False) for number in range(1_000)]
        supervisor = await Supervisor.start_link(children, strategy="one_for_all")
        before = whereis("0")
        exit(whereis("500"), KILL)
        await until_idle(supervisor)
        self.assertEqual(1_000, sum(whereis(str(number)) is not None for number in range(1_000)))
        self.assertNotEqual(before, whereis("0"))
        self.assertEqual("echo", await call("999", "echo"))


class ScaleOfAsyncServers(Asynchronous, Scale):
    processes = messages = 5_000
