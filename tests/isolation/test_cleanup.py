import asyncio
import unittest
from typing import Any
from unittest import mock

from supertester.case import IsolatedTestCase
from supertester.isolation import cleanup
from supertester.isolation.cleanup import CleanupTimeout
from supertester.otp import KILL, KILLED, ChildSpec, Exit, GenServer, Supervisor, flag_trap_exit
from supertester.testing import RecordingResult, inner_case, run_inner
from tests.planted import forever


class Noting(GenServer):
    """Notes in a list when it ends."""

    def init(self, log: list[str], name: str) -> tuple[list[str], str]:
        flag_trap_exit(True)
        log.append(f"{name} starts")
        return log, name

    def terminate(self, reason: Any) -> None:
        log, name = self.state
        log.append(f"{name} ends: {reason!r}")


class Stuck(GenServer):
    """Never gets to end gracefully."""

    async def handle_info(self, message: Any) -> None:
        await forever()


class TestOrder(unittest.TestCase):
    def setUp(self) -> None:
        self.log: list[str] = []

    def run_test(self, body: Any, **options: Any) -> RecordingResult:
        return run_inner(inner_case(body, **options))

    def test_is_newest_first_over_callbacks_and_processes(self) -> None:
        async def body(case: Any) -> None:
            await Noting.start_link(self.log, "first")
            case.cleanup_on_exit(lambda: self.log.append("callback"))
            await Noting.start_link(self.log, "second")
            self.log.clear()

        for mode in ("basic", "registry"):
            with self.subTest(mode=mode):
                self.assertEqual(self.run_test(body, isolation=mode).report, "")
                self.assertEqual(self.log, ["second ends: SHUTDOWN", "callback", "first ends: SHUTDOWN"])

    def test_comes_after_the_cleanups_of_unittest(self) -> None:
        async def body(case: Any) -> None:
            case.isolation.add_cleanup(self.log.append, "isolation")
            case.addCleanup(self.log.append, "unittest")

        self.run_test(body)
        self.assertEqual(self.log, ["unittest", "isolation"])

    def test_a_supervisor_is_stopped_and_stops_its_children_itself(self) -> None:
        async def body(case: Any) -> None:
            specs = [ChildSpec(name, Noting, args=(self.log, name)) for name in ("a", "b")]
            sup = await Supervisor.start_link(specs)
            for process in list(case.isolation.runtime.processes):
                case.isolation.track_process(process)  # Also the children: they must not be stopped before `sup`.
            case.assertTrue(sup.is_alive())
            self.log.clear()

        self.assertEqual(self.run_test(body).report, "")
        self.assertEqual(self.log, ["b ends: SHUTDOWN", "a ends: SHUTDOWN"])

    def test_what_a_cleanup_starts_is_stopped_too(self) -> None:
        async def late() -> None:
            await Noting.start_link(self.log, "late")

        async def body(case: Any) -> None:
            case.cleanup_on_exit(late)

        self.assertEqual(self.run_test(body).report, "")
        self.assertEqual(self.log, ["late starts", "late ends: SHUTDOWN"])

    def test_runs_in_the_loop_and_context_of_the_test(self) -> None:
        async def body(case: Any) -> None:
            loop = asyncio.get_running_loop()

            async def check() -> None:
                case.assertIs(asyncio.get_running_loop(), loop)
                self.log.append(case.isolation.test_id)

            case.cleanup_on_exit(check)

        self.assertEqual(self.run_test(body).report, "")
        self.assertEqual(len(self.log), 1)


class TestFailures(unittest.TestCase):
    def setUp(self) -> None:
        self.log: list[str] = []

    def fail_with(self, *errors: BaseException) -> RecordingResult:
        async def body(case: Any) -> None:
            case.cleanup_on_exit(lambda: self.log.append("last"))
            for error in errors:
                case.cleanup_on_exit(mock.Mock(side_effect=error))

        return run_inner(inner_case(body))

    def test_one_fails_the_test_and_does_not_stop_the_rest(self) -> None:
        result = self.fail_with(OSError("disk"))
        self.assertEqual(result.kinds, ["start", "error", "stop"])
        self.assertIn("OSError: disk", result.report)
        self.assertEqual(self.log, ["last"])

    def test_several_become_one_group(self) -> None:
        report = self.fail_with(OSError("disk"), KeyError("key")).report
        self.assertRegex(report, r"2 cleanups of .* failed \(2 sub-exceptions\)")
        self.assertIn("OSError: disk", report)
        self.assertIn("KeyError: 'key'", report)
        self.assertEqual(self.log, ["last"])

    def test_an_interruption_ends_the_run_after_the_rest(self) -> None:
        for error in (KeyboardInterrupt("ctrl-c"), SystemExit(3)):
            self.log.clear()
            with self.subTest(error=error):
                if isinstance(error, SystemExit):
                    self.assertIn("SystemExit: 3", self.fail_with(OSError(), error).report)
                else:
                    with self.assertRaisesRegex(KeyboardInterrupt, "ctrl-c"):
                        self.fail_with(OSError(), error)
                self.assertEqual(self.log, ["last"])

    def test_a_cancellation_inside_of_one_stays_there(self) -> None:
        result = self.fail_with(asyncio.CancelledError())
        self.assertEqual(result.kinds, ["start", "error", "stop"])
        self.assertEqual(self.log, ["last"])

    def test_async_ones_fail_in_the_same_way(self) -> None:
        async def fail() -> None:
            raise OSError("planted")

        async def give_up() -> None:
            raise asyncio.CancelledError

        async def body(case: Any) -> None:
            case.cleanup_on_exit(fail)
            case.cleanup_on_exit(give_up)

        report = run_inner(inner_case(body)).report
        self.assertIn("OSError: planted", report)
        self.assertIn("CancelledError", report)

    def test_a_process_that_dies_with_another_needs_no_stop(self) -> None:
        async def body(case: Any) -> None:
            first: Any = await GenServer.start_link()
            second: Any = await GenServer.start_link()
            second.link(first)
            second.on_exit(lambda pid: log.append(first.is_alive()))

        log: list[bool] = []
        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(log, [False])

    def test_a_failing_test_is_cleaned_up(self) -> None:
        async def body(case: Any) -> None:
            await Noting.start_link(self.log, "server")
            case.fail("planted")

        self.assertIn("planted", run_inner(inner_case(body)).report)
        self.assertEqual(self.log[-1], "server ends: SHUTDOWN")

    def test_a_failing_set_up_is_cleaned_up(self) -> None:
        log = self.log

        class Inner(IsolatedTestCase):
            async def asyncSetUp(self) -> None:
                await Noting.start_link(log, "server")
                raise OSError("planted")

            async def test(self) -> None:
                log.append("body")

        self.assertEqual(run_inner(Inner("test")).kinds, ["start", "error", "stop"])
        self.assertEqual(log, ["server starts", "server ends: SHUTDOWN"])

    def test_an_interrupted_set_up_is_cleaned_up(self) -> None:
        log = self.log
        for error in (KeyboardInterrupt, asyncio.CancelledError, SystemExit):
            log.clear()

            class Inner(IsolatedTestCase):
                async def asyncSetUp(self, error: type[BaseException] = error) -> None:
                    await Noting.start_link(log, "server")
                    self.cleanup_on_exit(lambda: log.append("callback"))
                    raise error

                async def test(self) -> None: ...

            with self.subTest(error=error):
                if error is KeyboardInterrupt:
                    with self.assertRaises(KeyboardInterrupt):
                        run_inner(Inner("test"))
                else:
                    run_inner(Inner("test"))
                self.assertEqual(log, ["server starts", "callback", "server ends: SHUTDOWN"])

    def test_an_interruption_names_what_the_test_left_behind(self) -> None:
        async def body(case: Any) -> None:
            await GenServer.start(name="lost")
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt) as caught:
            run_inner(inner_case(body))
        self.assertIn("'lost'", "".join(caught.exception.__notes__))


class TestDeadlines(unittest.TestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.object(cleanup, "_GRACE", 0.02))
        self.enterContext(mock.patch.object(cleanup, "_LAST_CHANCE", 0.02))
        self.enterContext(mock.patch("supertester.isolation.scope._DYING", 0.02))
        self.enterContext(mock.patch("supertester.isolation.scope.isolation_timeout", lambda mode: 0.1))

    def test_what_does_not_end_gracefully_is_killed(self) -> None:
        pids: list[Any] = []

        async def body(case: Any) -> None:
            pids.append(await Stuck.start_link())
            pids[0].send("stick")

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(repr(pids[0].exit_reason), "KILLED")

    def test_a_stuck_supervisor_is_killed_with_its_children(self) -> None:
        pids: list[Any] = []

        async def body(case: Any) -> None:
            spec = ChildSpec("stuck", Stuck, shutdown=60.0)
            pids.append(await Supervisor.start_link([spec]))
            [child] = [process for process in case.isolation.runtime.processes if process.initial_call is Stuck]
            pids.append(child)
            child.send("stick")

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual([pid.is_alive() for pid in pids], [False, False])

    def test_a_callback_that_does_not_end_is_named(self) -> None:
        async def endless() -> None:
            await forever()

        async def body(case: Any) -> None:
            case.cleanup_on_exit(endless)

        result = run_inner(inner_case(body))
        self.assertRegex(result.report, rf"{CleanupTimeout.__name__}: cleanup .*endless did not end within 0\.\d+ s")

    def test_one_that_refuses_to_be_cancelled_is_given_up(self) -> None:
        async def stubborn() -> None:
            while True:
                try:
                    await forever()
                except asyncio.CancelledError:
                    continue

        async def body(case: Any) -> None:
            case.cleanup_on_exit(stubborn)

        self.assertIn("stubborn did not end", run_inner(inner_case(body)).report)

    def test_code_of_a_killed_process_that_will_not_end_is_named(self) -> None:
        async def stubborn() -> None:
            while True:
                try:
                    await forever()
                except asyncio.CancelledError:
                    continue

        async def body(case: Any) -> None:
            task: Any = asyncio.create_task(stubborn())
            task.supertester_pid = await GenServer.start(name="zombie")
            case.isolation.runtime.tasks.add(task)

        self.assertRegex(run_inner(inner_case(body)).report, r"<Pid \d+ GenServer 'zombie'.* would not die: .*stubborn")


class TestTheRoot(unittest.TestCase):
    def test_outlives_what_is_linked_to_it(self) -> None:
        async def body(case: Any) -> None:
            server = await GenServer.start_link()
            server.exit(KILL)
            message = await case.isolation.root.receive(Exit)
            case.assertEqual((message.pid, message.reason), (server, KILLED))

        self.assertEqual(run_inner(inner_case(body)).report, "")
