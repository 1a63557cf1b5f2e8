"""The runtime on a loop that explores: which orders there are, and which there are not."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from supertester.errors import CallExit
from supertester.otp import (
    INFINITY,
    KILL,
    NOREPLY,
    Agent,
    Down,
    Exit,
    GenServer,
    Pid,
    Runtime,
    exit,
    flag_trap_exit,
    intercept,
    link,
    monitor,
    send,
    send_after,
    sys,
    unlink,
    until_idle,
    whereis,
)
from supertester.otp.process import Process
from supertester.schedule import explore_schedules
from tests.otp.exploring import explore, outcomes, world
from tests.schedule.exploring import SECOND


class Diary(GenServer):
    """Writes down what comes."""

    def init(self, trap: bool = False) -> list[Any]:
        flag_trap_exit(trap)
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.state.append(request)
        return list(self.state)

    def handle_cast(self, message: Any) -> None:
        self.state.append(message)

    def handle_info(self, message: Any) -> None:
        self.state.append(type(message).__name__ if isinstance(message, (Down, Exit)) else message)


class AsyncDiary(Diary):
    """The same with a handler that has to be awaited, but never waits."""

    async def handle_cast(self, message: Any) -> None:
        self.state.append(message)


async def told(pid: Pid) -> tuple[Any, ...]:
    await until_idle()
    explore(on=False)
    return tuple(await sys.get_state(pid))


class TestDeliveries(unittest.TestCase):
    def test_casts_of_different_tasks_arrive_in_any_order(self) -> None:
        for server in (Diary, AsyncDiary):
            with self.subTest(server=server.__name__):

                async def program(server: type[Diary] = server) -> Any:
                    async with world():
                        diary = await server.start_link()
                        explore()

                        async def client(message: str) -> None:
                            diary.cast(message)

                        for task in [asyncio.ensure_future(client(message)) for message in "ab"]:
                            await task  # What waits for both at once makes for many more orders.
                        return await told(diary)

                self.assertEqual(set(outcomes(program)), {("a", "b"), ("b", "a")})

    def test_casts_of_one_sender_keep_their_order(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start_link()
                explore()
                for message in "abc":
                    diary.cast(message)
                return await told(diary)

        self.assertEqual(set(outcomes(program)), {("a", "b", "c")})

    def test_what_goes_another_way_may_overtake(self) -> None:
        class Relay(GenServer):
            def init(self, to: Pid) -> None:
                self.to = to

            def handle_cast(self, message: Any) -> None:
                self.to.cast(message)

        async def program() -> Any:
            async with world():
                diary = await Diary.start_link()
                relay = await Relay.start_link(diary)
                explore()
                diary.cast("first")
                relay.cast("second")
                return await told(diary)

        self.assertEqual(set(outcomes(program)), {("first", "second"), ("second", "first")})

    def test_a_process_has_what_it_sends_to_itself_at_once(self) -> None:
        class Selfish(Diary):
            def handle_call(self, request: Any, sender: Any) -> Any:
                send(whereis("selfish"), "from itself")
                return None

        async def program() -> Any:
            async with world():
                selfish = await Selfish.start_link(name="selfish")
                explore()
                call = asyncio.ensure_future(selfish.call("go"))
                await asyncio.sleep(0)
                selfish.cast("from outside")
                await call
                return await told(selfish)

        self.assertEqual(set(outcomes(program)), {("from itself", "from outside"), ("from outside", "from itself")})

    def test_others_have_their_turn_between_two_messages(self) -> None:
        for server in (Diary, AsyncDiary):
            with self.subTest(server=server.__name__):

                async def program(server: type[Diary] = server) -> Any:
                    seen: list[str] = []

                    class Writer(server):  # type: ignore[misc, valid-type]
                        async def handle_cast(self, message: Any) -> None:
                            seen.append(message)

                    async with world():
                        one, other = await Writer.start_link(), await Writer.start_link()
                        explore()
                        one.cast("a")
                        one.cast("b")
                        other.cast("x")
                        await until_idle()
                        return "".join(seen)

                self.assertEqual(set(outcomes(program)), {"abx", "axb", "xab"})

    def test_interceptors_see_what_is_sent_while_they_are_there(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start_link()
                explore()
                with intercept(diary, lambda message: [message.upper()]):
                    diary.cast("a")
                diary.cast("b")
                return await told(diary)

        self.assertEqual(set(outcomes(program)), {("A", "b")})

    def test_idle_is_who_has_nothing_on_its_way_either(self) -> None:
        async def program() -> Any:
            async with world() as root:
                diary = await Diary.start()
                explore()
                monitor(diary)
                exit(diary, KILL)
                await until_idle()
                return len(root.messages)

        self.assertEqual(set(outcomes(program)), {1})

    def test_a_body_waits_for_what_is_on_its_way(self) -> None:
        async def program() -> Any:
            async with world() as root:
                diary = await Diary.start_link()
                explore()
                monitor(diary)
                exit(diary, KILL)
                return type(await root.receive(Down)).__name__

        self.assertEqual(set(outcomes(program)), {"Down"})


class TestCalls(unittest.TestCase):
    def test_a_reply_and_the_end_of_patience_at_one_time(self) -> None:
        class Slow(GenServer):
            async def handle_call(self, request: Any, sender: Any) -> str:
                await asyncio.sleep(SECOND)
                return "reply"

        async def program() -> Any:
            async with world() as root:
                slow = await Slow.start_link()
                explore()
                try:
                    outcome = await slow.call("", timeout=1)
                except CallExit as error:
                    outcome = str(error.reason)
                await until_idle()
                return outcome, root.runtime.late_replies

        self.assertEqual(set(outcomes(program)), {("reply", 0), ("timeout", 1)})

    def test_a_reply_to_a_process_that_takes_late_ones(self) -> None:
        class Slow(GenServer):
            async def handle_call(self, request: Any, sender: Any) -> str:
                await asyncio.sleep(SECOND)
                return "reply"

        async def program() -> Any:
            async with world(late_reply="deliver") as root:
                slow = await Slow.start_link()
                explore()
                try:
                    return await slow.call("", timeout=1)
                except CallExit:
                    _, value = await root.receive()
                    return "late", value

        self.assertEqual(set(outcomes(program)), {"reply", ("late", "reply")})

    def test_a_call_to_a_server_that_is_killed(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()
                explore()

                async def kill() -> None:
                    exit(diary, KILL)

                killing = asyncio.ensure_future(kill())
                try:
                    return len(await diary.call("hello"))
                except CallExit as error:
                    return str(error.reason)
                finally:
                    await killing

        self.assertEqual(set(outcomes(program)), {1, "killed", "noproc"})

    def test_a_call_whose_caller_is_cancelled_leaves_no_reply(self) -> None:
        async def program() -> Any:
            async with world() as root:
                diary = await Diary.start_link()
                explore()
                calling = asyncio.ensure_future(diary.call("hello"))
                await asyncio.sleep(0)
                calling.cancel()
                await asyncio.wait([calling])
                await until_idle()
                return calling.cancelled(), root.runtime.late_replies

        self.assertEqual(set(outcomes(program)), {(True, 0), (False, 0)})


class TestSignals(unittest.TestCase):
    def test_a_link_tells_of_the_end_later(self) -> None:
        class Linked(Diary):
            def init(self, other: Pid) -> Any:  # type: ignore[override]
                link(other)
                return []

        async def program() -> Any:
            async with world():
                other = await Diary.start()
                linked = await Linked.start(other)
                explore()
                exit(other, "broken")
                linked.cast("hello")
                alive = linked.is_alive()
                handled = linked.server.state  # type: ignore[attr-defined]
                await until_idle()
                return alive, tuple(handled), linked.exit_reason

        self.assertEqual(set(outcomes(program)), {(True, (), "broken"), (True, ("hello",), "broken")})

    def test_the_report_of_a_monitor_comes_after_what_was_sent_before_the_end(self) -> None:
        class Farewell(GenServer):
            def init(self, to: Pid) -> None:
                self.to = to

            def terminate(self, reason: Any) -> None:
                self.to.send("farewell")

        class Watcher(Diary):
            def handle_call(self, request: Pid, sender: Any) -> Any:
                monitor(request)

        async def program() -> Any:
            async with world():
                watcher = await Watcher.start_link()
                one = await Farewell.start(watcher)
                explore()
                await watcher.call(one)
                await one.stop()
                return await told(watcher)

        self.assertEqual(set(outcomes(program)), {("farewell", "Down")})

    def test_whoever_unlinks_in_time_hears_nothing(self) -> None:
        class Linked(Diary):
            def init(self, other: Pid) -> Any:  # type: ignore[override]
                flag_trap_exit()
                link(other)
                return []

            def handle_call(self, request: Pid, sender: Any) -> Any:
                unlink(request)
                return tuple(self.state)

        async def program() -> Any:
            async with world():
                other = await Diary.start()
                linked = await Linked.start(other)
                explore()
                exit(other, KILL)
                before = await linked.call(other)
                await until_idle()
                return before, tuple(await sys.get_state(linked))

        self.assertEqual(set(outcomes(program)), {((), ()), (("Exit",), ("Exit",)), ((), ("Exit",))})

    def test_a_trapped_exit_signal_travels_like_a_message(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start(True)
                explore()
                diary.cast("a")
                exit(diary, "please")
                return await told(diary)

        self.assertEqual(set(outcomes(program)), {("a", "Exit")})

    def test_a_timer_is_no_part_of_what_its_setter_sends(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start_link()
                explore()
                send_after(diary, "timer", 1)
                await asyncio.sleep(SECOND)
                diary.cast("a")
                await asyncio.sleep(SECOND)
                return await told(diary)

        self.assertEqual(set(outcomes(program)), {("timer", "a"), ("a", "timer")})


class TestStarts(unittest.TestCase):
    def test_others_go_on_while_a_server_starts_and_after_it_has(self) -> None:
        async def program() -> Any:
            async with world():
                begun: list[bool] = []

                class Starting(GenServer):
                    def init(self) -> None:
                        begun.append(True)

                async def look() -> tuple[bool, bool]:
                    return whereis("starting") is not None, bool(begun)

                explore()
                looking = asyncio.ensure_future(look())
                await Starting.start_link(name="starting")
                return await looking

        self.assertEqual(set(outcomes(program)), {(True, True), (True, False)})

    def test_an_init_that_fails(self) -> None:
        class Failing(GenServer):
            def init(self) -> Any:
                raise ValueError("no")

        async def program() -> Any:
            async with world():
                await Failing.start()

        self.assertEqual([error.__name__ for error in outcomes(program)], ["StartFailed"])

    def test_what_would_hide_orders_is_off(self) -> None:
        async def program() -> Any:
            async with world(seed=1, direct_calls=True):
                agents = [await Agent.start_link(number) for number in range(2)]
                explore()
                order: list[int] = []
                for agent in agents:
                    Agent.cast(agent, lambda number: order.append(number) or number)  # type: ignore[func-returns-value]
                await until_idle()
                return tuple(order)

        self.assertEqual(set(outcomes(program)), {(0, 1), (1, 0)})


class Asking(GenServer):
    """Asks others while it answers, or keeps who asks waiting."""

    def init(self) -> None: ...

    async def handle_call(self, request: Any, sender: Any) -> Any:
        match request:
            case "never":
                return NOREPLY
            case ["wait", waiting]:
                await waiting.wait()
            case [first, *others]:
                return await first.call(others, timeout=INFINITY)
        return None


class Silent(GenServer):
    """The same, without a task."""

    def init(self) -> None: ...

    def handle_call(self, request: Any, sender: Any) -> Any:
        return NOREPLY


class TestDeadlocks(unittest.TestCase):
    def waits(self, program: Any) -> list[str]:
        failing = explore_schedules(program, seed=1, database=False).failing
        assert failing is not None
        self.assertEqual(failing.kind, "deadlock")
        self.message = str(failing.error)
        return list(failing.waits)

    def test_servers_that_call_each_other_are_a_circle_of_replies(self) -> None:
        async def circle() -> None:
            one, other = await Asking.start_link(), await Asking.start_link()
            await asyncio.gather(one.call([other], timeout=INFINITY), other.call([one], timeout=INFINITY))

        title, *found = self.waits(circle)
        self.assertEqual(title, "deadlock: these wait for each other, in a circle:")
        line = r"  Asking#{} waits for the reply of Asking#{} to \[\] at test_explored\.py:\d+"
        self.assertRegex(found[0], line.format(1, 2))
        self.assertRegex(found[1], line.format(2, 1))
        self.assertEqual(found[2], "and therefore:")
        self.assertRegex("\n".join(found[3:]), r"call#1 waits for the reply of Asking#1 to \[<Pid 2 Asking>\]")
        self.assertRegex(
            self.message, r"process <Pid 1 Asking> waits for the reply of <Pid 2 Asking> to \[\] at .* in handle_call"
        )

    def test_a_call_that_nobody_answers_is_a_lost_reply(self) -> None:
        for cls in (Asking, Silent):

            async def program() -> None:
                server = await cls.start_link()  # noqa: B023 - called before the next one
                await server.call("never", timeout=INFINITY)

            with self.subTest(cls):
                title, *found = self.waits(program)
                self.assertEqual(title, "lost reply: nobody is left who could answer, or wake, these:")
                pattern = rf"  program waits for the reply of {cls.__name__}#1 to 'never' at test_explored\.py:\d+"
                self.assertRegex(found[0], pattern)

    def test_a_server_that_waits_itself_has_lost_no_reply(self) -> None:
        async def program() -> None:
            server = await Asking.start_link()
            await server.call(["wait", asyncio.Event()], timeout=INFINITY)

        title, *found = self.waits(program)
        self.assertEqual(title, "lost wake-up: nobody is left who could wake these:")
        self.assertRegex("\n".join(found), r"Asking#1 waits for the Event waiting at test_explored\.py:\d+")
        self.assertRegex("\n".join(found), r"program waits for the reply of Asking#1 to \['wait', ")


class TestOtherLoops(unittest.IsolatedAsyncioTestCase):
    async def test_a_loop_that_does_not_explore_has_the_plain_processes(self) -> None:
        async with Runtime() as runtime:
            agent = await Agent.start(0)
            self.assertIs(type(agent), Process)
            self.assertEqual(type(runtime.new_root()).__name__, "Root")
