"""`supertester.targets`: tasks, threads and processes that are no servers, watched, killed and seen to recover."""

from __future__ import annotations

import signal
from pathlib import Path

from echo_lab.post import CARRIERS, Sorter, Stamper

from supertester import ChaosMixin, IsolatedTestCase, OTPAssertions, Unsupported
from supertester.otp import KILLED, NORMAL
from supertester.targets import (
    ExternalProcess,
    LineReady,
    QueueTaskTarget,
    QueueThreadTarget,
    check_target_contract,
    start_process,
    target_of,
)

__tags__ = {"layer": "component", "chaos": True}


class TestTasks(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.sorter = Sorter()
        self.addCleanup(self.sorter.close)

    async def test_a_task_has_done_what_was_in_its_queue(self) -> None:
        """The test waits until the task has read its queue, and does not guess for how long."""
        for letter in ("to Zoe", "to Ann"):
            self.sorter.inbox.put_nowait(letter)
        await QueueTaskTarget(self.sorter.task, self.sorter.inbox).sync()
        self.assertEqual(self.sorter.sorted, ["to Ann", "to Zoe"])

    async def test_a_killed_task_is_replaced(self) -> None:
        """One task is killed, its keeper starts another, and letters are sorted as before."""
        first = self.sorter.task

        def sorts() -> bool:
            self.sorter.inbox.put_nowait("a probe")
            return "a probe" in self.sorter.sorted

        recovery = await self.assert_recovers(lambda: self.sorter.task, probe=sorts)
        self.assertEqual(list(recovery.ended.values()), [KILLED])
        self.assertEqual(await self.wait_for_process_death(first), KILLED)


class TestThreads(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_thread_has_done_what_was_in_its_queue_and_stops(self) -> None:
        """A thread is waited for as a server is, and stopped as it says itself."""
        stamper = Stamper()
        target = QueueThreadTarget(stamper.thread, stamper.inbox, stop=stamper.close)
        stamper.inbox.put("to Ann")
        await target.sync()
        self.assertEqual(stamper.stamped, ["to Ann (stamped)"])
        self.assertEqual(await target.stop(), NORMAL)
        await self.assert_process_dead(stamper.thread)

    async def test_a_thread_cannot_be_killed_and_says_so(self) -> None:
        """What Python cannot do is refused, with the reason."""
        stamper = Stamper()
        self.addCleanup(stamper.close)
        with self.assertRaisesRegex(Unsupported, "Python has no way to end a thread from outside"):
            await self.inject_crash(stamper.thread, "immediate")

    async def test_a_stamper_keeps_the_contract_of_targets(self) -> None:
        """What holds for all targets holds for this one."""

        def start() -> QueueThreadTarget:
            stamper = Stamper()
            return QueueThreadTarget(stamper.thread, stamper.inbox, stop=stamper.close)

        self.assertIsNone(await check_target_contract(start, supports=["stop", "sync", "queue_len"]))


class TestTrees(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def carriers(self) -> ExternalProcess:
        return await start_process(CARRIERS, ready=LineReady("ready"), cwd=Path(__file__).parents[1])

    async def test_any_carrier_may_die(self) -> None:
        """A process below a master is killed by chance, and another takes its place."""
        master = await self.carriers()
        recovery = await self.assert_recovers(master, within=10)
        self.assertEqual((len(recovery.begun), len(target_of(master).workers())), (1, 2))
        self.assertIsNotNone(recovery.recovery_ms)

    async def test_a_carrier_crashes_and_one_hangs(self) -> None:
        """A signal of the operating system ends one, and another stands still and goes on."""
        master = await self.carriers()
        injection = await self.kill_random_worker(master, reason=signal.SIGSEGV)
        await self.wait_for_process_death(injection.target)
        hanging = target_of(master).workers()[0]
        await hanging.suspend()
        self.assertEqual((hanging.is_alive(), hanging.state), (True, "stopped"))
        await hanging.resume()
