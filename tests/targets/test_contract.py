"""The contract of targets: every adapter keeps it, and each planted bug breaks the clause that is about it."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import queue
import signal
import subprocess
import threading
import unittest
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from supertester import IsolatedTestCase, UsageError
from supertester.otp import KILL, Agent, ChildSpec, Supervisor
from supertester.targets import (
    Identity,
    LineReady,
    ProcessTarget,
    QueueTaskTarget,
    QueueThreadTarget,
    Target,
    TaskTarget,
    ThreadTarget,
    check_target_contract,
    start_os_server,
    start_process,
    target_of,
)
from tests.targets.programs import program


class TestAdapters(IsolatedTestCase):
    async def assert_keeps(self, factory: Callable[[], Any], *supports: str) -> None:
        self.assertIsNone(await check_target_contract(factory, supports=supports))

    async def test_an_embedded_server(self) -> None:
        await self.assert_keeps(lambda: Agent.start(0), "kill", "stop", "suspend", "resume", "queue_len", "sync")

    async def test_a_server_in_a_process_of_its_own(self) -> None:
        wanted = ("kill", "stop", "suspend", "resume", "queue_len", "sync")
        await self.assert_keeps(lambda: start_os_server(Agent, 0), *wanted)
        server = await start_os_server(Agent, 0)
        self.assertNotEqual(target_of(server).identity.pid, os.getpid())

    async def test_an_embedded_supervisor(self) -> None:
        def start() -> Any:
            return Supervisor.start([ChildSpec(name, Agent, args=(0,)) for name in "ab"])

        await self.assert_keeps(start, "kill", "stop", "workers")

    async def test_a_task(self) -> None:
        await self.assert_keeps(lambda: asyncio.create_task(asyncio.Event().wait()), "kill", "stop")

    async def test_a_task_that_works_for_a_queue(self) -> None:
        def start() -> QueueTaskTarget:
            jobs: asyncio.Queue[int] = asyncio.Queue()

            async def work() -> None:
                while True:
                    await jobs.get()

            jobs.put_nowait(1)
            return QueueTaskTarget(asyncio.create_task(work()), jobs)

        await self.assert_keeps(start, "kill", "stop", "queue_len", "sync")

    async def test_a_thread(self) -> None:
        def start() -> ThreadTarget:
            done = threading.Event()
            thread = threading.Thread(target=done.wait)
            thread.start()
            return ThreadTarget(thread, stop=done.set, kill=lambda _: done.set())

        await self.assert_keeps(start, "kill", "stop")

    async def test_a_thread_that_works_for_a_queue(self) -> None:
        def start() -> QueueThreadTarget:
            jobs: queue.Queue[Any] = queue.Queue()
            thread = threading.Thread(target=lambda: [*iter(jobs.get, None)])
            jobs.put(1)
            thread.start()
            return QueueThreadTarget(thread, jobs, stop=lambda: jobs.put(None))

        await self.assert_keeps(start, "stop", "queue_len", "sync")

    async def test_an_executor_of_threads(self) -> None:
        def start() -> ThreadPoolExecutor:
            executor = ThreadPoolExecutor(2)
            executor.submit(int).result()
            return executor

        await self.assert_keeps(start, "stop", "queue_len", "sync", "workers")

    async def test_an_executor_of_processes(self) -> None:
        def start() -> ProcessPoolExecutor:
            executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            self.addCleanup(executor.shutdown)
            executor.submit(int).result()
            return executor

        await self.assert_keeps(start, "kill", "stop", "queue_len", "sync", "workers")

    async def test_a_process_of_any_kind(self) -> None:
        wanted = ("kill", "stop", "suspend", "resume", "workers")
        await self.assert_keeps(lambda: subprocess.Popen(program()), *wanted)
        await self.assert_keeps(lambda: asyncio.create_subprocess_exec(*program()), *wanted)
        await self.assert_keeps(lambda: start_process(program()), *wanted)

    async def test_a_process_of_multiprocessing(self) -> None:
        def start() -> Any:
            process = get_context("spawn").Process(target=_forever, daemon=True)
            process.start()
            return process

        await self.assert_keeps(start, "kill", "stop", "suspend", "resume")

    @unittest.skipUnless(importlib.util.find_spec("pykka"), "pykka is not installed")
    async def test_an_actor_of_pykka(self) -> None:
        import pykka

        await self.assert_keeps(pykka.ThreadingActor.start, "stop", "queue_len", "sync")


def _forever() -> None:
    threading.Event().wait()


_numbers = itertools.count(1)


class Honest(Target):
    """An adapter that keeps the contract, without a system behind it: each planted bug changes one thing."""

    lacks = {"queue_len": "there is none"}  # noqa: RUF012 - declared a ClassVar above

    def __init__(self) -> None:
        self.mine = Identity("honest", 1, next(_numbers))
        self.reason: Any = None
        self.stands = False

    @property
    def identity(self) -> Identity:
        return self.mine

    @property
    def exit_reason(self) -> Any:
        return self.reason

    @property
    def state(self) -> str:
        return "gone" if self.reason else "stopped" if self.stands else "running"

    def kill(self, reason: Any = KILL) -> None:
        self.reason = self.reason or "killed"

    async def stop(self, timeout: float = 5.0) -> Any:
        self.reason = self.reason or "stopped"
        return self.reason

    async def suspend(self) -> None:
        self.stands = True

    async def resume(self) -> None:
        self.stands = False

    async def sync(self, timeout: float = 5.0) -> None:
        pass

    def workers(self) -> Any:
        return [self.worker] if hasattr(self, "worker") else []


class TestPlantedBugs(IsolatedTestCase):
    async def broken(self, factory: Callable[[], Any], *, timeout: float = 0.2, **options: Any) -> str:
        return str(await check_target_contract(factory, timeout=timeout, **options))

    async def assert_breaks(self, clause: str, why: str, *, timeout: float = 20.0, **members: Any) -> None:
        cls: Any = type("Buggy", (Honest,), members)
        report = await self.broken(cls, timeout=timeout)
        self.assertRegex(report, rf"(?m)^  {clause}: .*{why}")
        self.assertIn("Buggy breaks 1 clause of Target:", report)

    async def test_none_is_planted(self) -> None:
        self.assertIsNone(await check_target_contract(Honest))
        self.assertIsNone(
            await check_target_contract(Honest, supports=["kill", "stop", "suspend", "resume", "sync", "workers"])
        )

    async def test_a_factory_that_makes_none(self) -> None:
        self.assertIn("factory: raised TypeError: there is no adapter for None", await self.broken(lambda: None))

        def dead() -> Target:
            target = Honest()
            target.kill()
            return target

        self.assertRegex(await self.broken(dead), "factory: returned <Honest .*>, which is not alive")

    async def test_an_identity_that_says_little(self) -> None:
        await self.assert_breaks("identity", "which is no Identity", identity=_identity(lambda _: ("it", 1)))
        await self.assert_breaks("identity", "which says nothing", identity=_identity(lambda _: Identity("", 1, 1)))
        wrong: Any = "one"
        await self.assert_breaks("identity", "no int", identity=_identity(lambda _: Identity("it", 1, wrong)))
        await self.assert_breaks("identity", "neither int", identity=_identity(lambda _: Identity("it", wrong, 1)))

    async def test_an_identity_that_is_not_for_ever(self) -> None:
        numbers = iter(range(1000))
        await self.assert_breaks("identity", "and then", identity=_identity(lambda _: Identity("it", 1, next(numbers))))
        await self.assert_breaks(
            "identity",
            r"was it \(pid 1, .*, and after its end it \(generation",
            identity=_identity(lambda self: Identity("it", None if self.reason else 1, self.mine.generation)),
        )

    async def test_an_identity_for_two_lives(self) -> None:
        await self.assert_breaks("identity", "for two lives", identity=_identity(lambda _: Identity("it", 1, 1)))

    async def test_one_that_never_looks_alive(self) -> None:
        state = property(lambda self: "gone" if self.reason else "stopped" if self.stands else "fine")
        report = await self.broken(type("Buggy", (Honest,), {"state": state}))
        self.assertIn("alive: (is_alive(), exit_reason, state) is (True, None, 'fine')", report)

    async def test_a_wait_that_does_not(self) -> None:
        async def wait(self: Any, timeout: float = 5.0) -> Any:
            return self.reason

        await self.assert_breaks("wait", r"wait\(0\) returned None for one that is alive", wait=wait)

    async def test_a_repr_that_says_nothing(self) -> None:
        await self.assert_breaks("repr", "does not say 'honest'", __repr__=lambda _: "<a target>")

    async def test_what_is_unsupported_and_silent(self) -> None:
        await self.assert_breaks("unsupported", r"queue_len\(\) did not raise Unsupported", queue_len=lambda _: 0)

        def other(self: Any) -> int:
            raise self.unsupported("sync")

        await self.assert_breaks("unsupported", "which does not name it", queue_len=other)

    async def test_what_was_to_be_supported(self) -> None:
        report = await self.broken(Honest, supports=["queue_len"])
        self.assertIn("unsupported: queue_len is to be supported, and is not", report)
        with self.assertRaisesRegex(UsageError, "a capability is one of kill, .*; got 'fly'"):
            await check_target_contract(Honest, supports=["fly"])

    async def test_a_queue_that_counts_wrongly(self) -> None:
        await self.assert_breaks("queue_len", "returned -1", queue_len=lambda _: -1, lacks={})

    async def test_a_sync_that_fails(self) -> None:
        async def sync(self: Any, timeout: float = 5.0) -> None:
            raise RuntimeError("no")

        await self.assert_breaks("sync", "raised RuntimeError: no", sync=sync)

    async def test_workers_that_are_none(self) -> None:
        dead = Honest()
        dead.kill()
        await self.assert_breaks("workers", "which are no targets", worker="me")
        await self.assert_breaks("workers", "which have ended", worker=dead)
        await self.assert_breaks("workers", "the target itself", workers=lambda self: [self])
        await self.assert_breaks("workers", "the same one twice", workers=lambda _: [Twin(), Twin()])
        await self.assert_breaks("workers", "whenever it is asked", workers=lambda _: [Honest()])

    async def test_one_that_does_not_stand_still_or_go_on(self) -> None:
        async def nothing(self: Any) -> None:
            pass

        async def ends(self: Any) -> None:
            self.kill()

        await self.assert_breaks("suspend", "left it 'running', not 'stopped'", suspend=nothing)
        await self.assert_breaks("resume", "left it 'stopped', not 'running' within 0.3 s", resume=nothing, timeout=0.3)
        self.assertIn("suspend: ended it", await self.broken(type("Buggy", (Honest,), {"suspend": ends})))

    async def test_a_kill_that_does_not(self) -> None:
        report = await self.broken(type("Buggy", (Honest,), {"kill": lambda self, reason=KILL: None}))
        self.assertIn("kill: did not end it within 0.2 s", report)

    async def test_a_kill_that_does_not_reach_one_that_stands_still(self) -> None:
        def kill(self: Any, reason: Any = KILL) -> None:
            if not self.stands:
                Honest.kill(self)

        await self.assert_breaks("kill of one that stands still", "did not end it", kill=kill, timeout=0.3)

    async def test_one_that_cannot_be_ended(self) -> None:
        why = "it supports neither kill"
        await self.assert_breaks(
            "end", why, lacks={"kill": "", "stop": "", "queue_len": ""}, **_refusing("kill", "stop")
        )

    async def test_a_death_that_is_not_told(self) -> None:
        await self.assert_breaks("on_exit", "did not call back", on_exit=lambda *_: lambda: None, timeout=0.3)

    async def test_a_death_that_is_told_twice_or_to_those_who_forgot(self) -> None:
        def twice(self: Any, callback: Any) -> Any:
            return Target.on_exit(self, lambda target: (callback(target), callback(target)))

        def always(self: Any, callback: Any) -> Any:
            Target.on_exit(self, callback)
            return lambda: None

        await self.assert_breaks("on_exit", "called back with .*, not once", on_exit=twice)
        await self.assert_breaks("on_exit", "called back what was forgotten", on_exit=always)

    async def test_a_death_that_is_only_told_to_those_who_came_before(self) -> None:
        def before(self: Any, callback: Any) -> Any:
            return Target.on_exit(self, callback) if self.is_alive() else lambda: None

        await self.assert_breaks("on_exit", "for one that had ended before", on_exit=before, timeout=0.3)

    async def test_a_reason_that_changes(self) -> None:
        def kill(self: Any, reason: Any = KILL) -> None:
            self.reason = f"{self.reason} and killed"

        await self.assert_breaks(
            "kill of one that has ended", "changed the reason from 'None and killed' to", kill=kill
        )

        async def wait(self: Any, timeout: float = 5.0) -> Any:
            await Target.wait(self, timeout)
            return "something else"

        await self.assert_breaks("exit_reason", r"is 'killed', and wait\(\) returned 'something else'", wait=wait)

    async def test_a_state_after_the_end(self) -> None:
        state = property(lambda self: "stopped" if self.stands else "running")
        await self.assert_breaks("state", "is 'running' for one that has ended", state=state)

    async def test_a_stop_that_fails_the_second_time(self) -> None:
        async def stop(self: Any, timeout: float = 5.0) -> Any:
            if self.reason:
                raise RuntimeError("it is dead")
            return await Honest.stop(self)

        await self.assert_breaks("stop", "raised RuntimeError: it is dead", stop=stop)

    async def test_a_stop_that_does_not(self) -> None:
        async def stop(self: Any, timeout: float = 5.0) -> Any:
            return "stopped"

        await self.assert_breaks("stop", "returned before it had ended", stop=stop)

    async def test_an_adapter_that_gives_up_too_early(self) -> None:
        class CancelsOnce(TaskTarget):
            def _cancel(self, reason: Any, turns: int) -> None:
                self.task.cancel(reason)

        tasks: list[asyncio.Task[None]] = []

        async def resist() -> None:
            forever = asyncio.Event()
            with suppress(asyncio.CancelledError):
                await forever.wait()
            await forever.wait()

        async def start() -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(resist()))
            await asyncio.sleep(0)
            return tasks[-1]

        async def start_with_bug() -> Target:
            return CancelsOnce(await start())

        self.assertIn("kill: did not end it", await self.broken(start_with_bug))
        self.assertNotIn("kill", await self.broken(start, timeout=2.0))
        for task in tasks:
            task.cancel()

    async def test_an_adapter_that_kills_politely(self) -> None:
        class Polite(ProcessTarget):
            def kill(self, reason: Any = KILL) -> None:
                super().kill(signal.SIGTERM)

        deaf = program("import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf')")

        async def start() -> Target:
            return Polite(await start_process(deaf, ready=LineReady("deaf"), grace=0))

        self.assertIn("kill: did not end it", await self.broken(start))


class Twin(Honest):
    @property
    def identity(self) -> Identity:
        return Identity("twin", 1, 1)


def _identity(get: Callable[[Any], Any]) -> Any:
    return property(get)


def _refusing(*names: str) -> dict[str, Any]:
    def refuse(name: str) -> Any:
        def method(self: Any, *_: Any) -> Any:
            raise self.unsupported(name)

        async def waiting(self: Any, *_: Any) -> Any:
            raise self.unsupported(name)

        return waiting if name == "stop" else method

    return {name: refuse(name) for name in names}
