"""`supertester.servers`: servers of a test, asked, told, put under load and crashed."""

from __future__ import annotations

from echo_lab import Counter, Echo, Hoarder, WorkerSupervisor

from supertester import IsolatedTestCase, MissingSyncHandler, OTPAssertions
from supertester.otp import KILL, KILLED, NOPROC, TIMEOUT, ManualClock, Runtime, intercept, whereis
from supertester.servers import SYNC
from tests.support import PlainCounter, TestableCounter


class TestAsking(OTPAssertions, IsolatedTestCase):
    async def test_the_state_and_a_call_as_outcomes(self) -> None:
        """An answer comes as a value that also tells of a failure, where an exception would be in the way."""
        counter = await self.setup_isolated_genserver(Counter, init_args=(3,))
        self.assertEqual((await self.get_server_state_safely(counter)).unwrap(), {"count": 3})
        self.assertEqual((await self.call_with_timeout(counter, ("add", 1))).unwrap(), 4)

    async def test_a_failure_is_a_value_too(self) -> None:
        """A server that is dead, or too slow, is an outcome with an error."""
        echo = await self.setup_isolated_genserver(Echo)
        self.assertEqual((await self.call_with_timeout(echo, ("hold", "for ever"), timeout=0)).error, TIMEOUT)
        await echo.stop()
        self.assertEqual((await self.get_server_state_safely(echo)).error, NOPROC)


class TestSynchronising(OTPAssertions, IsolatedTestCase):
    async def test_a_cast_has_been_handled(self) -> None:
        """cast_and_sync() returns when the cast is handled; the server needs no code for it."""
        counter = await self.setup_isolated_genserver(Counter)
        self.assertIsNone(await self.cast_and_sync(counter, ("add", 1)))
        await self.assert_genserver_state(counter, {"count": 1})

    async def test_a_request_of_ones_own_can_synchronise(self) -> None:
        """With a request of one's own, its reply is returned."""
        counter = await self.setup_isolated_genserver(Counter)
        self.assertEqual(await self.cast_and_sync(counter, ("add", 1), "value"), 1)

    async def test_a_server_without_a_sync_handler_is_left_alone(self) -> None:
        """A server of another library that cannot be synchronised with is refused, and left untouched."""
        plain = PlainCounter()
        with self.assertRaises(MissingSyncHandler):
            await self.cast_and_sync(plain, ("add", 1))
        self.assertEqual((plain.mailbox, plain.state), ([], 0))

    async def test_an_embedded_server_without_any_handler_survives(self) -> None:
        """A server of the runtime that handles no calls at all can be synchronised with, and lives on."""
        hoarder = await self.setup_isolated_genserver(Hoarder)
        await self.wait_for_genserver_sync(hoarder)
        with self.assertRaises(MissingSyncHandler):
            await self.cast_and_sync(hoarder, "a cast", "a request of our own")
        await self.assert_process_alive(hoarder)


class TestTestableServer(OTPAssertions, IsolatedTestCase):
    def test_the_sync_handler_can_return_the_state(self) -> None:
        """A testable server of another library answers the synchronisation message, with its state if asked to."""
        counter = TestableCounter()
        self.assertEqual(counter.call(SYNC), "ok")
        self.assertEqual(counter.call((SYNC, {"return_state": True})), ("ok", 0))
        self.assertEqual(counter.call("value"), 0)

    async def test_a_testable_server_can_be_synchronised_with(self) -> None:
        """cast_and_sync() works on it as on any other."""
        counter = TestableCounter()
        await self.cast_and_sync(counter, ("add", 1))
        self.assertEqual(counter.state, 1)

    async def test_an_embedded_server_answers_the_same(self) -> None:
        """A server of the runtime answers the same without being told how."""
        counter = await self.setup_isolated_genserver(Counter)
        reply = await self.cast_and_sync(counter, ("add", 1), (SYNC, {"return_state": True}))
        self.assertEqual(reply, ("ok", {"count": 1}))


class TestLoad(OTPAssertions, IsolatedTestCase):
    async def test_many_calls_at_once(self) -> None:
        """concurrent_calls() starts all its callers together and returns what came of each request."""
        counter = await self.setup_isolated_genserver(Counter)
        adding, dividing = await self.concurrent_calls(counter, [("add", 1), ("divide", 1)], count=20)
        self.assertEqual((len(adding.successes), len(dividing.successes)), (20, 20))
        self.assertEqual(adding.errors + dividing.errors, ())
        await self.assert_genserver_state(counter, {"count": 20})

    async def test_random_operations_for_a_while(self) -> None:
        """stress_test_server() sends random operations, waits until they are done, and says how to repeat them."""
        clock = ManualClock()

        def tick(message: object) -> list[object]:
            clock.advance(0.001)  # Each message takes a millisecond, on any machine.
            return [message]

        async with Runtime(clock=clock):
            counter = await Counter.start()
            operations = [("call", ("add", 1)), ("cast", ("add", 1))]
            with intercept(counter, tick):
                report = await self.stress_test_server(counter, operations, duration_ms=20, workers=3)
            self.assertGreaterEqual(report.calls + report.casts, 20)
            self.assertEqual((report.errors, report.seed), (0, self.isolation.seed))
            await self.assert_genserver_state(counter, {"count": report.calls + report.casts})


class TestProbes(OTPAssertions, IsolatedTestCase):
    async def test_a_supervised_server_recovers_from_a_crash(self) -> None:
        """probe_crash_recovery() kills a server and reports who took its place, and how soon."""
        await self.setup_isolated_supervisor(WorkerSupervisor)
        before = whereis("worker_a")
        recovery = await self.probe_crash_recovery("worker_a", KILL)
        self.assertTrue(recovery.recovered)
        self.assertEqual((recovery.original_pid, recovery.new_pid), (before, whereis("worker_a")))
        self.assertEqual(recovery.crash_reason, KILLED)

    async def test_a_server_without_a_supervisor_does_not_recover(self) -> None:
        """Nobody takes the place of a server that nobody supervises."""
        counter = await self.setup_isolated_genserver(Counter)
        recovery = await self.probe_crash_recovery(counter, KILL, timeout=0)
        self.assertFalse(recovery.recovered)

    async def test_a_server_survives_invalid_messages(self) -> None:
        """probe_invalid_messages() reports what came of each message, and whether the server survived."""
        echo = await self.setup_isolated_genserver(Echo)
        report = await self.probe_invalid_messages(echo, [None, "nonsense", {"a": 1}])
        self.assertEqual([message for message, _ in report.results], [None, "nonsense", {"a": 1}])
        self.assertTrue(all(outcome.ok for _, outcome in report.results))
        self.assertTrue(report.survived)

    async def test_a_server_dies_of_an_invalid_message(self) -> None:
        """A counter does not survive a request that it does not know, and the report says so."""
        counter = await self.setup_isolated_genserver(Counter)
        report = await self.probe_invalid_messages(counter, ["nonsense"])
        [(_, outcome)] = report.results
        self.assertFalse(outcome.ok or report.survived)
