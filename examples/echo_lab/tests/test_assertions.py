"""`supertester.mixins.otp`: the assertions on processes, servers and supervisors."""

from __future__ import annotations

from echo_lab import Counter, EchoLab, WorkerSupervisor

from supertester import IsolatedTestCase, OTPAssertions
from supertester.otp import KILL, Agent, whereis


class TestProcessAndServerAssertions(OTPAssertions, IsolatedTestCase):
    async def test_alive_and_dead(self) -> None:
        """A process is alive, and dead after it was stopped."""
        counter = await self.setup_isolated_genserver(Counter)
        await self.assert_process_alive(counter)
        await counter.stop()
        await self.assert_process_dead(counter)

    async def test_state_by_value_and_by_predicate(self) -> None:
        """The state of a server equals a value, or satisfies a function."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(2,))
        await self.assert_genserver_state(counter, {"count": 2})
        await self.assert_genserver_state(counter, lambda state: state["count"] > 0)

    async def test_the_state_of_an_agent(self) -> None:
        """An agent is a server like any other."""
        agent = await self.setup_isolated_genserver(Agent, init_args=(7,))
        await self.assert_genserver_state(agent, 7)

    async def test_responsive_and_answering(self) -> None:
        """A server gets through its messages, and gives the expected reply."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(2,))
        await self.assert_genserver_responsive(counter)
        await self.assert_genserver_handles_message(counter, ("add", 3), 5)

    async def test_eventually_and_always(self) -> None:
        """A condition that the runtime knows nothing about comes true in time, and stays true."""
        counter = await self.setup_isolated_genserver(Counter)
        counter.cast(("add", 1))

        async def counted() -> bool:
            return bool(await counter.call("value") == 1)

        await self.assert_eventually(counted)
        await self.assert_always(counted, during=0)


class TestSupervisorAssertions(OTPAssertions, IsolatedTestCase):
    async def test_a_killed_child_is_restarted(self) -> None:
        """After a kill the name belongs to a new process."""
        await self.setup_isolated_supervisor(WorkerSupervisor)
        before = whereis("worker_a")
        before.exit(KILL)
        await self.wait_for_process_restart("worker_a", before)
        await self.assert_process_restarted("worker_a", before)

    async def test_the_children_of_a_supervisor(self) -> None:
        """A supervisor has the expected strategy and number of children, and all of them run."""
        lab = await self.setup_isolated_supervisor(EchoLab)
        await self.assert_supervisor_strategy(lab, "rest_for_one")
        await self.assert_child_count(lab, 6)
        await self.assert_all_children_alive(lab)
        await self.assert_child_count("workers", 2)
        self.assertEqual(await self.get_active_child_count("shards"), 4)


class TestLeakAssertions(OTPAssertions, IsolatedTestCase):
    async def test_a_stopped_process_is_no_leak(self) -> None:
        """Code that stops what it starts leaves no process behind."""

        async def starts_and_stops() -> None:
            counter = await Counter.start(5)
            await counter.stop()

        await self.assert_no_process_leaks(starts_and_stops)
        async with self.no_process_leaks():
            await starts_and_stops()

    async def test_memory_is_given_back(self) -> None:
        """Code that gives back its memory is stable."""
        await self.assert_memory_usage_stable(lambda: sum(range(1000)), tolerance=0.5)

    async def test_bounds_of_a_measurement(self) -> None:
        """What was measured stays within its bounds."""
        await self.assert_performance_within_bounds(
            {"max_time": 3, "max_memory": 10}, {"max_time": 5, "max_memory": 10}
        )
