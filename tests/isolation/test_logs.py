import asyncio
import io
import logging
import logging.config
import re
import threading
import unittest
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from supertester.case import IsolatedTestCase, tag
from supertester.errors import UsageError, WaitTimeout
from supertester.isolation import adopt, isolate
from supertester.isolation.logs import routing
from supertester.isolation.logs.recording import KeptRecord, Recording, entry_of
from supertester.isolation.logs.route import SPECIAL
from supertester.otp import GenServer
from supertester.testing import failure_of, inner_case, run_inner
from tests.project.support import run_python

LOG = logging.getLogger("tests.logs")
logging.getLogger("tests").addHandler(logging.NullHandler())  # Or else the last resort prints what is logged here.


class Talks(GenServer):
    def handle_call(self, request: Any, sender: Any) -> Any:
        LOG.info("asked for %s", request)


class Records(logging.Handler):
    """Remembers the messages that reach it; of those named, if any, as other tests may use the logger meanwhile."""

    def __init__(self, *wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not self.wanted or message in self.wanted:
            self.messages.append(message)


def attached(stack: Any, logger: logging.Logger, handler: logging.Handler) -> None:
    """Let *logger* have *handler* until the end of the test *stack*."""
    logger.addHandler(handler)
    stack.addCleanup(logger.removeHandler, handler)


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def at_once(*bodies: Callable[[Any], Any], **options: Any) -> list[str]:
    """Run *bodies* as isolated tests at once, each in a thread, and return their reports."""
    reports = [""] * len(bodies)

    def each(place: int) -> None:
        reports[place] = run_inner(inner_case(bodies[place], **options)).report

    threads = [threading.Thread(target=each, args=(place,)) for place in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports


class TestWhoseRecords(IsolatedTestCase):
    """Records of whatever the test started are its own."""

    async def test_of_the_body(self) -> None:
        with self.logs.capture("DEBUG") as captured:
            LOG.debug("one %d", 1)
        LOG.debug("two")
        self.assertEqual(captured.text, "DEBUG:tests.logs:one 1\n")
        self.assertEqual([record.args for record in captured.records], [(1,)])

    async def test_of_tasks_and_callbacks(self) -> None:
        async def work() -> None:
            LOG.info("task")

        with self.logs.capture("INFO") as captured:
            await asyncio.create_task(work())
            asyncio.get_running_loop().call_soon(LOG.info, "callback")
            await captured.wait_for("callback", timeout=30.0)
        self.assertEqual(captured.text, "INFO:tests.logs:task\nINFO:tests.logs:callback\n")

    async def test_of_threads_timers_and_executors(self) -> None:
        with self.logs.capture("INFO") as captured:
            run(threading.Thread(target=LOG.info, args=("thread",)))
            run(threading.Timer(0, LOG.info, args=("timer",)))
            with ThreadPoolExecutor(1) as pool:
                pool.submit(LOG.info, "job").result()
            await asyncio.to_thread(LOG.info, "to_thread")
            await asyncio.get_running_loop().run_in_executor(None, LOG.info, "executor")
        self.assertEqual(
            [record.getMessage() for record in captured.records], ["thread", "timer", "job", "to_thread", "executor"]
        )

    async def test_of_servers(self) -> None:
        server = await Talks.start_link()
        with self.logs.capture("INFO") as captured:
            await server.call("help")
        self.assertIn("asked for help", captured.text)

    def test_of_plain_tests(self) -> None:
        with self.logs.capture("INFO") as captured:
            LOG.info("plain")
        self.assertIn("plain", captured.text)

    async def test_of_adopted_threads(self) -> None:
        with self.logs.capture("INFO") as captured, adopt(self.isolation.test_id):
            LOG.info("adopted")
        self.assertIn("adopted", captured.text)

    async def test_without_a_test_case(self) -> None:
        async def main() -> str:
            async with isolate(tags={"logger_level": "DEBUG"}) as context:
                LOG.debug("no case")
                text: str = context.feature("logs").text
                return text

        text = await asyncio.to_thread(asyncio.run, main())
        self.assertEqual(text, "DEBUG:tests.logs:no case\n")
        self.assertEqual(self.logs.text, "")


class TestOthers(unittest.TestCase):
    """What one test logs, and by which levels, concerns no other."""

    def test_tests_that_run_at_once_see_their_own_records_alone(self) -> None:
        barrier = threading.Barrier(3)

        def body_of(name: str) -> Callable[[Any], Any]:
            async def body(case: Any) -> None:
                with case.logs.capture("DEBUG") as captured:
                    barrier.wait()
                    for number in range(100):
                        LOG.debug("%s %d", name, number)
                    await asyncio.to_thread(LOG.info, "%s thread", name)
                    barrier.wait()
                messages = [record.getMessage() for record in captured.records]
                case.assertEqual(messages, [f"{name} {number}" for number in range(100)] + [f"{name} thread"])
                case.assertEqual([record.getMessage() for record in case.logs.records], messages)

            return body

        self.assertEqual(at_once(body_of("a"), body_of("b"), body_of("c")), ["", "", ""])

    def test_a_lower_level_in_one_test_is_no_level_of_the_other(self) -> None:
        barrier = threading.Barrier(2)
        seen: list[Any] = []

        def lowered(case: Any) -> None:
            case.logs.isolate_level("DEBUG")
            seen.append(LOG.isEnabledFor(logging.DEBUG))
            barrier.wait()
            LOG.debug("lowered")
            barrier.wait()
            case.assertIn("lowered", case.logs.text)

        def other(case: Any) -> None:
            barrier.wait()
            seen.append(LOG.isEnabledFor(logging.DEBUG))
            LOG.debug("other")
            barrier.wait()
            case.assertEqual(case.logs.text, "")

        self.assertEqual(at_once(lowered, other), ["", ""])
        self.assertEqual(seen, [True, False])

    def test_the_answer_for_one_test_does_not_stay_in_the_cache_of_the_logger(self) -> None:
        fresh = logging.getLogger("tests.logs.cache")

        def body(case: Any) -> None:
            with case.logs.capture("DEBUG"):
                case.assertEqual(fresh.getEffectiveLevel(), logging.DEBUG)
                case.assertTrue(fresh.isEnabledFor(logging.DEBUG))

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertFalse(fresh.isEnabledFor(logging.DEBUG))
        self.assertEqual(fresh.getEffectiveLevel(), logging.root.level)

    def test_handlers_get_what_they_would_have_got_anyway_and_no_more(self) -> None:
        handler = Records("for handlers", "not for handlers")
        attached(self, LOG, handler)

        def body(case: Any) -> None:
            case.logs.isolate_level("DEBUG")
            LOG.debug("not for handlers")
            LOG.warning("for handlers")

        self.assertEqual(run_inner(inner_case(body)).report, "")
        self.assertEqual(handler.messages, ["for handlers"])

    def test_what_no_test_logs_belongs_to_none(self) -> None:
        handler = Records("foreign")
        attached(self, LOG, handler)
        ask, asked = threading.Event(), threading.Event()

        def foreign() -> None:
            ask.wait()
            LOG.warning("foreign")
            asked.set()

        thread = threading.Thread(target=foreign)
        thread.start()

        def body(case: Any) -> None:
            with case.logs.capture("DEBUG") as captured:
                ask.set()
                asked.wait()
            case.assertEqual((captured.text, case.logs.text), ("", ""))

        self.assertEqual(run_inner(inner_case(body)).report, "")
        thread.join()
        self.assertEqual(handler.messages, ["foreign"])

    def test_a_test_that_has_ended_gets_nothing_more(self) -> None:
        handles: list[Any] = []

        def body(case: Any) -> None:
            case.logs.capture("DEBUG").__enter__()  # It forgets to leave it.
            handles.append(case.logs)

        self.assertEqual(run_inner(inner_case(body)).report, "")
        LOG.info("later")
        self.assertEqual(handles[0].text, "")
        handles[0].isolate_level("DEBUG")
        with self.assertRaisesRegex(UsageError, "has ended; nothing that it logs can be captured any more"):
            handles[0].capture("DEBUG").__enter__()
        self.assertNotIn(handles[0]._route, SPECIAL.values())

    def test_what_the_library_logs_is_not_what_the_test_logs(self) -> None:
        def body(case: Any) -> None:
            case.logs.isolate_level("DEBUG")
            with routing.unrecorded:
                LOG.warning("the library")
                case.assertEqual(LOG.getEffectiveLevel(), logging.WARNING)
            case.assertEqual(LOG.getEffectiveLevel(), logging.DEBUG)
            case.assertEqual(case.logs.text, "")

        self.assertEqual(run_inner(inner_case(body)).report, "")

    def test_lesser_modes_record_nothing_unless_asked(self) -> None:
        self.assertIn("feature 'logs' is off in mode 'basic'", failure_of(lambda case: case.logs, isolation="basic"))

        def body(case: Any) -> None:
            LOG.warning("kept")
            case.assertIn("kept", case.logs.text)

        self.assertEqual(run_inner(inner_case(body, isolation="basic", logs=True)).report, "")

    def test_the_option_is_a_truth_value(self) -> None:
        with self.assertRaisesRegex(TypeError, "logs must be True or False, got logs='DEBUG'"):
            inner_case(lambda case: None, logs="DEBUG")


class TestLevels(IsolatedTestCase):
    async def test_from_the_beginning_to_the_end_of_their_use(self) -> None:
        self.assertTrue(self.logs.isolated)
        self.assertIsNone(self.logs.level)
        self.logs.isolate_level("debug")
        self.assertEqual(self.logs.level, "DEBUG")
        with self.logs.with_level("ERROR"):
            self.assertEqual(self.logs.level, "ERROR")
            LOG.warning("hidden")
        self.assertEqual(self.logs.level, "DEBUG")
        self.logs.restore_level()
        self.assertEqual((self.logs.level, self.logs.isolated), (None, False))
        self.assertFalse(LOG.isEnabledFor(logging.DEBUG))
        self.logs.isolate_level(logging.INFO)
        self.assertEqual((self.logs.level, self.logs.isolated), ("INFO", True))
        self.assertEqual(self.logs.text, "")

    async def test_are_restored_when_the_block_raises(self) -> None:
        with self.assertRaises(KeyError), self.logs.with_level("DEBUG"):
            raise KeyError
        self.assertIsNone(self.logs.level)

    async def test_of_blocks_that_overlap_in_two_tasks(self) -> None:
        first, second = self.logs.with_level("DEBUG"), self.logs.with_level("ERROR")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        self.assertEqual(self.logs.level, "ERROR")
        second.__exit__(None, None, None)
        self.assertIsNone(self.logs.level)

    async def test_of_the_nearest_logger_count(self) -> None:
        self.logs.isolate_level("ERROR")
        self.logs.isolate_level("DEBUG", "tests.logs")
        self.logs.isolate_level("WARNING", logging.getLogger("tests.logs.db"))
        enabled = {
            name: [level for level in (10, 20, 30, 40) if logging.getLogger(name).isEnabledFor(level)]
            for name in ("tests", "tests.logs", "tests.logs.web", "tests.logs.db.pool", "tests.logsome", None)
        }
        self.assertEqual(
            list(enabled.values()), [[40], [10, 20, 30, 40], [10, 20, 30, 40], [30, 40], [40], [40]], enabled
        )

    async def test_none_is_the_level_of_no_records(self) -> None:
        self.logs.isolate_level("NONE")
        handler = Records("unheard")
        attached(self, LOG, handler)
        LOG.critical("unheard")
        self.assertEqual((self.logs.level, self.logs.text, handler.messages), ("NONE", "", []))

    async def test_are_inherited_by_what_the_test_starts(self) -> None:
        self.logs.isolate_level("NONE")
        run(threading.Thread(target=LOG.critical, args=("unheard",)))
        await asyncio.to_thread(LOG.critical, "unheard")
        self.assertEqual(self.logs.text, "")

    async def test_a_capture_lowers_but_never_raises(self) -> None:
        self.logs.isolate_level("INFO")
        with self.logs.capture("ERROR") as captured:
            LOG.info("kept")
            LOG.error("captured")
        self.assertEqual(captured.text, "ERROR:tests.logs:captured\n")
        self.assertEqual(self.logs.text, "INFO:tests.logs:kept\nERROR:tests.logs:captured\n")

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(
            UsageError, "unknown log level 'DEBUGG'; choose one of NOTSET, DEBUG, INFO, .*NONE"
        ):
            self.logs.isolate_level("DEBUGG")
        with self.assertRaisesRegex(UsageError, "0 or more, got -1"):
            self.logs.capture(-1)
        for wrong in (None, True, 1.5):
            with self.assertRaisesRegex(TypeError, "a log level is a name such as 'DEBUG', got"):
                self.logs.with_level(wrong).__enter__()  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "a logger is given by its name, or as it is, got 3"):
            self.logs.isolate_level("DEBUG", 3)  # type: ignore[arg-type]
        self.assertIsNone(self.logs.level)

    @tag(logger_level="DEBUG")
    async def test_a_tag_sets_one(self) -> None:
        LOG.debug("tagged")
        self.assertEqual((self.logs.level, self.logs.text), ("DEBUG", "DEBUG:tests.logs:tagged\n"))

    def test_a_tag_needs_the_feature_and_a_level(self) -> None:
        with self.assertRaisesRegex(UsageError, r"@tag\(logger_level=...\) on .* needs the option logs, which is off"):

            class Off(IsolatedTestCase, isolation="basic"):
                @tag(logger_level="DEBUG")
                async def test(self) -> None: ...

        class Wrong(IsolatedTestCase):
            @tag(logger_level="LOUD")
            async def test(self) -> None: ...

        self.assertIn("unknown log level 'LOUD'", run_inner(Wrong("test")).report)


def later(function: Callable[[], Any]) -> Any:
    """Return the coroutine of an async function, as a plain function may do."""
    return function()


class TestCapture(IsolatedTestCase):
    async def test_of_a_plain_function(self) -> None:
        def add() -> int:
            LOG.debug("adding")
            return 3

        self.assertEqual(self.logs.capture_isolated("DEBUG", add), ("DEBUG:tests.logs:adding\n", 3))
        self.assertEqual(self.logs.capture_isolated_text("INFO", add), "")

        def shown() -> str | None:
            LOG.info("seen")
            return self.logs.level

        self.assertEqual(self.logs.with_level_and_capture("INFO", shown), ("INFO:tests.logs:seen\n", "INFO"))
        self.assertIsNone(self.logs.level)

    async def test_of_an_async_function(self) -> None:
        async def add() -> tuple[int, str | None]:
            LOG.debug("adding")
            await asyncio.sleep(0)
            LOG.debug("added")
            return 3, self.logs.level

        text = "DEBUG:tests.logs:adding\nDEBUG:tests.logs:added\n"
        self.assertEqual(await self.logs.capture_isolated("DEBUG", add), (text, (3, None)))
        self.assertEqual(await self.logs.capture_isolated("DEBUG", lambda: later(add)), (text, (3, None)))
        self.assertEqual(await self.logs.capture_isolated_text("DEBUG", add), text)
        self.assertEqual(await self.logs.with_level_and_capture("DEBUG", add), (text, (3, "DEBUG")))

    async def test_ends_when_the_function_raises(self) -> None:
        def broken() -> None:
            raise KeyError

        with self.assertRaises(KeyError):
            self.logs.capture_isolated("DEBUG", broken)
        self.assertFalse(LOG.isEnabledFor(logging.DEBUG))

    async def test_of_one_logger(self) -> None:
        with self.logs.capture("DEBUG", "tests.logs.db") as captured:
            logging.getLogger("tests.logs.db.pool").debug("in")
            logging.getLogger("tests.logs.dbx").debug("out")
        self.assertEqual(captured.text, "DEBUG:tests.logs.db.pool:in\n")

    async def test_has_tracebacks_and_the_exceptions_themselves(self) -> None:
        with self.logs.capture("DEBUG") as captured:
            try:
                raise KeyError("lost")
            except KeyError as error:
                LOG.exception("failed")
                caught = error
        self.assertRegex(captured.text, r"^ERROR:tests.logs:failed\nTraceback .*\n(.*\n)+KeyError: 'lost'\n$")
        [record] = captured.records
        assert record.exc_info is not None
        self.assertIs(record.exc_info[1], caught)

    async def test_says_how_many_records_it_dropped(self) -> None:
        recording = Recording(2, lambda: None)
        for number in range(5):
            recording.add(entry_of(logging.makeLogRecord({"msg": f"{number}", "name": "n", "levelname": "INFO"})))
        self.assertEqual(recording.dropped, 3)
        self.assertEqual(recording.text, "(3 older records were dropped: 2 are kept)\nINFO:n:3\nINFO:n:4\n")

    def test_can_be_read_while_another_thread_logs(self) -> None:
        class Growing(deque[Any]):
            """Changes while somebody goes through it, once."""

            times = 0

            def __iter__(self) -> Any:
                self.times += 1
                if self.times == 1:
                    raise RuntimeError("deque mutated during iteration")
                return super().__iter__()

        recording = Recording(2, lambda: None)
        recording._entries = Growing()
        recording.add(entry_of(logging.makeLogRecord({"msg": "x", "name": "n", "levelname": "INFO"})))
        self.assertEqual(recording.text, "INFO:n:x\n")

    async def test_a_record_that_cannot_be_formatted_is_shown_as_it_is(self) -> None:
        with self.logs.capture("DEBUG") as captured:
            LOG.debug("%d apples", "no")
            LOG.debug("%s", Unprintable())
            LOG.handle(logging.makeLogRecord({"msg": "odd", "name": LOG.name, "levelno": 10, "exc_info": True}))
        bad, unprintable, odd = captured.text.splitlines()
        self.assertRegex(bad, r"'%d apples' % \('no',\) cannot be formatted: TypeError")
        self.assertRegex(unprintable, r"'%s' % <tuple object at .*> cannot be formatted: ZeroDivisionError")
        self.assertRegex(odd, ":odd$")


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class Watched:
    def __init__(self) -> None:
        self.collected = threading.Event()

    def __str__(self) -> str:
        return "watched"


class TestKept(IsolatedTestCase):
    """What a test has logged is kept as text and plain values."""

    def test_as_a_copy_without_the_objects(self) -> None:
        try:
            raise KeyError("lost")
        except KeyError:
            LOG.exception("closing %s", Watched(), extra={"user": 7})
        [record] = self.logs.records
        self.assertIsInstance(record, KeptRecord)
        self.assertEqual((record.msg, record.args, record.getMessage()), ("closing %s", (), "closing watched"))
        self.assertEqual(record.exc_info, (KeyError, None, None))
        self.assertIn("KeyError: 'lost'", record.exc_text or "")
        self.assertEqual(record.user, 7)  # type: ignore[attr-defined]
        self.assertIn("closing watched\nTraceback", logging.Formatter().format(record))

    def test_long_messages_are_cut(self) -> None:
        LOG.error("x" * 10_050)
        self.assertIn("x... (50 more characters)", self.logs.text)

    def test_a_thousand_of_them(self) -> None:
        self.logs.isolate_level("DEBUG")
        for number in range(1005):
            LOG.debug("%d", number)
        self.assertEqual(len(self.logs.records), 1000)
        self.assertIn("(5 older records were dropped: 1000 are kept)\nDEBUG:tests.logs:5\n", self.logs.text)

    def test_the_record_itself_stays_as_it_was(self) -> None:
        """Formatters leave their text in the record: the next formatter must not find one of ours."""

        class Terse(logging.Formatter):
            def formatException(self, ei: Any) -> str:
                return "terse"

        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(Terse())
        log = LOG.getChild("terse")
        attached(self, log, handler)
        try:
            raise KeyError
        except KeyError:
            log.exception("failed")
        self.assertEqual(out.getvalue(), "failed\nterse\n")


class TestWaiting(IsolatedTestCase):
    async def test_for_what_has_been_logged(self) -> None:
        LOG.warning("ready")
        record = await self.logs.wait_for("ready", timeout=0)
        self.assertEqual(record.getMessage(), "ready")

    async def test_for_what_another_thread_will_log(self) -> None:
        self.logs.isolate_level("INFO")
        go = threading.Event()
        thread = threading.Thread(target=lambda: go.wait() and LOG.info("listening on port %d", 80))
        thread.start()
        asyncio.get_running_loop().call_soon(go.set)
        record = await self.logs.wait_for(re.compile(r"port (\d+)$"), timeout=30.0)
        thread.join()
        self.assertEqual(record.getMessage(), "listening on port 80")

    async def test_for_what_a_function_says(self) -> None:
        asyncio.get_running_loop().call_soon(LOG.error, "%s", "late")
        record = await self.logs.wait_for(lambda record: record.levelno == logging.ERROR, timeout=30.0)
        self.assertEqual(record.getMessage(), "late")

    async def test_in_a_capture(self) -> None:
        LOG.warning("again")
        with self.logs.capture("DEBUG") as captured:
            asyncio.get_running_loop().call_soon(LOG.debug, "again %d", 2)
            record = await captured.wait_for("again", timeout=30.0)
        self.assertEqual(record.args, (2,))

    async def test_the_first_that_matches_counts(self) -> None:
        for number in range(3):
            LOG.warning("step %d", number)
        self.assertEqual((await self.logs.wait_for("step")).getMessage(), "step 0")

    async def test_an_error_of_the_function_ends_it(self) -> None:
        asyncio.get_running_loop().call_soon(LOG.error, "late")
        with self.assertRaises(ZeroDivisionError):
            await self.logs.wait_for(lambda record: 1 / 0, timeout=30.0)

    async def test_a_function_that_logs_does_not_go_round_for_ever(self) -> None:
        asyncio.get_running_loop().call_soon(LOG.error, "late")
        with self.assertRaises(RecursionError):
            await self.logs.wait_for(lambda record: LOG.error("again"), timeout=30.0)

    async def test_too_long_shows_the_last_records(self) -> None:
        for number in range(7):
            LOG.warning("step %d", number)
        with self.assertRaises(WaitTimeout) as caught:
            await self.logs.wait_for("never", timeout=0)
        self.assertEqual(
            str(caught.exception),
            "timed out after 0 s waiting for a log record with 'never'; last seen: \n"
            + "\n".join(f"  WARNING:tests.logs:step {number}" for number in range(2, 7)),
        )

    async def test_too_long_without_any_record_says_why_there_may_be_none(self) -> None:
        with self.assertRaisesRegex(WaitTimeout, r"matching 'x\+'; last seen: no record at all; .* isolate_level\(\)"):
            await self.logs.wait_for(re.compile("x+"), timeout=0)

    async def test_for_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "a string, a compiled pattern or a function of the record, got 3"):
            await self.logs.wait_for(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more seconds, got timeout=-1"):
            await self.logs.wait_for("x", timeout=-1)


class TestConfigurations(IsolatedTestCase):
    """Whatever is done to the loggers, a capture sees what the test logs."""

    def logger(self, name: str) -> logging.Logger:
        logger = logging.getLogger(f"tests.logs.configured.{name}")
        self.addCleanup(setattr, logger, "disabled", False)
        self.addCleanup(setattr, logger, "propagate", True)
        self.addCleanup(logger.setLevel, logging.NOTSET)
        return logger

    def captured(self, logger: logging.Logger) -> str:
        return self.logs.capture_isolated_text("DEBUG", lambda: logger.debug("hello"))

    async def test_loggers_without_propagation(self) -> None:
        logger = self.logger("alone")
        logger.propagate = False
        self.assertIn("hello", self.captured(logger))

    async def test_loggers_that_a_configuration_disabled(self) -> None:
        logger = self.logger("disabled")
        handler = Records()
        attached(self, logger, handler)
        logger.disabled = True
        self.assertIn("hello", self.captured(logger))
        self.assertEqual(handler.messages, [])
        logger.error("lost")  # Nobody asks for it, and the logger is disabled.
        self.assertNotIn("lost", self.logs.text)

    async def test_filters_of_a_disabled_logger_are_asked(self) -> None:
        logger = self.logger("filtered")
        logger.disabled = True
        refuse = lambda record: False  # noqa: E731
        logger.addFilter(refuse)
        self.addCleanup(logger.removeFilter, refuse)
        self.assertEqual(self.captured(logger), "")

    async def test_loggers_with_a_level_of_their_own(self) -> None:
        logger = self.logger("loud")
        logger.setLevel(logging.ERROR)
        self.assertIn("hello", self.captured(logger))

    async def test_loggers_made_later(self) -> None:
        self.assertIn("hello", self.logs.capture_isolated_text("DEBUG", lambda: self.logger("later").debug("hello")))

    async def test_logging_that_is_switched_off(self) -> None:
        """As ``logging.disable()`` does, for loggers that nobody else has."""
        manager = logging.Manager(logging.RootLogger(logging.WARNING))
        manager.disable = logging.CRITICAL
        self.assertIn("hello", self.captured(manager.getLogger("off")))

    async def test_handlers_that_are_replaced(self) -> None:
        """As ``logging.basicConfig(force=True)`` does."""
        logger = self.logger("forced")
        attached(self, logger, Records())

        def replace() -> None:
            logger.handlers.clear()
            logger.debug("hello")

        self.assertIn("hello", self.logs.capture_isolated_text("DEBUG", replace))

    async def test_a_record_that_was_made_elsewhere_and_is_handled_here(self) -> None:
        handler = Records()
        logger = self.logger("received")
        attached(self, logger, handler)
        logger.handle(logging.makeLogRecord({"msg": "received", "levelno": logging.DEBUG, "name": logger.name}))
        self.assertEqual(handler.messages, ["received"])
        self.assertIn("received", self.logs.text)

    async def test_filters_are_asked_once_and_may_add_to_records(self) -> None:
        logger = self.logger("enriched")
        asked: list[str] = []

        def enrich(record: logging.LogRecord) -> bool:
            asked.append(record.getMessage())
            record.request_id = 7
            return True

        logger.addFilter(enrich)
        self.addCleanup(logger.removeFilter, enrich)
        logger.warning("hello")
        self.assertEqual(asked, ["hello"])
        self.assertEqual(self.logs.records[-1].request_id, 7)  # type: ignore[attr-defined]

    async def test_structlog(self) -> None:
        try:
            import structlog
        except ImportError:
            self.skipTest("structlog is not installed")
        log = structlog.wrap_logger(
            self.logger("structured"),
            processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer()],
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )
        log.debug("nobody listens")
        text = self.logs.capture_isolated_text("DEBUG", lambda: log.debug("placed", order=7))
        self.assertEqual(text, "DEBUG:tests.logs.configured.structured:order=7 event='placed'\n")


ANOTHER_CONFIGURES = """
import logging, logging.config, threading
from supertester.testing import inner_case, run_inner

log = logging.getLogger("early")
barrier = threading.Barrier(2)

def configures(case):
    barrier.wait()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR"}})
    logging.basicConfig(force=True, level=logging.CRITICAL)
    logging.disable(logging.CRITICAL)
    barrier.wait()

def logs(case):
    with case.logs.capture("DEBUG") as captured:
        log.debug("before")
        barrier.wait()
        barrier.wait()
        log.debug("after")
        logging.getLogger("late").info("later")
    case.assertEqual(captured.text, "DEBUG:early:before\\nDEBUG:early:after\\nINFO:late:later\\n")

def run(body):
    kinds.append(run_inner(inner_case(body)).kinds)

kinds = []
threads = [threading.Thread(target=run, args=(body,)) for body in (configures, logs)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(kinds)
"""


class TestAnotherTest(unittest.TestCase):
    def test_that_configures_logging_takes_no_records_from_one_that_captures_them(self) -> None:
        """In a process of its own, as the configuration stays."""
        self.assertEqual(run_python(ANOTHER_CONFIGURES), f"{[['start', 'success', 'stop']] * 2}\n")


class TestEvidence(unittest.TestCase):
    def test_a_failure_shows_the_last_records(self) -> None:
        def body(case: Any) -> None:
            for number in range(25):
                LOG.warning("step %d", number)
            LOG.info("below the level")
            case.fail("wrong")

        report = failure_of(body)
        self.assertIn("the last 20 of 25 log records of this test:\n  WARNING:tests.logs:step 5\n", report)
        self.assertIn("  WARNING:tests.logs:step 24\n", report)
        self.assertNotIn("step 4\n", report)

    def test_long_ones_are_cut(self) -> None:
        def body(case: Any) -> None:
            LOG.warning("x" * 2000)
            case.fail("wrong")

        self.assertRegex(failure_of(body), r"log records of this test:\n  WARNING:tests.logs:x+\.\.\. \(\d+ more char")

    def test_who_logs_nothing_shows_nothing(self) -> None:
        def body(case: Any) -> None:
            case.fail("wrong")

        self.assertNotIn("log records", failure_of(body))

    def test_who_has_switched_it_off_shows_nothing(self) -> None:
        def body(case: Any) -> None:
            LOG.warning("step")
            case.fail("wrong")

        self.assertNotIn("log records of this test", failure_of(body, logs=False))

    def test_the_records_of_tests_that_ended_are_let_go(self) -> None:
        def body(case: Any) -> None:
            LOG.warning("step")
            case.assertLessEqual(len(routing._routes), 2)

        for _ in range(5):
            self.assertEqual(run_inner(inner_case(body)).report, "")


UNINSTALLED = """
import logging
from supertester.isolation import uninstall
from supertester.testing import inner_case, run_inner

log = logging.getLogger("shop")
log.addHandler(logging.NullHandler())
names = ("callHandlers", "handle", "isEnabledFor", "getEffectiveLevel")
stock = [getattr(logging.Logger, name) for name in names]

def body(case):
    log.warning("kept")
    case.assertEqual(case.logs.text, "WARNING:shop:kept\\n")

for _ in range(2):
    print(run_inner(inner_case(body)).report)
    print(any(getattr(logging.Logger, name) in stock for name in names))
    uninstall()
    print([getattr(logging.Logger, name) for name in names] == stock)

run_inner(inner_case(body))
ours = logging.Logger.callHandlers
logging.Logger.callHandlers = lambda logger, record: ours(logger, record)
uninstall()
print(run_inner(inner_case(body)).report)
"""


class TestUninstalling(unittest.TestCase):
    def test_takes_the_hooks_out_and_the_next_test_puts_them_in(self) -> None:
        """And what somebody else has wrapped does nothing any more; in a process of its own, as others need them."""
        self.assertEqual(run_python(UNINSTALLED), "\nFalse\nTrue\n" * 2 + "\n")


class TestLibraryEvents(unittest.TestCase):
    def test_levels_are_told(self) -> None:
        from supertester.telemetry.emission import add_listener, remove_listener

        events: list[Any] = []
        add_listener(events.append)
        self.addCleanup(remove_listener, events.append)
        ids: list[str] = []

        def body(case: Any) -> None:
            ids.append(case.isolation.test_id)
            case.logs.isolate_level("DEBUG", "tests")
            case.logs.restore_level()

        self.assertEqual(run_inner(inner_case(body)).report, "")
        mine = [event for event in events if event.metadata.get("supertester.test_id") in ids]
        self.assertEqual(
            [event.name for event in mine if event.name.startswith("supertester.logger")],
            [
                "supertester.logger.isolation.setup",
                "supertester.logger.level.set",
                "supertester.logger.level.restored",
            ],
        )
        self.assertEqual((mine[1].metadata["level"], mine[1].metadata["logger"]), ("DEBUG", "tests"))
