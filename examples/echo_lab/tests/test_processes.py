"""`supertester.processes`: processes of a test, started, waited for and cleaned up."""

from __future__ import annotations

from echo_lab import Counter, WorkerSupervisor

from supertester import IsolatedTestCase, OTPAssertions, StartFailed, WaitTimeout
from supertester.isolation import isolate, set_env
from supertester.otp import KILL, KILLED, SHUTDOWN, Supervisor, SupervisorSpec, whereis
from tests.support import Notebook


class BrokenSupervisor(Supervisor):
    """Its init does not return what it should."""

    def init(self) -> SupervisorSpec:
        return "no spec"  # type: ignore[return-value]


class TestStarting(OTPAssertions, IsolatedTestCase):
    async def test_a_server_is_started_tracked_and_cleaned_up(self) -> None:
        """A server gets its arguments and a name of its own, and ends with the test."""
        async with isolate("registry") as inner:
            counter = await self.setup_isolated_genserver(Counter, "tracked", init_args=(5,))
            self.assertEqual(await counter.call("value"), 5)
            self.assertIn("tracked", str(counter.name))
            self.assertIn(counter, [info.pid for info in inner.processes])
        await self.assert_process_dead(counter)

    async def test_two_servers_of_one_class_do_not_collide(self) -> None:
        """Each server has a name of its own, also two of one class in one test."""
        counters = [await self.setup_isolated_genserver(Counter) for _ in range(2)]
        self.assertEqual(len({counter.name for counter in counters}), 2)

    async def test_a_server_that_does_not_start_says_why(self) -> None:
        """A failing start says what was to be started, with which arguments, and what went wrong."""
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_genserver(Counter, init_args=(-1,))
        error = caught.exception
        self.assertEqual((error.kind, error.module, error.init_args), ("genserver", Counter, (-1,)))
        self.assertEqual(error.reason, ("negative_start", -1))

    async def test_a_supervisor_that_does_not_start_says_why(self) -> None:
        """The same for a supervisor whose init returns nonsense."""
        with self.assertRaises(StartFailed) as caught:
            await self.setup_isolated_supervisor(BrokenSupervisor)
        self.assertEqual((caught.exception.kind, caught.exception.module), ("supervisor", BrokenSupervisor))

    async def test_a_misspelt_start_option_is_refused(self) -> None:
        """An option that does not exist is refused, and nothing is started."""
        with self.assertRaisesRegex(TypeError, "initial_state"):
            await self.setup_isolated_genserver(Counter, initial_state=5)
        self.assertEqual(self.isolation.processes, [])


class TestWaiting(OTPAssertions, IsolatedTestCase):
    async def test_wait_for_a_restart(self) -> None:
        """wait_for_process_restart() returns the process that took the place of the one that was killed."""
        await self.setup_isolated_supervisor(WorkerSupervisor)
        before = whereis("worker_a")
        before.exit(KILL)
        after = await self.wait_for_process_restart("worker_a", before)
        self.assertIsNot(after, before)
        self.assertIs(after, whereis("worker_a"))

    async def test_wait_for_the_supervisor_to_settle(self) -> None:
        """wait_for_supervisor_restart() returns when all the children run again."""
        supervisor = await self.setup_isolated_supervisor(WorkerSupervisor, init_args=("one_for_all",))
        whereis("worker_a").exit(KILL)
        self.assertIs(await self.wait_for_supervisor_restart(supervisor), supervisor)
        await self.assert_all_children_alive(supervisor)

    async def test_wait_for_a_server_and_for_its_death(self) -> None:
        """A server can be waited for until it has read its mailbox, and until it is dead; the reason is returned."""
        counter = await self.setup_isolated_genserver(Counter)
        counter.cast(("add", 5))
        self.assertIs(await self.wait_for_genserver_sync(counter), counter)
        counter.exit(KILL)
        self.assertEqual(await self.wait_for_process_death(counter), KILLED)

    async def test_a_wait_that_runs_out_says_what_it_saw(self) -> None:
        """When the time is up, the message says what was waited for."""
        counter = await self.setup_isolated_genserver(Counter)
        with self.assertRaisesRegex(WaitTimeout, "Counter"):
            await self.wait_for_process_death(counter, timeout=0)

    async def test_a_monitor_keeps_the_reason(self) -> None:
        """A monitor can be awaited, early or late, for the reason of an end."""
        counter = await self.setup_isolated_genserver(Counter)
        monitor = await self.monitor_process_lifecycle(counter)
        await counter.stop(SHUTDOWN)
        self.assertEqual(await monitor, SHUTDOWN)
        self.assertEqual(await monitor, SHUTDOWN)


class TestCleaningUp(OTPAssertions, IsolatedTestCase):
    async def test_processes_can_be_cleaned_up_early(self) -> None:
        """cleanup_processes() stops processes in the middle of a test, dead ones included."""
        counters = [await self.setup_isolated_genserver(Counter) for _ in range(3)]
        counters[0].exit(KILL)
        await self.cleanup_processes(counters)
        for counter in counters:
            await self.assert_process_dead(counter)

    async def test_a_cleanup_goes_to_the_environment_in_force(self) -> None:
        """cleanup_on_exit() registers with the running test, unless there is another environment."""
        notebook, done = Notebook(), []
        async with isolate("registry", env=notebook):
            with set_env(notebook):
                self.cleanup_on_exit(lambda: done.append("cleaned up"))
        for callback in notebook.callbacks:
            result = callback()
            if result is not None:
                await result
        self.assertEqual(done, ["cleaned up"])
