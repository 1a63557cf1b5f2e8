"""`supertester.targets.start_os_server`: the application's servers, each in a process of its own."""

from __future__ import annotations

import os
import signal

from echo_lab.counter import Counter, Tally

from supertester import ChaosMixin, ChildSpec, IsolatedTestCase, OTPAssertions, StartFailed, Supervisor
from supertester.otp import CallExit, Crash, process_info, sys, whereis
from supertester.targets import os_child_spec, start_os_server

__tags__ = {"layer": "component", "chaos": True}

PATIENCE = 30.0


class TestCounters(OTPAssertions, IsolatedTestCase):
    async def test_a_counter_counts_elsewhere_as_it_does_here(self) -> None:
        """The same class, started in another process, passes the same assertions."""
        counter = await start_os_server(Counter, 5, name="counter")
        await self.cast_and_sync(counter, ("add", 2))
        await self.assert_genserver_state(counter, {"count": 7})
        info = process_info("counter")
        assert info is not None
        self.assertNotEqual(info.os_pid, os.getpid())
        self.assertEqual(info.reductions, 1)

    async def test_its_error_comes_with_the_traceback(self) -> None:
        """A division by zero over there is one for its caller here, from the line where it happened."""
        counter = await start_os_server(Counter, 5)
        with self.assertRaises(CallExit) as caught:
            await counter.call(("divide", 0))
        self.assertEqual(caught.exception.reason, Crash(counter.exit_reason.exception))
        self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)

    async def test_it_may_refuse_to_start(self) -> None:
        """What `init` says is known here."""
        with self.assertRaises(StartFailed) as caught:
            await start_os_server(Counter, -1)
        self.assertEqual(caught.exception.reason, ("negative_start", -1))


class TestTrees(ChaosMixin, OTPAssertions, IsolatedTestCase):
    async def test_a_crash_of_a_process_is_survived(self) -> None:
        """A supervisor has children here and elsewhere; a fault of memory in one of them harms nobody else."""
        supervisor = await Supervisor.start_link(
            [
                ChildSpec("tally", Tally, kwargs={"name": "tally"}),
                os_child_spec("counter", Counter, (5,), {"name": "counter", "timeout": PATIENCE}),
            ]
        )
        tally, first = whereis("tally"), whereis("counter")
        info = process_info(first)
        assert info is not None
        os.kill(info.os_pid, signal.SIGSEGV)
        second = await self.wait_for_process_restart("counter", first, timeout=PATIENCE)
        self.assertEqual([first and first.exit_reason, await second.call("value")], ["signal SIGSEGV", 5])
        self.assertIs(whereis("tally"), tally)
        await self.assert_all_children_alive(supervisor)

    async def test_one_that_hangs_makes_its_callers_wait(self) -> None:
        """A process stands still, a call runs out of time, and afterwards all is as before."""
        counter = await start_os_server(Counter)
        async with self.pause(counter):
            self.assertFalse((await self.call_with_timeout(counter, "value", 0.05)).ok)
        self.assertEqual(await counter.call("value"), 0)
        await sys.sync(counter)
