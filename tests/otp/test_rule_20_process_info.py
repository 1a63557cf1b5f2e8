"""Rule 20: what can be seen of a process from outside."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from supertester.otp import (
    KILL,
    NOREPLY,
    Pid,
    cast,
    exit,
    link,
    monitor,
    process_info,
    send,
    sys,
    until_idle,
    whereis,
)
from tests.otp.support import Asynchronous, Probe, RuntimeCase, parked, returning

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("colour")

FIELDS = [
    "message_queue_len",
    "messages",
    "links",
    "monitors",
    "monitored_by",
    "trap_exit",
    "registered_name",
    "status",
    "current_function",
    "initial_call",
    "ancestors",
    "callers",
    "memory",
    "reductions",
    "dictionary",
    "messages_in",
    "late_replies",
]


class Rule20ProcessInfo(RuntimeCase):
    async def test_rule_20_it_has_these_fields(self) -> None:
        info = process_info(await self.start())
        for field in FIELDS:
            with self.subTest(field):
                self.assertEqual(getattr(info, field), info[field])
        with self.assertRaises(KeyError):
            info["colour"]

    async def test_rule_20_the_dead_and_unknown_have_none(self) -> None:
        server = await self.start(Probe, name="short")
        exit(server, KILL)
        for target in (server, "short", "nobody", lambda: server):
            with self.subTest(target=target):
                self.assertIsNone(process_info(target))

    async def test_rule_20_the_mailbox_is_shown_as_a_copy(self) -> None:
        server = await self.start(Probe, diary := [])
        await sys.suspend(server)
        cast(server, "a cast")
        send(server, "a message")
        calling = self.background(server.call("a call"))
        await self.still_pending(calling)
        info = process_info(server)
        self.assertEqual((3, ["a cast", "a message", "a call"]), (info.message_queue_len, [*info.messages]))
        if isinstance(info.messages, list):
            info.messages.clear()
        await sys.resume(server)
        self.assertEqual("a call", await calling)
        self.assertEqual([("cast", "a cast"), ("info", "a message")], diary)
        self.assertEqual(3, info.message_queue_len)
        self.assertEqual(0, process_info(server).message_queue_len)

    async def test_rule_20_links_and_monitors_are_shown(self) -> None:
        one, other, parent = await self.start(), await self.start(), await self.start()
        child = await self.start_under(parent)
        await one.call(lambda _: link(other))
        await one.call(lambda _: monitor(other) and monitor("late") and None)
        await until_idle()
        self.assertEqual([other], [*process_info(one).links])
        self.assertEqual([other], [*process_info(one).monitors])
        self.assertEqual([one], [*process_info(other).monitored_by])
        self.assertEqual([parent], [*process_info(child).links])
        self.assertEqual([], [*process_info(child).monitors])

    async def test_rule_20_trap_exit_and_name_are_shown(self) -> None:
        plain, trapping = await self.start(), await self.start(Probe, name="named", trap=True)
        self.assertEqual((False, None), (process_info(plain).trap_exit, process_info(plain).registered_name))
        self.assertEqual((True, "named"), (process_info("named").trap_exit, process_info("named").registered_name))
        self.assertEqual(True, process_info(trapping).trap_exit)

    async def test_rule_20_a_process_is_waiting_runnable_running_or_suspended(self) -> None:
        server, gate = await self.start(), asyncio.Event()
        await until_idle()
        self.assertEqual("waiting", process_info(server).status)
        server.cast(parked(gate))
        self.assertEqual("runnable", process_info(server).status)
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        self.assertEqual("running", process_info(server).status)
        gate.set()
        await until_idle()
        self.assertEqual("waiting", process_info(server).status)
        self.assertEqual("running", await server.call(lambda me: process_info(me.pid).status))
        await sys.suspend(server)
        self.assertEqual("suspended", process_info(server).status)
        cast(server, 1)
        self.assertEqual("suspended", process_info(server).status)
        await sys.resume(server)
        await until_idle()
        self.assertEqual("waiting", process_info(server).status)

    async def test_rule_20_a_server_that_put_off_a_reply_is_waiting(self) -> None:
        server = await self.start()
        self.background(server.call(returning(NOREPLY)))
        await self.turn_until(lambda: process_info(server).messages_in, "the call arrived")
        await until_idle()
        self.assertEqual("waiting", process_info(server).status)

    async def test_rule_20_the_current_function_is_the_chain_of_awaits(self) -> None:
        server, gate = await self.start(), asyncio.Event()

        async def inner_step() -> None:
            await gate.wait()

        async def outer_step(_: Any) -> None:
            await inner_step()

        self.assertEqual((), tuple(process_info(server).current_function))
        server.cast(outer_step)
        await self.turn_until(lambda: "inner_step" in self.chain(server), "the handler waits")
        chain = self.chain(server)
        self.assertLess(chain.index("outer_step"), chain.index("inner_step"))
        self.assertLess(chain.index("inner_step"), chain.index("wait", chain.index("inner_step")))
        gate.set()
        await until_idle()
        self.assertEqual((), tuple(process_info(server).current_function))

    async def test_rule_20_a_server_that_waits_in_a_call_shows_it(self) -> None:
        server, other, gate = await self.start(), await self.start(), asyncio.Event()
        other.cast(parked(gate))

        async def ask_the_other(_: Any) -> None:
            await other.call("x")

        server.cast(ask_the_other)
        await self.turn_until(lambda: "ask_the_other" in self.chain(server), "the call waits")
        chain = self.chain(server)
        self.assertIn("call", chain[chain.index("ask_the_other") :])

    def chain(self, pid: Pid) -> str:
        return " > ".join(process_info(pid).current_function)

    async def test_rule_20_the_initial_call_is_the_class(self) -> None:
        self.assertIs(self.flavour(Probe), process_info(await self.start()).initial_call)

    async def test_rule_20_the_ancestors_are_those_who_started_it(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        child = whereis("a")
        grandchild = await self.start_under(child)
        bare = await grandchild.call(lambda _: self.flavour(Probe).start())
        self.assertEqual([supervisor, self.root], [*process_info(child).ancestors])
        self.assertEqual([child, supervisor, self.root], [*process_info(grandchild).ancestors])
        self.assertEqual([grandchild, child, supervisor, self.root], [*process_info(bare).ancestors])
        self.assertEqual([*process_info(child).ancestors], [*process_info(child).callers])

    async def test_rule_20_memory_follows_state_and_mailbox(self) -> None:
        server = await self.start()
        small = process_info(server).memory
        self.assertGreater(small, 0)
        await sys.replace_state(server, lambda _: {"deep": [bytes(100_000) for _ in range(3)]})
        with_state = process_info(server).memory
        self.assertGreater(with_state - small, 100_000)
        await sys.suspend(server)
        cast(server, bytes(200_000))
        self.assertGreater(process_info(server).memory - with_state, 200_000)

    async def test_rule_20_memory_of_a_state_that_contains_itself_is_finite(self) -> None:
        server = await self.start()
        state: list[Any] = []
        state.append(state)
        await sys.replace_state(server, lambda _: state)
        self.assertGreater(process_info(server).memory, 0)

    async def test_rule_20_reductions_grow_with_the_work_and_are_the_same_each_time(self) -> None:
        counts = []
        for _ in range(2):
            server = await self.start()
            seen = [process_info(server).reductions]
            for number in range(10):
                cast(server, number)
                await server.call(number)
                seen.append(process_info(server).reductions)
            self.assertEqual(sorted(set(seen)), seen)
            counts.append(seen)
        self.assertEqual(*counts)

    async def test_rule_20_the_dictionary_holds_the_context_of_the_process(self) -> None:
        COLOUR.set("green")
        server = await self.start()
        self.assertEqual("green", process_info(server).dictionary["colour"])
        COLOUR.set("red")
        self.assertEqual("green", process_info(server).dictionary["colour"])
        self.assertEqual("green", await server.call(lambda _: COLOUR.get()))

    async def test_rule_20_messages_in_and_late_replies_are_counted(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        cast(server, 1)
        self.assertEqual((1, 0), (process_info(server).messages_in, process_info(server).late_replies))
        await sys.resume(server)
        await sys.sync(server)
        self.assertEqual((1, 0), (process_info(server).messages_in, process_info(server).late_replies))

    async def test_rule_20_looking_does_not_disturb_a_busy_server(self) -> None:
        server, gate = await self.start(Probe, diary := []), asyncio.Event()
        server.cast(parked(gate))
        cast(server, "waits")
        await self.turn_until(lambda: process_info(server).current_function, "the handler waits")
        for _ in range(3):
            self.assertEqual(1, process_info(server).message_queue_len)
        gate.set()
        await until_idle()
        self.assertEqual([("cast", "waits")], diary)
        self.assertEqual(2, process_info(server).messages_in)

    async def test_rule_20_it_can_be_written_as_json(self) -> None:
        import json

        server = await self.start(Probe, [object()], name=("a", "name"))
        self.assertIn("waiting", json.dumps(process_info(server).to_dict()))

    async def test_rule_20_the_root_and_supervisors_can_be_looked_at_too(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        self.assertEqual(True, process_info(supervisor).trap_exit)
        self.assertEqual(True, process_info(self.root).trap_exit)
        self.root.send("unread")
        self.assertEqual(["unread"], [*process_info(self.root).messages])


class Rule20ProcessInfoOfAsyncServers(Asynchronous, Rule20ProcessInfo):
    pass
