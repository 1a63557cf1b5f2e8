"""Looking at processes from the outside: `sys`, `process_info`, `until_idle`, `intercept`."""

from __future__ import annotations

from echo_lab import Counter, Echo, Hoarder, Worker

from supertester import CallExit, IsolatedTestCase, WaitTimeout
from supertester.otp import KILL, TIMEOUT, Runtime, SystemEvent, intercept, process_info, sys, until_idle


class TestSys(IsolatedTestCase):
    async def test_the_state_of_any_server_can_be_read_and_replaced(self) -> None:
        """No server needs code for it: its state can be read and replaced."""
        counter = await Counter.start_link(5)
        self.assertEqual(await sys.get_state(counter), {"count": 5})
        await sys.replace_state(counter, lambda state: {"count": state["count"] * 2})
        self.assertEqual(await counter.call("value"), 10)

    async def test_a_server_can_be_suspended(self) -> None:
        """A suspended server keeps its messages for later, and callers get no answer."""
        counter = await Counter.start_link(5)
        await sys.suspend(counter)
        counter.cast(("add", 1))
        with self.assertRaises(CallExit) as caught:
            await counter.call("value", timeout=0)
        self.assertEqual(caught.exception.reason, TIMEOUT)
        self.assertEqual((await sys.get_status(counter))["status"], "suspended")
        await sys.resume(counter)
        self.assertEqual(await counter.call("value"), 6)

    async def test_messages_can_be_traced(self) -> None:
        """A trace sees what a server handles, and what it replies, in order."""
        counter = await Counter.start_link(5)
        events: list[SystemEvent] = []
        await sys.trace(counter, events.append)
        counter.cast(("add", 1))
        await counter.call("value")
        seen = [(event.kind, event.message) for event in events]
        self.assertEqual(seen, [("cast", ("add", 1)), ("call", "value"), ("reply", 6)])

    async def test_a_server_counts_its_messages(self) -> None:
        """Statistics say how many messages came, and how many wait."""
        counter = await Counter.start_link(5)
        for _ in range(3):
            counter.cast(("add", 1))
        await sys.sync(counter)
        statistics = await sys.statistics(counter)
        self.assertEqual((statistics.messages_in, statistics.message_queue_len), (3, 0))


class TestProcessInfo(IsolatedTestCase):
    async def test_a_busy_process_can_be_looked_at(self) -> None:
        """A process that waits in a handler is seen with its mailbox, and with the line it waits at."""
        hoarder = await Hoarder.start_link(name="hoarder")
        for number in range(3):
            hoarder.cast(number)
        with self.assertRaises(WaitTimeout):
            await until_idle(hoarder, timeout=0)
        await (await Counter.start_link()).call("value")  # By now the hoarder has had its turn.
        info = process_info("hoarder")
        self.assertEqual((info.status, info.messages), ("running", (1, 2)))
        self.assertIn("handle_cast", info.current_function[0])
        hoarder.exit(KILL)  # It would never read a request to stop.

    async def test_the_family_of_a_process_is_known(self) -> None:
        """A process knows who started it; the test is the parent of what it starts."""
        worker = await Worker.start_link("label", name="a_worker")
        info = process_info(worker)
        self.assertEqual((info.registered_name, info.initial_call), ("a_worker", Worker))
        self.assertIs(info.parent, self.isolation.root)
        self.assertTrue(info.trap_exit)

    async def test_a_dead_process_has_no_details(self) -> None:
        """Nothing is known of a dead process but its exit reason."""
        worker = await Worker.start_link()
        await worker.stop("done")
        self.assertIsNone(process_info(worker))
        self.assertEqual(worker.exit_reason, "done")


class TestUntilIdle(IsolatedTestCase):
    async def test_all_messages_have_been_handled(self) -> None:
        """until_idle() returns when every mailbox is empty, also when messages cause other messages."""
        journal = await Echo.start_link()
        workers = [await Worker.start_link(f"worker {number}", journal) for number in range(3)]
        for worker in workers:
            worker.exit("enough")  # The test is their parent, so each says goodbye to the journal and ends.
        await until_idle()
        self.assertEqual(sorted(await sys.get_state(journal)), [(f"worker {n}", "enough") for n in range(3)])

    async def test_who_is_busy_is_named(self) -> None:
        """When it takes too long, the message names who is busy and where it waits."""
        hoarder = await Hoarder.start_link(name="hoarder")
        hoarder.cast("first")
        await (await Counter.start_link()).call("value")
        with self.assertRaisesRegex(WaitTimeout, "'hoarder'.*handle_cast"):
            await until_idle(hoarder, timeout=0)
        hoarder.exit(KILL)


class TestIntercept(IsolatedTestCase):
    async def test_messages_can_be_lost(self) -> None:
        """A test can let messages to a server get lost."""
        counter = await Counter.start_link(5)
        with intercept(counter, lambda _: []):
            counter.cast(("add", 100))
        counter.cast(("add", 1))
        self.assertEqual(await counter.call("value"), 6)

    async def test_messages_can_arrive_twice(self) -> None:
        """A test can deliver every cast twice, as a network might."""
        counter = await Counter.start_link(5)
        with intercept(counter, lambda message: [message, message]):
            counter.cast(("add", 1))
        self.assertEqual(await counter.call("value"), 7)


class TestSeededRuntime(IsolatedTestCase):
    async def test_a_seed_decides_whose_turn_it_is(self) -> None:
        """With a seed the order in which servers take their turns is random, and can be had again."""

        async def order(seed: int) -> list[object]:
            async with Runtime(seed=seed):
                journal = await Echo.start()
                workers = [await Worker.start(f"worker {number}", journal) for number in range(6)]
                events: list[object] = []
                for worker in workers:
                    await sys.trace(worker, lambda event: events.append(event.pid.id))
                for worker in workers:
                    worker.cast("job")
                await until_idle()
                return events

        orders = {seed: await order(seed) for seed in range(5)}
        self.assertEqual(orders, {seed: await order(seed) for seed in range(5)})
        self.assertGreater(len(set(map(tuple, orders.values()))), 1)
