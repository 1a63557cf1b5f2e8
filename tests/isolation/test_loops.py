import asyncio
import signal
import sys
import time
import unittest
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.isolation import hooks, uninstall
from supertester.isolation.loops import TestLoop, TestTimeout
from supertester.otp import GenServer
from supertester.testing import inner_case, run_inner
from tests.planted import forever


class TestTheLoop(unittest.TestCase):
    def setUp(self) -> None:
        self.loop = TestLoop()
        self.addCleanup(self.loop.close, 1.0)

    def test_runs_coroutines_one_after_the_other(self) -> None:
        async def give(value: int) -> int:
            await asyncio.sleep(0)
            return value

        self.assertEqual([self.loop.run(give(value)) for value in (1, 2)], [1, 2])

    def test_lets_errors_through(self) -> None:
        async def fail(error: BaseException) -> None:
            raise error

        for error in (
            OSError("planted"),
            KeyboardInterrupt("planted"),
            SystemExit(3),
            asyncio.CancelledError("planted"),
        ):
            with self.subTest(error=error), self.assertRaises(type(error)) as caught:
                self.loop.run(fail(error))
            self.assertEqual(caught.exception.args, error.args)

    def test_a_limit_can_be_lifted(self) -> None:
        self.loop.limit(0.001)
        self.loop.limit(None)
        deadline = time.monotonic() + 0.002
        while time.monotonic() < deadline:
            pass
        self.loop.check()

    def test_a_limit_holds_over_several_runs(self) -> None:
        async def nothing() -> None: ...

        self.loop.limit(1.0)
        self.loop.run(nothing())
        with self.assertRaisesRegex(TestTimeout, "timeout of 1 s"):
            self.loop.run(forever())
        self.loop.run(nothing())

    def test_can_be_closed_twice(self) -> None:
        self.loop.close(1.0)
        self.loop.close(1.0)

    def test_closing_ends_what_is_left(self) -> None:
        tasks: list[asyncio.Task[None]] = []

        async def leave() -> None:
            tasks.append(asyncio.create_task(forever()))

        self.loop.run(leave())
        self.loop.close(1.0)
        self.assertTrue(tasks[0].cancelled())


class TestInterrupts(unittest.TestCase):
    def setUp(self) -> None:
        # A job in the background of a shell is started with SIGINT ignored, and Python leaves it at that.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))

    def test_the_first_cancels_the_test_and_the_cleanup_goes_on(self) -> None:
        log: list[str] = []

        async def body(case: Any) -> None:
            case.cleanup_on_exit(lambda: log.append("cleanup"))
            signal.raise_signal(signal.SIGINT)
            try:
                await forever()
            finally:
                log.append("finally")

        with self.assertRaises(KeyboardInterrupt):
            run_inner(inner_case(body))
        self.assertEqual(log, ["finally", "cleanup"])
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_the_second_is_not_put_off(self) -> None:
        async def body(case: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            run_inner(inner_case(body))

    def test_one_in_a_plain_test_is_not_put_off(self) -> None:
        with self.assertRaises(KeyboardInterrupt):
            run_inner(inner_case(lambda case: signal.raise_signal(signal.SIGINT)))

    def test_one_during_the_cleanup_does_not_stop_it(self) -> None:
        log: list[str] = []

        async def interrupted() -> None:
            signal.raise_signal(signal.SIGINT)
            await forever()

        async def body(case: Any) -> None:
            case.cleanup_on_exit(lambda: log.append("first"))
            case.cleanup_on_exit(interrupted)
            await GenServer.start_link()

        with self.assertRaises(KeyboardInterrupt):
            run_inner(inner_case(body))
        self.assertEqual(log, ["first"])

    def test_a_handler_of_somebody_else_is_left_alone(self) -> None:
        def handler(number: int, frame: Any) -> None: ...

        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, handler))
        run_inner(inner_case(lambda case: case.assertIs(signal.getsignal(signal.SIGINT), handler)))
        self.assertIs(signal.getsignal(signal.SIGINT), handler)


class TestTheEndOfACleanup(unittest.TestCase):
    def test_that_hangs_as_a_whole_is_reported_and_tried_again(self) -> None:
        calls: list[int] = []

        async def hang(*args: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                await forever()

        async def body(case: Any) -> None:
            asyncio.create_task(forever(), name="left")
            case.isolation.add_cleanup(print)

        with (
            mock.patch("supertester.isolation.cleanup.unwind", hang),
            mock.patch("supertester.case._MARGIN", 0.0),
            mock.patch("supertester.case.isolation_timeout", lambda mode: 0.02),
        ):
            result = run_inner(inner_case(body))
        self.assertIn("its cleanup took longer than 0.02 s (isolation_timeout of full_isolation)", result.report)
        self.assertIn("task 'left' running 'forever'", result.report)

    def test_errors_of_the_loops_own_end_are_reported(self) -> None:
        class Broken(asyncio.SelectorEventLoop):
            async def shutdown_asyncgens(self) -> None:
                raise OSError("planted")

        class Inner(IsolatedTestCase):
            loop_factory = Broken

            async def test(self) -> None:
                async def numbers() -> Any:
                    yield 1

                self.generator = numbers()
                await anext(self.generator)

        result = run_inner(Inner("test"))
        self.assertIn("OSError: planted", result.report)
        with self.assertRaisesRegex(OSError, "planted"):
            Inner("test").debug()

    def test_a_failure_found_while_the_loop_ends_is_reported(self) -> None:
        async def numbers() -> Any:
            try:
                yield 1
            finally:
                raise OSError("planted")

        async def body(case: Any) -> None:
            case.generator = numbers()
            await anext(case.generator)

        result = run_inner(inner_case(body))
        self.assertIn("OSError('planted')", result.report)
        self.assertFalse(result.wasSuccessful())


class TestUninstalling(unittest.TestCase):
    def test_puts_everything_back(self) -> None:
        uninstall()
        before = [getattr(holder, name) for holder, name, _ in hooks._HOOKS]
        run_inner(inner_case(lambda case: None))
        self.assertNotEqual([getattr(holder, name) for holder, name, _ in hooks._HOOKS], before)
        uninstall()
        uninstall()
        self.assertEqual([getattr(holder, name) for holder, name, _ in hooks._HOOKS], before)

    def test_leaves_what_somebody_put_in_front(self) -> None:
        def theirs(args: Any) -> None: ...

        run_inner(inner_case(lambda case: None))
        self.addCleanup(setattr, sys, "unraisablehook", sys.__unraisablehook__)
        sys.unraisablehook = theirs
        uninstall()
        self.assertIs(sys.unraisablehook, theirs)
