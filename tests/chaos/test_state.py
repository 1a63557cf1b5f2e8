"""`pause`, `resume` and `corrupt_state`, and `kill_random_worker`: done, seen, and undone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from typing import Any

from supertester.chaos import (
    Corrupt,
    Fault,
    Pause,
    corrupt_state,
    journaled,
    kill_random_worker,
    pause,
    resume,
    run_chaos_suite,
)
from supertester.errors import CallExit, Unsupported, UsageError
from supertester.otp import (
    KILLED,
    TIMEOUT,
    Agent,
    ChildSpec,
    DynamicSupervisor,
    Supervisor,
    cast,
    start_child,
    sys,
    until_idle,
    whereis,
)
from tests.otp.support import Probe as Server
from tests.otp.support import RuntimeCase, one_turn, parked
from tests.subjects import Counter, Stubborn, counter_spec, team


class TestPause(RuntimeCase):
    async def test_a_paused_server_answers_nobody_until_the_end_of_the_block(self) -> None:
        server = await Counter.start_link()
        async with pause(server) as paused:
            self.assertTrue(paused.active)
            cast(server, ("add", 1))
            calling = self.background(server.call("value", timeout=1))
            await one_turn()
            self.clock.advance(1)
            with self.exits(TIMEOUT):
                await calling
            self.assertEqual(await sys.get_state(server), {"count": 0})
        self.assertFalse(paused.active)
        self.assertEqual(await server.call("value"), 1)

    async def test_it_can_be_resumed_by_hand(self) -> None:
        server = await Counter.start_link(name="it")
        paused = await pause("it")
        self.assertIn("Counter 'it'> paused", repr(paused))
        await resume("it")
        await resume("it")
        self.assertEqual((await server.call("value"), paused.active), (0, False))
        await paused.cleanup()
        await paused.cleanup()

    async def test_the_inner_of_two_leaves_it_to_the_outer(self) -> None:
        server = await Counter.start_link()
        async with pause(server) as outer:
            async with pause(server) as inner:
                self.assertFalse(inner.active)
            self.assertTrue(outer.active)
        self.assertEqual(await server.call("value"), 0)

    async def test_a_server_may_die_while_it_is_paused(self) -> None:
        server = await Counter.start()
        async with pause(server) as paused:
            server.exit("gone")
        self.assertFalse(paused.active)

    async def test_one_that_is_busy_is_not_paused_later_either(self) -> None:
        server, gate = await Server.start_link([]), asyncio.Event()
        cast(server, parked(gate))
        await one_turn()

        async def try_it() -> None:
            await pause(server, timeout=1)

        trying = self.background(try_it())
        await one_turn()
        await one_turn()
        self.clock.advance(1)
        with self.exits(TIMEOUT):
            await trying
        gate.set()
        await until_idle(server)
        self.assertEqual(await server.call("still here"), "still here")

    async def test_is_noted_and_shown(self) -> None:
        server = await Counter.start_link()
        with journaled() as journal:
            async with pause(server) as paused:
                self.assertTrue(json.loads(json.dumps(paused.to_dict()))["active"])
        self.assertEqual([(event.fault, event.target) for event in journal.events], [("pause", server)])

    async def test_is_refused_for_what_cannot_be_paused(self) -> None:
        with self.assertRaisesRegex(Unsupported, "pause: <Pid .* root> has no server"):
            pause(self.root)
        task = self.background(asyncio.Event().wait())
        for target in (threading.main_thread(), task):
            with self.subTest(target), self.assertRaisesRegex(Unsupported, r"does not support suspend\(\)"):
                pause(target)
        with self.assertRaisesRegex(UsageError, "pause: no process is registered as 'nobody'"):
            pause("nobody")
        with self.assertRaisesRegex(UsageError, "resume: no process is registered as 'nobody'"):
            await resume("nobody")
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more seconds"):
            pause(await Counter.start_link(), timeout=-1)


class TestCorruptState(RuntimeCase):
    async def test_the_state_is_wrong_until_the_end_of_the_block(self) -> None:
        server = await Counter.start_link(5)
        async with corrupt_state(server, lambda _: {"count": -1}) as corruption:
            self.assertEqual(await server.call("value"), -1)
            self.assertEqual((corruption.before, corruption.after), ({"count": 5}, {"count": -1}))
            self.assertFalse(corruption.crashed)
        cast(server, ("add", 1))
        self.assertEqual(await server.call("value"), 6)
        self.assertEqual(corruption.before, {"count": 5})

    async def test_a_state_that_is_changed_in_place_is_put_back_too(self) -> None:
        server = await Counter.start_link(5)
        corruption = await corrupt_state(server, lambda state: state.update(count="x") or state)
        self.assertEqual((corruption.before, await server.call("value")), ({"count": 5}, "x"))
        await corruption.cleanup()
        self.assertEqual(await server.call("value"), 5)

    async def test_a_server_that_crashes_on_it_is_evidence(self) -> None:
        server = await Counter.start(5)
        async with corrupt_state(server, lambda _: None) as corruption:
            with self.assertRaises(CallExit):
                await server.call("value")
            self.assertTrue(corruption.crashed)
            self.assertIn("TypeError", repr(corruption.reason))
            self.assertIn("{'count': 5} became None", repr(corruption))
            self.assertTrue(json.loads(json.dumps(corruption.to_dict()))["crashed"])

    async def test_a_state_that_cannot_be_copied(self) -> None:
        lock = threading.Lock()
        server = await Agent.start_link(lock)
        async with corrupt_state(server, lambda _: "wrong") as corruption:
            self.assertIs(corruption.before, lock)
        self.assertIs(await Agent.get(server), lock)

    async def test_a_function_that_fails_changes_nothing(self) -> None:
        server = await Counter.start_link(5)
        with self.assertRaisesRegex(Exception, "ZeroDivisionError"):
            await corrupt_state(server, lambda _: 1 / 0)
        self.assertEqual(await server.call("value"), 5)

    async def test_one_that_has_no_time_keeps_its_state(self) -> None:
        server, gate = await Server.start_link(["diary"]), asyncio.Event()
        cast(server, parked(gate))
        await one_turn()

        async def try_it() -> None:
            await corrupt_state(server, lambda _: "wrong", timeout=1)

        trying = self.background(try_it())
        await one_turn()
        await one_turn()
        self.clock.advance(1)
        with self.exits(TIMEOUT):
            await trying
        gate.set()
        await until_idle(server)
        self.assertEqual(await sys.get_state(server), ["diary"])

    async def test_is_noted_and_nonsense_is_refused(self) -> None:
        server = await Counter.start_link()
        with journaled() as journal:
            await corrupt_state(server, lambda _: {"count": 1})
        [event] = journal.events
        self.assertEqual(event.details, {"before": "{'count': 0}", "after": "{'count': 1}"})
        with self.assertRaisesRegex(TypeError, "takes a function of the state, got 'wrong'"):
            corrupt_state(server, "wrong")  # type: ignore[arg-type]
        with self.assertRaisesRegex(Unsupported, "has no server"):
            corrupt_state(self.root, lambda state: state)

    async def test_both_are_faults_of_a_suite(self) -> None:
        server = await Counter.start_link(5)
        faults = [Pause(), Corrupt(lambda _: {"count": 0})]
        self.assertTrue(all(isinstance(fault, Fault) for fault in faults))
        report = await run_chaos_suite(server, [{"type": "fault", "fault": fault} for fault in faults])
        self.assertEqual(report.failed, 0, str(report))
        self.assertEqual(await server.call("value"), 5)


class TestKillRandomWorker(RuntimeCase):
    async def test_one_worker_dies_and_comes_back(self) -> None:
        pool = await team("a", "b", "c")
        before = {name: whereis(name) for name in "abc"}
        with journaled() as journal:
            injection = await kill_random_worker(pool)
        self.assertEqual((injection.fired, injection.died, injection.reason), (True, True, KILLED))
        self.assertIn(injection.target, before.values())
        self.assertEqual([event.target for event in journal.events], [injection.target])

    async def test_the_same_one_again_by_the_seed(self) -> None:
        async def kill(seed: int | None) -> tuple[Any, Any]:
            pool = await team(*"abcdefgh")
            injection = await kill_random_worker(pool, seed=seed)
            name = next(name for name in "abcdefgh" if whereis(name) is None)
            await pool.stop()
            return name, injection.seed

        first = await kill(None)
        self.assertEqual(await kill(first[1]), first)
        self.assertGreater(len({(await kill(seed))[0] for seed in range(10)}), 1)

    async def test_only_workers_and_those_of_dynamic_supervisors_too(self) -> None:
        pool = await DynamicSupervisor.start_link()
        await start_child(pool, ChildSpec("inner", Supervisor, args=([],)))
        with self.assertRaisesRegex(UsageError, "kill_random_worker: <Pid .* has no worker that runs"):
            await kill_random_worker(pool)
        worker = await start_child(pool, counter_spec("worker"))
        self.assertIs((await kill_random_worker(pool, reason="chaos")).target, worker)
        self.assertEqual(worker.exit_reason, "chaos")

    async def test_one_that_traps_exits_may_survive(self) -> None:
        pool = await Supervisor.start_link([ChildSpec("stubborn", Stubborn)])
        injection = await kill_random_worker(pool, reason="please")
        self.assertEqual((injection.fired, injection.died), (True, False))

    async def test_is_refused_for_other_pools(self) -> None:
        with concurrent.futures.ThreadPoolExecutor() as threads:
            with self.assertRaisesRegex(UsageError, "has no worker that runs"):
                await kill_random_worker(threads)
            threads.submit(int).result()
            with self.assertRaisesRegex(Unsupported, r"kill\(\): Python has no way to end a thread from outside"):
                await kill_random_worker(threads)
        with self.assertRaisesRegex(UsageError, "is no supervisor"):
            await kill_random_worker(await Counter.start_link())
