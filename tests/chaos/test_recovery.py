"""`probe_recovery` and `assert_recovers`: what counts as recovery, and what is said of a system that does not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from supertester import ChaosMixin, IsolatedTestCase
from supertester.chaos import probe_recovery
from supertester.errors import UsageError
from supertester.otp import KILL, Agent, ChildSpec, Pid, Supervisor, whereis
from supertester.testing import failure_of


async def team(*names: str, restart: str = "permanent") -> Pid:
    """Start a supervisor of agents."""
    return await Supervisor.start_link(
        [ChildSpec(name, Agent, args=(0,), kwargs={"name": name}, restart=restart) for name in names]
    )


class TestRecovery(IsolatedTestCase):
    async def test_a_worker_is_replaced(self) -> None:
        pool = await team("a", "b", "c")
        recovery = await probe_recovery(pool, probe=lambda: True)
        self.assertTrue(recovery.recovered, recovery.mismatch)
        self.assertIsNotNone(recovery.recovery_ms)
        [(ended, reason)] = recovery.ended.items()
        [begun] = recovery.begun
        self.assertEqual((ended.id, reason), (begun.id, "killed"))
        self.assertGreater(begun.generation, ended.generation)
        self.assertEqual([event.fault for event in recovery.faults], ["crash"])
        self.assertEqual(json.loads(json.dumps(recovery.to_dict()))["recovered"], True)

    async def test_what_is_replaced_as_a_whole(self) -> None:
        await team("only")
        self.assertTrue((await probe_recovery("only")).recovered)
        self.assertTrue((await probe_recovery(lambda: whereis("only"))).recovered)

    async def test_a_service_of_ones_own(self) -> None:
        async def serve() -> None:
            await asyncio.Event().wait()

        async def watch() -> None:
            while True:
                await asyncio.wait([services[-1]])
                services.append(asyncio.create_task(serve()))

        services = [asyncio.create_task(serve())]
        watching = asyncio.create_task(watch())
        recovery = await probe_recovery(lambda: services[-1], kill=services[0].cancel)
        self.assertEqual((recovery.recovered, recovery.faults), (True, ()))
        watching.cancel()
        services[-1].cancel()

    async def test_kill_may_wait_and_may_kill_several(self) -> None:
        pool = await team("a", "b", "c")

        async def kill() -> None:
            for name in "ab":
                pid = whereis(name)
                assert pid is not None
                pid.exit(KILL)

        recovery = await probe_recovery(pool, kill=kill)
        self.assertEqual(({life.id for life in recovery.ended}, len(recovery.begun)), ({"a", "b"}, 2))

    async def test_the_probe_is_asked_until_it_passes(self) -> None:
        answers: list[Any] = [ConnectionError("refused"), False, True]

        async def probe() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.assertTrue((await probe_recovery(await team("a"), probe=probe)).recovered)
        self.assertEqual(answers, [])

    async def test_wrong_use(self) -> None:
        pool = await team("a")
        wrong: Any = "now"
        with self.assertRaisesRegex(TypeError, "kill must be a function without arguments, got kill='now'"):
            await probe_recovery(pool, kill=wrong)
        with self.assertRaisesRegex(TypeError, "probe must be a function"):
            await probe_recovery(pool, probe=wrong)
        with self.assertRaisesRegex(UsageError, "within must be 0 or more seconds"):
            await probe_recovery(pool, within=-1)
        with self.assertRaisesRegex(UsageError, "no process is registered as 'nobody'"):
            await probe_recovery("nobody")
        agent = await Agent.start(0)
        await agent.stop()
        with self.assertRaisesRegex(UsageError, "assert_recovers: <EmbeddedTarget .*> is not alive"):
            await probe_recovery(agent)

    async def test_what_kill_raises_is_raised(self) -> None:
        def kill() -> None:
            raise RuntimeError("no permission")

        with self.assertRaisesRegex(RuntimeError, "no permission"):
            await probe_recovery(await team("a"), kill=kill)


class TestFailures(IsolatedTestCase):
    def failure(self, **options: Any) -> str:
        async def body(case: Any) -> None:
            await case.assert_recovers(await team("a", "b", **start), within=0.5, **options)

        start = {"restart": options.pop("restart")} if "restart" in options else {}
        return failure_of(body, ChaosMixin)

    async def test_nothing_was_killed(self) -> None:
        self.assertRegex(self.failure(kill=lambda: None), r"nothing of .* was killed: of 3 parts all were alive 0.5 s")

    async def test_nobody_has_taken_the_place(self) -> None:
        report = self.failure(restart="temporary")
        self.assertRegex(report, r"has lost [ab] \(.*\), and nobody has taken the place within 0.5 s")
        self.assertRegex(report, r"1\. .* crash hit .*\n.*2\. [ab] \(.*\) ended with KILLED")

    async def test_fewer_have_come_than_have_gone(self) -> None:
        async def body(case: Any) -> None:
            tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]

            class Tasks:
                def workers(self) -> Any:
                    from supertester.targets import target_of

                    return [target_of(task) for task in tasks]

            def kill() -> None:
                tasks[0].cancel()
                tasks[1].cancel()
                tasks.append(asyncio.create_task(asyncio.Event().wait()))

            try:
                await case.assert_recovers(Tasks(), kill=kill, within=0.5)
            finally:
                for task in tasks:
                    task.cancel()

        self.assertRegex(failure_of(body, ChaosMixin), r"and has 3 parts of 4 after 0.5 s")

    async def test_the_probe_does_not_pass(self) -> None:
        async def refuse() -> bool:
            raise ConnectionError("refused")

        report = self.failure(probe=refuse)
        self.assertRegex(report, "the probe .*refuse has not passed within 0.5 s: it raised ConnectionError: refused")
        self.assertRegex(report, r"[ab] \(.*\) has begun")
        self.assertIn("has not passed within 0.5 s: it gave False", self.failure(probe=lambda: False))
        self.assertIn("it has not answered yet", self.failure(probe=lambda: asyncio.Event().wait()))
