"""`GenServer`: calls, casts, messages, and answers that come later."""

from __future__ import annotations

import asyncio

from echo_lab import Counter, Dictionary, Echo, Session, Tally

from supertester import CallExit, IsolatedTestCase, StartFailed, UnknownMessage
from supertester.otp import NORMAL, TIMEOUT, Crash, ManualClock, Pid, Runtime, is_crash, until_idle


class TestGenServer(IsolatedTestCase):
    async def test_a_call_waits_for_the_reply(self) -> None:
        """call() sends a request and returns the reply."""
        counter = await Counter.start_link(5)
        self.assertEqual(await counter.call("value"), 5)
        self.assertEqual(await counter.call(("add", 2)), 7)

    async def test_a_cast_is_handled_before_a_later_call(self) -> None:
        """cast() does not wait, but messages are handled in the order in which they were sent."""
        counter = await Counter.start_link(5)
        counter.cast(("add", 1))
        self.assertEqual(await counter.call("value"), 6)

    async def test_handlers_can_be_coroutines(self) -> None:
        """Every callback may be a plain function or a coroutine."""
        tally = await Tally.start_link(5)
        tally.cast(37)
        self.assertEqual(await tally.call("value"), 42)

    async def test_other_messages_go_to_handle_info(self) -> None:
        """send() reaches handle_info, where timers, links and monitors report too."""
        echo = await Echo.start_link()
        echo.send("a message")
        await until_idle(echo)
        self.assertEqual(await echo.call("still there"), "still there")

    async def test_a_reply_can_come_later(self) -> None:
        """A handler that returns NOREPLY can answer when the answer is there; others are served meanwhile."""
        echo = await Echo.start_link()
        first, second = (asyncio.create_task(echo.call(("hold", word))) for word in ("first", "second"))
        self.assertEqual(await echo.call("meanwhile"), "meanwhile")
        self.assertFalse(first.done() or second.done())
        echo.send("release")
        self.assertEqual([await first, await second], ["first", "second"])

    async def test_a_server_can_go_on_after_its_start(self) -> None:
        """Continue lets a server start at once and do slow things afterwards, before it answers anybody."""
        dictionary = await Dictionary.start_link("Echo", "Lab")
        self.assertEqual(await dictionary.call("echo"), "Echo")

    async def test_a_server_can_stop_with_a_reply(self) -> None:
        """Stop ends the server, in order, after it has answered."""
        dictionary = await Dictionary.start_link("Echo", "Lab")
        self.assertEqual(await dictionary.call("close"), ["echo", "lab"])
        self.assertEqual(dictionary.exit_reason, NORMAL)


class TestTimeouts(IsolatedTestCase):
    """Time stands still until the test moves it, so a minute costs nothing."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.clock = ManualClock()
        await self.enterAsyncContext(Runtime(clock=self.clock))

    async def test_an_idle_server_ends(self) -> None:
        """A server ends after a minute without a call, and a call starts the minute anew."""
        session = await Session.start(60.0)
        self.clock.advance(59.0)
        self.assertEqual(await session.call("hello"), "hello")
        self.clock.advance(59.0)
        await until_idle(session)
        self.assertTrue(session.is_alive())
        self.clock.advance(1.0)
        await until_idle()
        self.assertEqual(session.exit_reason, NORMAL)

    async def test_a_delayed_answer_comes_when_its_time_has_come(self) -> None:
        """A server that answers after an hour is tested in no time."""
        echo = await Echo.start()
        answer = asyncio.create_task(echo.call(("delay", 3600.0, "late"), timeout=7200.0))
        await everybody_waits(echo)
        self.clock.advance(3599.0)
        await everybody_waits(echo)
        self.assertFalse(answer.done())
        self.clock.advance(1.0)
        self.assertEqual(await answer, "late")

    async def test_a_call_that_is_not_answered_in_time_fails(self) -> None:
        """A caller gives up after its timeout; the server lives on."""
        echo = await Echo.start()
        call = asyncio.create_task(echo.call(("hold", "for ever"), timeout=5.0))
        await everybody_waits(echo)
        self.clock.advance(5.0)
        with self.assertRaises(CallExit) as caught:
            await call
        self.assertEqual(caught.exception.reason, TIMEOUT)
        self.assertTrue(echo.is_alive())


async def everybody_waits(echo: Pid) -> None:
    """Return when *echo* has read what was sent to it so far, and its callers wait for their replies."""
    for _ in range(3):
        await echo.call("a turn for everybody")


class TestCrashes(IsolatedTestCase):
    async def test_an_exception_ends_the_server(self) -> None:
        """An exception in a handler ends the server; the caller learns why, and the traceback is kept."""
        counter = await Counter.start_link(5)
        with self.assertRaises(CallExit) as caught:
            await counter.call(("divide", 0))
        self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)
        self.assertIsInstance(counter.exit_reason, Crash)
        self.assertTrue(is_crash(counter.exit_reason))

    async def test_an_unknown_request_ends_the_server(self) -> None:
        """A request that no handler knows ends the server, rather than being lost."""
        counter = await Counter.start_link(5)
        with self.assertRaises(CallExit) as caught:
            await counter.call("what is this?")
        self.assertIsInstance(caught.exception.__cause__, UnknownMessage)

    async def test_a_server_can_refuse_to_start(self) -> None:
        """A start that fails says why, and leaves nothing behind."""
        with self.assertRaises(StartFailed) as caught:
            await Counter.start_link(-1)
        self.assertEqual(caught.exception.reason, ("negative_start", -1))
