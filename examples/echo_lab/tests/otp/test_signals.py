"""Links, monitors, exits, and the kill that nobody survives."""

from __future__ import annotations

from echo_lab import Counter, Stubborn, Worker

from supertester import IsolatedTestCase
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Down,
    Exit,
    demonitor,
    link,
    monitor,
    process_info,
    sys,
    unlink,
)


class TestSignals(IsolatedTestCase):
    async def test_a_monitor_tells_of_an_end(self) -> None:
        """A monitor brings one message, with the reason, when the other process ends."""
        counter = await Counter.start_link(5)
        ref = monitor(counter)
        await counter.stop(SHUTDOWN)
        self.assertEqual(await self.isolation.root.receive(Down), Down(ref, counter, SHUTDOWN))

    async def test_a_monitor_of_the_dead_tells_at_once(self) -> None:
        """Who monitors a dead process is told at once."""
        counter = await Counter.start_link(5)
        await counter.stop()
        ref = monitor(counter)
        self.assertEqual(await self.isolation.root.receive(Down), Down(ref, counter, NOPROC))

    async def test_a_monitor_can_be_forgotten(self) -> None:
        """After demonitor() nothing arrives."""
        counter = await Counter.start(5)
        demonitor(monitor(counter), flush=True)
        await counter.stop()
        self.assertEqual(self.isolation.root.messages, [])

    async def test_a_link_carries_the_reason(self) -> None:
        """What a test starts is linked to it, and its end arrives in the test's mailbox."""
        counter = await Counter.start_link(5)
        counter.exit(KILL)
        self.assertEqual(await self.isolation.root.receive(Exit), Exit(counter, KILLED))

    async def test_links_can_be_made_and_broken(self) -> None:
        """link() ties the test to a process, unlink() unties it."""
        counter = await Counter.start(5)
        link(counter)
        self.assertIn(self.isolation.root, process_info(counter).links)
        unlink(counter)
        await counter.stop()
        self.assertEqual(self.isolation.root.messages, [])

    async def test_exit_signals_can_be_trapped(self) -> None:
        """A process that traps exits gets signals of others as messages, and survives them, but no kill."""
        worker = await Worker.start("survivor")
        worker.exit(NORMAL)
        worker.exit("please")
        self.assertEqual((await sys.get_state(worker))["signals"], [NORMAL, "please"])
        self.assertTrue(worker.is_alive())
        worker.exit(KILL)
        self.assertEqual(worker.exit_reason, KILLED)

    async def test_a_kill_cannot_be_swallowed(self) -> None:
        """A server that swallows every cancellation and waits again is dead all the same when it is killed."""
        stubborn = await Stubborn.start_link()
        stubborn.cast("wait for ever")
        await stubborn_is_waiting(stubborn)
        stubborn.exit(KILL)
        self.assertEqual(await self.isolation.root.receive(Exit), Exit(stubborn, KILLED))


async def stubborn_is_waiting(stubborn: object) -> None:
    """Return when the handler of *stubborn* has begun: a later process, started now, has had its turn after it."""
    after = await Counter.start_link()
    await after.call("value")
    assert process_info(stubborn).status == "running"
