"""`supertester.supervision`: who is restarted, what happens in which order, and how a tree is built."""

from __future__ import annotations

from echo_lab import Counter, WorkerSupervisor
from echo_lab.worker import Worker

from supertester import ChildSpec, IsolatedTestCase, OTPAssertions, Supervisor
from supertester.otp import KILL, KILLED, SHUTDOWN, whereis
from supertester.supervision import ChildRestarted


class TestRestarts(OTPAssertions, IsolatedTestCase):
    async def test_one_for_one_restarts_the_child_alone(self) -> None:
        """One worker is killed: it alone comes back."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        result = await self.probe_restart_strategy(workers, "one_for_one", ("kill_child", "worker_a"))
        self.assertEqual((result.restarted, result.not_restarted), (("worker_a",), ("worker_b",)))

    async def test_one_for_all_restarts_every_child(self) -> None:
        """One worker is killed: all come back."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor, init_args=("one_for_all",))
        result = await self.probe_restart_strategy(workers, "one_for_all", ("kill_child", "worker_a"))
        self.assertEqual(result.restarted, ("worker_a", "worker_b"))

    async def test_a_worker_that_keeps_failing_ends_the_supervisor(self) -> None:
        """The limit of restarts is a result, not an error."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        result = await self.probe_restart_strategy(workers, "one_for_one", ("cascade_failure", "worker_b"))
        self.assertFalse(result.supervisor_alive)
        self.assertEqual(workers.exit_reason, SHUTDOWN)


class TestEvents(OTPAssertions, IsolatedTestCase):
    async def test_a_restart_is_traced_with_its_true_reason(self) -> None:
        """The trace has the end and the restart, in order."""
        workers = await self.setup_isolated_supervisor(WorkerSupervisor)
        killed = whereis("worker_b")
        assert killed is not None
        async with self.trace_supervision_events(workers) as trace:
            killed.exit(KILL)
        [restart] = [event for event in trace.events if isinstance(event, ChildRestarted)]
        self.assertEqual((restart.id, restart.old_pid, restart.reason), ("worker_b", killed, KILLED))


class TestStructure(OTPAssertions, IsolatedTestCase):
    async def test_a_nested_tree(self) -> None:
        """A tree with a named supervisor is compared as a whole."""
        children = [ChildSpec("counter", Counter), ChildSpec("workers", WorkerSupervisor)]
        root = await self.setup_isolated_supervisor(Supervisor, init_args=(children,), name="root")
        workers = {"strategy": "one_for_one", "children": [("worker_a", Worker), ("worker_b", Worker)]}
        await self.assert_supervision_tree_structure(
            "root", {"supervisor": Supervisor, "children": [("counter", Counter), ("workers", workers)]}
        )
        self.assertEqual(await self.get_active_child_count(root), 2)
        await self.assert_all_children_alive(root)
