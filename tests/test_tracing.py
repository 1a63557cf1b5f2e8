"""Messages as they are delivered: to one process, and between several."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from supertester.chaos import drop, duplicate, reorder
from supertester.errors import UsageError, WaitTimeout
from supertester.otp import KILL, NOREPLY, GenServer, call, intercept, self_pid, sys, until_idle
from supertester.otp.intercept import observe_entries
from supertester.tracing import trace, trace_messages
from tests.otp.support import RuntimeCase, one_turn
from tests.subjects import Busy, Counter, Stubborn


class Later(GenServer):
    """Answers the calls that it got when it is told to, the last one first."""

    def init(self) -> Any:
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.state.append((sender, request))
        return NOREPLY

    def handle_cast(self, message: Any) -> None:
        for sender, request in reversed(self.state):
            sender.reply(request)


class Front(GenServer):
    async def handle_call(self, request: Any, sender: Any) -> Any:
        return await call("back", request)


class TestTraceMessages(RuntimeCase):
    async def test_all_kinds_in_order(self) -> None:
        server = await Stubborn.start_link(name="it")

        async def talk() -> str:
            server.cast(("add", 1))
            server.send("hello")
            value = await server.call("value")
            server.exit("resisted")
            return f"value {value}"

        trace = await trace_messages("it", talk)
        self.assertEqual(trace.result, "value 1")
        self.assertEqual(trace.messages[:3], (("add", 1), "hello", "value"))
        self.assertEqual([each.kind for each in trace.deliveries], ["cast", "info", "call", "info"])
        self.assertEqual(trace.messages[3].reason, "resisted")
        self.assertEqual({each.sender for each in trace.deliveries[:3]}, {self.root})

    async def test_the_mailbox_before_and_after(self) -> None:
        server = await Busy.start_link()
        server.cast("works on this")
        await asyncio.sleep(0)
        server.cast("waiting")
        trace = await trace_messages(server, lambda: server.cast("more"))
        self.assertEqual(trace.initial_mailbox, ("waiting",))
        self.assertEqual(trace.final_mailbox, ("waiting", "more"))
        self.assertEqual(trace.messages, ("more",))
        server.exit(KILL)

    async def test_nothing_of_other_threads_is_lost(self) -> None:
        server = await Counter.start_link()

        def cast_many() -> None:
            for _ in range(100):
                server.cast(("add", 1))

        def from_threads() -> None:
            threads = [threading.Thread(target=cast_many) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        trace = await trace_messages(server, from_threads)
        self.assertEqual(trace.messages, (("add", 1),) * 400)

    async def test_traces_nest(self) -> None:
        server = await Counter.start_link()

        async def inner() -> Any:
            server.cast(("add", 1))
            return await trace_messages(server, lambda: server.cast(("add", 2)))

        outer = await trace_messages(server, inner)
        self.assertEqual(outer.messages, (("add", 1), ("add", 2)))
        self.assertEqual(outer.result.messages, (("add", 2),))

    async def test_what_an_interceptor_dropped_before_did_not_arrive(self) -> None:
        server = await Counter.start_link()
        with intercept(server, lambda message: []):
            trace = await trace_messages(server, lambda: server.cast(("add", 1)))
        self.assertEqual(trace.messages, ())

    async def test_the_subject_is_not_disturbed(self) -> None:
        server = await Counter.start_link()
        await trace_messages(server, lambda: server.cast(("add", 1)))
        self.assertIsNone(server.interceptors)
        self.assertEqual(await sys.get_state(server), {"count": 1})

    async def test_a_subject_that_dies_has_its_trace(self) -> None:
        server = await Counter.start()

        async def kill() -> None:
            server.cast(("stop", "planned"))
            await until_idle()

        trace = await trace_messages(server, kill)
        self.assertEqual((trace.messages, trace.final_mailbox), ((("stop", "planned"),), ()))

    async def test_an_exception_ends_the_trace(self) -> None:
        server = await Counter.start_link()

        def fail() -> None:
            raise OSError("planted")

        with self.assertRaisesRegex(OSError, "planted"):
            await trace_messages(server, fail)
        self.assertIsNone(server.interceptors)

    async def test_what_is_lost_doubled_or_held_up_is_told_as_it_arrives(self) -> None:
        server = await Counter.start_link()

        async def faults() -> None:
            with drop(server):
                server.cast(("add", 1))
            with duplicate(server):
                server.cast(("add", 2))
            with reorder(server):
                server.cast(("add", 3))
                server.cast(("add", 4))

        await sys.suspend(server)
        trace = await trace_messages(server, faults)
        self.assertEqual([2, 2, 3, 4], sorted(number for _, number in trace.messages))
        self.assertEqual(trace.messages, trace.final_mailbox)
        self.assertIsNone(server.interceptors)

    async def test_an_observer_that_fails_is_told_of_and_disturbs_nobody(self) -> None:
        def fail(_: Any) -> None:
            raise OSError("planted")

        server = await Counter.start_link()
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        self.addCleanup(loop.set_exception_handler, None)
        with observe_entries(server, fail):
            self.assertEqual(0, await server.call("value"))
        self.assertEqual([f"an observer of {server!r} failed"], [each["message"] for each in told])

    async def test_misuse_is_refused(self) -> None:
        server = await Counter.start_link()
        with self.assertRaisesRegex(TypeError, r"trace_messages\(\) takes a function to call, got 3"):
            await trace_messages(server, 3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "trace_messages: no process is registered as 'nobody'"):
            await trace_messages("nobody", lambda: None)
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more"):
            await trace_messages(server, lambda: None, timeout=-1)

    async def test_a_loop_that_is_kept_from_delivering_is_told_of(self) -> None:
        server = await Counter.start_link()
        loop = asyncio.get_running_loop()
        kept = loop.call_soon_threadsafe
        self.addCleanup(setattr, loop, "call_soon_threadsafe", kept)
        loop.call_soon_threadsafe = lambda *args, **kwargs: None  # type: ignore[assignment,method-assign]
        with self.assertRaisesRegex(WaitTimeout, "messages of other threads were not delivered within 0.01 s"):
            await trace_messages(server, lambda: None, timeout=0.01)

    async def test_as_json(self) -> None:
        server = await Counter.start_link(name="it")
        trace = await trace_messages(server, lambda: server.cast(("add", 1)))
        data = json.loads(json.dumps(trace.to_dict()))
        self.assertEqual(data["messages"], ["('add', 1)"])
        self.assertEqual((data["deliveries"][0]["kind"], data["deliveries"][0]["receiver"]), ("cast", "it"))


class TestTrace(RuntimeCase):
    async def test_messages_between_several(self) -> None:
        back = await Counter.start_link(name="back")
        front = await Front.start_link(name="front")
        with trace("front", back) as flow:
            await front.call("value")
            back.cast(("add", 1))
        await until_idle()
        kinds = [(each.kind, each.sender, each.receiver, each.message) for each in flow.deliveries]
        wanted = [
            ("call", self.root, front, "value"),
            ("call", front, back, "value"),
            ("reply", back, front, 0),
            ("reply", front, self.root, 0),
            ("cast", self.root, back, ("add", 1)),
        ]
        self.assertEqual(kinds, wanted)
        self.assertEqual(flow.messages, ("value", "value", ("add", 1)))
        picture = """\
test               front               back
  |                  |                  |
  |- call 'value' -->|                  |
  |                  |- call 'value' -->|
  |                  |<--- reply 0 -----|
  |<--- reply 0 -----|                  |
  |-------- cast ('add', 1) ----------->|"""
        self.assertEqual(_squeezed(flow.diagram()), _squeezed(picture))
        self.assertIn(
            "test->>front: call 'value'\n    front->>back: call 'value'\n    back-->>front: reply 0", flow.mermaid()
        )
        self.assertEqual(json.loads(json.dumps(flow.to_dict()))["lanes"], ["test", "front", "back"])

    async def test_the_dead_are_not_taken_for_the_test(self) -> None:
        server = await Counter.start()
        with trace(server) as flow:
            await server.call("value")
        server.exit(KILL)
        self.assertEqual(["test", repr(server)], flow.to_dict()["lanes"])
        self.assertNotIn("to itself", flow.diagram())

    async def test_mermaid_has_a_word_for_each_process(self) -> None:
        names = ["a-b", "a_b", "end"]
        servers = [await Counter.start_link(name=name) for name in names]
        with trace(*servers) as flow:
            for server in servers:
                server.cast(("add", "#1;\n"))
        lines = flow.mermaid().splitlines()
        self.assertEqual(
            ["    participant a_b as a-b", "    participant a_b_2 as a_b", "    participant end_2 as end"], lines[1:4]
        )
        self.assertEqual(
            [f"    test-){word}: cast ('add', '#35;1#59;\\n')" for word in ("a_b", "a_b_2", "end_2")], lines[4:]
        )

    async def test_blocks_may_end_in_any_order(self) -> None:
        server = await Counter.start_link()
        first, second, third = trace(server), trace(server), trace(server)
        for flow in (first, second, third):
            flow.__enter__()
        for flow in (second, first):
            flow.__exit__(None, None, None)
        await server.call("value")
        third.__exit__(None, None, None)
        self.assertEqual([0, 0, 2], [len(flow.deliveries) for flow in (first, second, third)])
        self.assertEqual((None, None), (server.tracer, server.interceptors))

    async def test_late_replies_go_to_whom_they_answer(self) -> None:
        later = await Later.start_link(name="later")
        with trace(later) as flow:
            calls = [asyncio.create_task(later.call(request)) for request in ("a", "b")]
            await one_turn()
            await until_idle(later)
            later.cast("now")
            await asyncio.gather(*calls)
        self.assertEqual([each.message for each in flow.deliveries if each.kind == "reply"], ["b", "a"])

    async def test_a_tracer_of_the_servers_own_goes_on(self) -> None:
        server = await Counter.start_link()
        seen: list[str] = []
        await sys.trace(server, lambda event: seen.append(event.kind))
        with trace(server) as flow:
            await server.call("value")
        await server.call("value")
        self.assertEqual(seen, ["call", "reply", "call", "reply"])
        self.assertEqual([each.kind for each in flow.deliveries], ["call", "reply"])

    async def test_a_message_to_itself(self) -> None:
        class Selfish(GenServer):
            def handle_cast(self, message: Any) -> None:
                self_pid().send("again")

            def handle_info(self, message: Any) -> None: ...

        server = await Selfish.start_link(name="selfish")
        with trace(server) as flow:
            server.cast("go")
            await until_idle(server)
        self.assertIn("(to itself) info 'again'", flow.diagram())

    async def test_needs_processes(self) -> None:
        with self.assertRaisesRegex(UsageError, r"trace\(\) needs the processes to trace"):
            trace()
        with self.assertRaisesRegex(UsageError, "trace: no process is registered as 'nobody'"):
            trace("nobody")


def _squeezed(picture: str) -> str:
    return "\n".join("".join(line.split()).replace("-", "") for line in picture.splitlines())
