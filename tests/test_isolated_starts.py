"""`setup_isolated_genserver`, `setup_isolated_supervisor` and `cleanup_on_exit`."""

import asyncio
import unittest
from collections.abc import Callable
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.env import set_env
from supertester.errors import StartFailed, UsageError
from supertester.isolation import isolate
from supertester.otp import (
    IGNORE,
    TIMEOUT,
    Agent,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    GenServer,
    Stop,
    Supervisor,
    SupervisorSpec,
    self_pid,
    which_children,
)
from supertester.processes import cleanup_on_exit, setup_isolated_genserver, setup_isolated_supervisor


class Fussy(GenServer):
    def init(self, mood: Any, *, extra: Any = None) -> Any:
        if isinstance(mood, Exception):
            raise mood
        return (mood, extra) if isinstance(mood, str) else mood

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.state


class Team(Supervisor):
    def init(self, size: int) -> SupervisorSpec:  # type: ignore[override]
        return SupervisorSpec([ChildSpec(f"worker {number}", GenServer) for number in range(size)])


class TestServers(IsolatedTestCase):
    async def test_get_arguments_and_a_name_made_of_what_they_are(self) -> None:
        server = await self.setup_isolated_genserver(Fussy, "mood", init_args=("calm",), init_kwargs={"extra": 1})
        self.assertEqual(await server.call("state"), ("calm", 1))
        self.assertRegex(server.name, r"^Fussy_mood_.*test_get_arguments\w+_\d+$")

    async def test_can_have_a_given_name(self) -> None:
        server = await self.setup_isolated_genserver(Agent, init_args=(1,), name="mine")
        self.assertEqual((server.name, self.isolation.processes[0].name), ("mine", "mine"))

    async def test_are_children_of_the_test(self) -> None:
        server: Any = await self.setup_isolated_genserver(GenServer)
        self.assertIs(server.parent, self_pid())

    async def test_that_fail_tell_all_there_is_to_know(self) -> None:
        error = OSError("planted")
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(Fussy, init_args=(error,), name="n")
        failed = caught.exception
        self.assertEqual(
            (failed.kind, failed.module, failed.name, failed.init_args, failed.reason),
            ("genserver", Fussy, "n", (error,), Crash(error)),
        )
        self.assertIs(failed.__cause__, error)
        self.assertEqual(self.isolation.processes, [])

    async def test_that_take_too_long_tell_how_long_they_had(self) -> None:
        class Slow(GenServer):
            async def init(self) -> None:
                await asyncio.Event().wait()

        with self.assertRaisesRegex(StartFailed, r"did not start: TIMEOUT after 0.01 s$") as caught:
            await self.setup_isolated_genserver(Slow, timeout=0.01)
        self.assertEqual((caught.exception.reason, caught.exception.timeout), (TIMEOUT, 0.01))

    async def test_that_stop_have_their_own_reason(self) -> None:
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(Fussy, init_args=(Stop("no"),))
        self.assertEqual(caught.exception.reason, "no")

    async def test_that_ignore_their_start_did_not_start(self) -> None:
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(Fussy, init_args=(IGNORE,))
        self.assertIs(caught.exception.reason, IGNORE)
        self.assertEqual(caught.exception.kind, "genserver")

    async def test_with_a_taken_name_did_not_start(self) -> None:
        first = await self.setup_isolated_genserver(GenServer, name="taken")
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(GenServer, name="taken")
        self.assertEqual(caught.exception.reason, ("already_started", first))

    async def test_can_come_from_a_factory(self) -> None:
        async def make(value: int, *, name: str) -> Any:
            return await Agent.start_link(value * 2, name=name)

        agent = await self.setup_isolated_genserver(Agent, init_args=(4,), factory=make)
        self.assertEqual((await Agent.get(agent), "Agent" in str(agent.name)), (8, True))

    async def test_a_factory_need_not_take_a_name(self) -> None:
        made = [await GenServer.start_link(name="own")]
        server = await self.setup_isolated_genserver("anything", factory=lambda: made[0])
        self.assertEqual((server.name, self.isolation.processes[0].name), ("own", "own"))

    async def test_a_factory_may_have_no_signature(self) -> None:
        server = await GenServer.start_link(name="own")
        self.assertIs(await self.setup_isolated_genserver("anything", init_args=((server,),), factory=max), server)

    async def test_a_factory_that_fails_is_a_start_that_fails(self) -> None:
        def refused(*_: Any) -> Any:
            raise ConnectionRefusedError("nobody there")

        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(GenServer, init_args=(1,), factory=refused)
        error = caught.exception
        self.assertEqual((error.reason, error.init_args), (Crash(ConnectionRefusedError("nobody there")), (1,)))
        self.assertIsInstance(error.__cause__, ConnectionRefusedError)

    async def test_a_factory_may_say_itself_what_becomes_of_the_test(self) -> None:
        for error in (unittest.SkipTest("no server here"), AssertionError("planted"), UsageError("planted")):

            def refused(error: Exception = error) -> Any:
                raise error

            with self.subTest(error=error), self.assertRaises(type(error)):
                await self.setup_isolated_genserver(GenServer, factory=refused)

    async def test_refuse_nonsense(self) -> None:
        cases: list[tuple[Any, dict[str, Any], str]] = [
            (GenServer, {"initial_state": {}}, "unknown option 'initial_state'; the known ones are timeout; what init"),
            (GenServer, {"init_args": "abc"}, r"init_args must be a sequence of arguments, got 'abc'; did you mean"),
            (GenServer, {"init_args": 5}, r"did you mean \(5,\)\?"),
            (GenServer, {"factory": 3}, "factory must be callable, got factory=3"),
            (dict, {}, "a GenServer class is needed, got <class 'dict'>"),
            (Team, {}, "Team is a supervisor; start it with setup_isolated_supervisor"),
        ]
        for cls, options, message in cases:
            with self.subTest(message=message), self.assertRaisesRegex(TypeError, message):
                await self.setup_isolated_genserver(cls, **options)
        self.assertEqual(list(self.isolation.registry or ()), [])

    async def test_refuse_a_negative_timeout_and_leave_nothing_behind(self) -> None:
        with self.assertRaisesRegex(UsageError, "timeout=-1"):
            await self.setup_isolated_genserver(GenServer, timeout=-1)


class TestSupervisors(IsolatedTestCase):
    async def test_of_a_class_of_their_own(self) -> None:
        team = await self.setup_isolated_supervisor(Team, init_args=(2,))
        self.assertEqual([row.id for row in await which_children(team)], ["worker 1", "worker 0"])
        self.assertRegex(team.name, r"^Team_test_of_a_class")

    async def test_of_the_stock_class_take_its_options(self) -> None:
        sup = await self.setup_isolated_supervisor(
            Supervisor, init_args=([ChildSpec("worker", GenServer)],), strategy="one_for_all", max_restarts=1
        )
        self.assertEqual(len(await which_children(sup)), 1)

    async def test_dynamic_ones_too(self) -> None:
        self.assertTrue((await self.setup_isolated_supervisor(DynamicSupervisor, max_children=2)).is_alive())

    async def test_that_fail_tell_all_there_is_to_know(self) -> None:
        spec = ChildSpec("worker", Fussy, args=(Stop("no"),))
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_supervisor(Supervisor, init_args=([spec],))
        self.assertEqual((caught.exception.kind, caught.exception.module), ("supervisor", Supervisor))
        self.assertIn("failed_to_start_child", repr(caught.exception.reason))
        self.assertEqual(list(self.isolation.registry or ()), [])

    async def test_refuse_nonsense(self) -> None:
        with self.assertRaisesRegex(TypeError, "unknown option 'strateggy'; the known ones are timeout, strategy"):
            await self.setup_isolated_supervisor(Supervisor, strateggy="one_for_one")
        with self.assertRaisesRegex(TypeError, "a supervisor class is needed"):
            await self.setup_isolated_supervisor(GenServer)
        for children in ([], [ChildSpec("worker", GenServer)]):
            with self.assertRaisesRegex(TypeError, r"^test_name must be a string, got \[.*\]; what init\(\) is to get"):
                await self.setup_isolated_supervisor(Supervisor, children)  # type: ignore[arg-type]


class TestWithoutATestCase(unittest.IsolatedAsyncioTestCase):
    async def test_servers_are_stopped_at_the_end_of_the_block(self) -> None:
        async with isolate("basic") as context:
            server = await setup_isolated_genserver(GenServer, "block")
            team = await setup_isolated_supervisor(Team, init_args=(1,))
            self.assertEqual([info.module for info in context.processes], [GenServer, Team])
        self.assertEqual([server.is_alive(), team.is_alive()], [False, False])

    async def test_without_any_test_they_are_simply_started(self) -> None:
        server = await setup_isolated_genserver(GenServer)
        self.assertRegex(server.name, r"^GenServer_\d+$")
        await server.stop()


class TestCleanupOnExit(unittest.TestCase):
    def test_needs_a_test_or_an_environment(self) -> None:
        with self.assertRaisesRegex(UsageError, "no test is running here"):
            cleanup_on_exit(print)

    def test_goes_to_the_environment_that_was_set(self) -> None:
        class Harness:
            callbacks: list[Callable[[], object]]

            def on_exit(self, callback: Callable[[], object]) -> None:
                self.callbacks = [callback]

        harness = Harness()
        with set_env(harness):
            cleanup_on_exit(print)
        self.assertEqual(harness.callbacks, [print])

    def test_needs_something_to_call(self) -> None:
        with self.assertRaisesRegex(TypeError, "must be callable, got None"):
            cleanup_on_exit(None)  # type: ignore[arg-type]
