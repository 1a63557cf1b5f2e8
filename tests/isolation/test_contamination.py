import asyncio
import atexit
import builtins
import copyreg
import decimal
import faulthandler
import gc
import locale
import logging
import os
import random
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import threading
import time
import types
import unittest
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from supertester.context import IsolationContext
from supertester.errors import UsageError
from supertester.isolation.contamination import Comparison
from supertester.isolation.options import Options
from supertester.otp import KILL
from supertester.testing import inner_case, run_inner

__alone__ = "runs tests that wait until no other one runs"

ALONE = "contamination_detection"


def report_of(body: Callable[[Any], Any], **options: Any) -> str:
    return run_inner(inner_case(body, isolation=ALONE, environment=False, **options)).report


def fake(*args: Any, **kwargs: Any) -> Any: ...


def own(number: int, frame: Any) -> None: ...


SHOP = types.ModuleType("planted_shop")
exec(
    "RATE = 1\nCART = {'a': [1, 2]}\nQUEUE = [1]\nSEEN = {1}\nclass Till:\n    def ring(self): ...\n",
    vars(SHOP) | {"__name__": "planted_shop"},
    vars(SHOP),
)
SHOP.Till.__module__ = "planted_shop"


# What a test does, what the failure says of before and after, and how the present state is read.
PLANTED: dict[str, tuple[Callable[[], object], str, Callable[[], Any]]] = {
    "sys.argv": (lambda: sys.argv.append("x"), r"\+ 'x'", lambda: list(sys.argv)),
    "sys.path": (lambda: sys.path.append("/planted"), "before the test and is .* after", lambda: list(sys.path)),
    "another sys.path": (lambda: setattr(sys, "path", list(sys.path)), "another object", lambda: id(sys.path)),
    "sys.path_hooks": (lambda: sys.path_hooks.append(fake), "function fake", lambda: list(sys.path_hooks)),
    "sys.meta_path": (lambda: sys.meta_path.append(SHOP), "planted_shop", lambda: list(sys.meta_path)),
    "sys.warnoptions": (lambda: sys.warnoptions.append("x"), "'x'", lambda: list(sys.warnoptions)),
    "sys.stdin": (lambda: setattr(sys, "stdin", None), "is None after", lambda: sys.stdin),
    "sys.stdout": (lambda: setattr(sys, "stdout", sys.stderr), "sys.stdout was", lambda: sys.stdout),
    "sys.stderr": (lambda: setattr(sys, "stderr", sys.stdout), "sys.stderr was", lambda: sys.stderr),
    "sys.excepthook": (lambda: setattr(sys, "excepthook", fake), __file__, lambda: sys.excepthook),
    "sys.unraisablehook": (lambda: setattr(sys, "unraisablehook", fake), "fake", lambda: sys.unraisablehook),
    "sys.displayhook": (lambda: setattr(sys, "displayhook", fake), "fake", lambda: sys.displayhook),
    "threading.excepthook": (lambda: setattr(threading, "excepthook", fake), "fake", lambda: threading.excepthook),
    "builtins.__import__": (
        lambda: setattr(builtins, "__import__", lambda *a, _real=__import__, **k: _real(*a, **k)),
        "built-in function __import__",
        lambda: builtins.__import__,
    ),
    "builtins.planted": (
        lambda: setattr(builtins, "planted", 3),
        "absent .* is 3",
        lambda: hasattr(builtins, "planted"),
    ),
    "the recursion limit": (lambda: sys.setrecursionlimit(4321), "is 4321 after", sys.getrecursionlimit),
    "the switch interval": (lambda: sys.setswitchinterval(0.25), "is 0.25 after", sys.getswitchinterval),
    "the limit of digits": (lambda: sys.set_int_max_str_digits(5000), "is 5000", sys.get_int_max_str_digits),
    "sys.settrace": (lambda: sys.settrace(fake), "function fake", sys.gettrace),
    "sys.setprofile": (lambda: sys.setprofile(fake), "function fake", sys.getprofile),
    "the trace function of threads": (lambda: threading.settrace(fake), "function fake", threading.gettrace),
    "the profile function of threads": (lambda: threading.setprofile(fake), "fake", threading.getprofile),
    "the stack size of threads": (lambda: threading.stack_size(2**21), "is 2097152", threading.stack_size),
    "gc.isenabled()": (gc.disable, "was True before the test and is False", gc.isenabled),
    "gc.get_threshold()": (lambda: gc.set_threshold(701, 11, 11), r"\(701, 11, 11\)", gc.get_threshold),
    "gc.get_debug()": (lambda: gc.set_debug(gc.DEBUG_STATS), "was 0 .* is 1", gc.get_debug),
    "gc.callbacks": (lambda: gc.callbacks.append(fake), "fake", lambda: list(gc.callbacks)),
    "os.environ['PLANTED']": (lambda: os.environ.update(PLANTED="x"), "absent .* is 'x'", lambda: dict(os.environ)),
    "the current directory": (lambda: os.chdir("/"), "is '/' after", os.getcwd),
    "the umask": (lambda: os.umask(0o123), "is '0o123' after", lambda: (mask := os.umask(0), os.umask(mask))[0]),
    "locale.LC_NUMERIC": (
        lambda: locale.setlocale(locale.LC_NUMERIC, "C" if locale.setlocale(locale.LC_NUMERIC) != "C" else "C.UTF-8"),
        "locale.LC_NUMERIC was '.*' before",
        lambda: locale.setlocale(locale.LC_NUMERIC),
    ),
    "the time zone": (
        lambda: (os.environ.update(TZ="XXX-5"), time.tzset()),
        "'XXX'",
        lambda: (time.tzname, time.timezone),
    ),
    "loggers: level": (
        lambda: logging.getLogger("planted").setLevel("DEBUG"),
        "the level of logger 'planted' was NOTSET before the test and is DEBUG after it; restored",
        lambda: logging.getLogger("planted").level,
    ),
    "loggers: disabled": (
        lambda: setattr(logging.getLogger("planted"), "disabled", True),
        "'disabled' of logger 'planted' was False",
        lambda: logging.getLogger("planted").disabled,
    ),
    "loggers: propagate": (
        lambda: setattr(logging.getLogger("planted"), "propagate", False),
        "'propagate' of logger 'planted' was True",
        lambda: logging.getLogger("planted").propagate,
    ),
    "loggers: handlers": (
        lambda: logging.getLogger("planted").addHandler(logging.StreamHandler()),
        r"the handlers of logger 'planted' was \[\] before the test and is \[<StreamHandler",
        lambda: list(logging.getLogger("planted").handlers),
    ),
    "loggers: filters": (
        lambda: logging.getLogger("planted").addFilter(fake),
        "the filters of logger 'planted'",
        lambda: list(logging.getLogger("planted").filters),
    ),
    "logging.disable()": (lambda: logging.disable(10), "is 10 after", lambda: logging.root.manager.disable),
    "the logger class": (
        lambda: logging.setLoggerClass(type("Mine", (logging.Logger,), {})),
        "Mine",
        logging.getLoggerClass,
    ),
    "the factory of log records": (lambda: logging.setLogRecordFactory(fake), "fake", logging.getLogRecordFactory),
    "logging.raiseExceptions": (
        lambda: setattr(logging, "raiseExceptions", False),
        "True .* False",
        lambda: logging.raiseExceptions,
    ),
    "logging._levelToName[33]": (
        lambda: logging.addLevelName(33, "PLANTED"),
        "absent .* 'PLANTED'",
        lambda: logging.getLevelName(33),
    ),
    "logging._handlers['planted']": (
        lambda: KEPT.append(logging.Handler()) or KEPT[-1].set_name("planted"),
        "absent",
        lambda: "planted" in logging._handlers,  # type: ignore[attr-defined]
    ),
    "warnings.filters": (
        lambda: warnings.simplefilter("ignore", ResourceWarning),
        "'ignore', None, <class 'ResourceWarning'>",
        lambda: list(warnings.filters),
    ),
    "warnings.showwarning": (lambda: setattr(warnings, "showwarning", fake), "fake", lambda: warnings.showwarning),
    "the event loop policy": (
        lambda: asyncio.set_event_loop_policy(type("Mine", (asyncio.DefaultEventLoopPolicy,), {})()),
        "Mine",
        lambda: type(asyncio.get_event_loop_policy()),
    ),
    "shutil._ARCHIVE_FORMATS['planted']": (
        lambda: shutil.register_archive_format("planted", fake),
        "absent",
        lambda: [name for name, _ in shutil.get_archive_formats()],
    ),
    "shutil._UNPACK_FORMATS['planted']": (
        lambda: shutil.register_unpack_format("planted", [".planted"], fake),
        "absent",
        lambda: [each[0] for each in shutil.get_unpack_formats()],
    ),
    "sysconfig._CONFIG_VARS['planted']": (
        lambda: sysconfig.get_config_vars().update(planted=1),
        "absent .* is 1",
        lambda: sysconfig.get_config_var("planted"),
    ),
    "sysconfig._INSTALL_SCHEMES['planted']": (
        lambda: sysconfig._INSTALL_SCHEMES.update(planted={}),  # type: ignore[attr-defined]
        "absent",
        sysconfig.get_scheme_names,
    ),
    "copyreg.dispatch_table": (
        lambda: copyreg.pickle(SHOP.Till, fake),
        "fake",
        lambda: SHOP.Till in copyreg.dispatch_table,
    ),
    "urllib.request._opener": (
        lambda: urllib.request.install_opener(urllib.request.build_opener()),
        "OpenerDirector",
        lambda: urllib.request._opener,  # type: ignore[attr-defined]
    ),
    "a temporary file of urllib": (
        lambda: urllib.request._url_tempfiles.append("/planted"),  # type: ignore[attr-defined]
        "absent .* '/planted'",
        lambda: list(urllib.request._url_tempfiles),  # type: ignore[attr-defined]
    ),
    "asyncore.socket_map[3]": (
        lambda: ASYNCORE.socket_map.update({3: mock.Mock()}),
        "absent",
        lambda: dict(ASYNCORE.socket_map),
    ),
    "the patch of planted_shop.RATE": (
        lambda: mock.patch.object(SHOP, "RATE", 2).start(),
        "started",
        lambda: SHOP.RATE,
    ),
    "tempfile.tempdir": (lambda: setattr(tempfile, "tempdir", "/"), "is '/'", lambda: tempfile.tempdir),
    "the default timeout of sockets": (
        lambda: socket.setdefaulttimeout(3),
        "was None .* is 3.0",
        socket.getdefaulttimeout,
    ),
    "the state of random": (lambda: random.seed(3), "it was seeded", random.getstate),
    "decimal.getcontext()": (
        lambda: setattr(decimal.getcontext(), "prec", 5),
        "prec=5",
        lambda: decimal.getcontext().prec,
    ),
    "decimal.DefaultContext": (
        lambda: setattr(decimal.DefaultContext, "prec", 5),
        "prec=5",
        lambda: decimal.DefaultContext.prec,
    ),
    "sys.modules['planted']": (lambda: sys.modules.update(planted=SHOP), "absent", lambda: "planted" in sys.modules),
    "sys.modules['planted_shop']": (
        lambda: sys.modules.update(planted_shop=types.ModuleType("other")),
        "<module 'planted_shop'.*<module 'other'",
        lambda: sys.modules["planted_shop"],
    ),
    "sys.modules['json'] removed": (
        lambda: sys.modules.pop("json"),
        "is absent after",
        lambda: sys.modules.get("json"),
    ),
    "planted_shop.RATE": (lambda: setattr(SHOP, "RATE", 2), "was 1 before the test and is 2", lambda: SHOP.RATE),
    "planted_shop.CART": (lambda: setattr(SHOP, "CART", {"a": [1, 2]}), "planted_shop.CART was", lambda: id(SHOP.CART)),
    "planted_shop.Till.ring": (lambda: setattr(SHOP.Till, "ring", fake), __file__, lambda: SHOP.Till.ring),
    "planted_shop.CART['a']": (lambda: SHOP.CART["a"].append(3), r"\[1, 2\] .*\[1, 2, 3\]", lambda: str(SHOP.CART)),
    "planted_shop.CART['b']": (lambda: SHOP.CART.update(b=1), "absent .* is 1", lambda: str(SHOP.CART)),
    "planted_shop.SEEN": (lambda: SHOP.SEEN.add(2), r"\{1\} .*\{1, 2\}", lambda: set(SHOP.SEEN)),
    "planted_shop.CART['p']": (
        lambda: SHOP.CART.update(p=KILL),
        "absent .* is KILL after",
        lambda: str(SHOP.CART),
    ),
    "planted_shop.RATE removed": (lambda: delattr(SHOP, "RATE"), "was 1 .* is absent after", lambda: SHOP.RATE),
    "planted_shop.Till removed": (lambda: delattr(SHOP, "Till"), "is absent after", lambda: SHOP.Till),
    "planted_shop.Till.ring removed": (lambda: delattr(SHOP.Till, "ring"), "is absent after", lambda: SHOP.Till.ring),
    "planted_shop.CART['a'] removed": (lambda: SHOP.CART.pop("a"), "is absent after", lambda: str(SHOP.CART)),
    "builtins.credits removed": (lambda: delattr(builtins, "credits"), "is absent", lambda: builtins.credits),
    "shutil._ARCHIVE_FORMATS['zip'] removed": (
        lambda: shutil.unregister_archive_format("zip"),
        "is absent after",
        lambda: sorted(shutil.get_archive_formats()),
    ),
    "planted_shop.QUEUE": (SHOP.QUEUE.clear, r"\[1\] .*\[\]", lambda: list(SHOP.QUEUE)),
}
KEPT: list[Any] = []
ASYNCORE = types.SimpleNamespace(socket_map={})


class TestPlanted(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(KEPT.clear)
        for name, module in (("planted_shop", SHOP), ("asyncore", ASYNCORE)):
            sys.modules[name] = module  # type: ignore[assignment]
            self.addCleanup(sys.modules.pop, name)

    def test_each_is_named_with_before_and_after_and_restored(self) -> None:
        for name, (plant, expected, read) in PLANTED.items():
            with self.subTest(name):
                read()
                before = read()
                report = report_of(lambda case, plant=plant: plant() and None, contamination=["planted_shop"])
                self.assertEqual(read(), before)
                what = name.removeprefix("another ").removesuffix(" removed").partition("loggers:")[0]
                self.assertIn(what, report)
                self.assertRegex(report, expected)
                self.assertIn("restored", report)

    @unittest.skipUnless(threading.current_thread() is threading.main_thread(), "handlers are the main thread's")
    def test_signals(self) -> None:
        plants: dict[str, Callable[[], object]] = {
            "the handler of SIGUSR1 was <Handlers.SIG_DFL: 0> before": lambda: signal.signal(signal.SIGUSR1, own),
            "whether ITIMER_REAL is armed was False": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
            "the mask of blocked signals was": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]),
        }
        for expected, plant in plants.items():
            report = report_of(lambda case, plant=plant: plant() and None, leaks={"signals": "ignore"})
            self.assertRegex(report, f"{expected}.*; restored")
        self.assertIs(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL)[0], 0.0)
        self.assertNotIn(signal.SIGUSR2, signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def test_what_cannot_be_restored_says_so(self) -> None:
        self.addCleanup(atexit.unregister, fake)
        report = report_of(lambda case: atexit.register(fake) and None)
        self.assertRegex(report, "registered with atexit was .* cannot be restored: Python does not say which")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        report = report_of(lambda case: Path("planted").touch())
        self.assertRegex(report, r"the files in .* was 0 entries .* 1: \['planted'\] added, .*cannot be restored")

    def test_a_thread_that_is_left(self) -> None:
        end = threading.Event()
        self.addCleanup(end.set)
        report = report_of(lambda case: threading.Thread(target=end.wait, name="planted").start())
        self.assertRegex(report, "threads was absent .*planted.*cannot be restored: it is still running")

    def test_a_provider_of_opentelemetry(self) -> None:
        from opentelemetry import trace

        def body(case: Any) -> None:
            patch = mock.patch.object(trace, "_TRACER_PROVIDER", object())
            patch.__enter__()
            self.addCleanup(patch.__exit__, None, None, None)

        self.assertRegex(report_of(body), "the tracer provider of OpenTelemetry was .*set only once")

    def test_faulthandler(self) -> None:
        was = faulthandler.is_enabled()
        self.addCleanup(faulthandler.disable) if not was else None
        report = report_of(lambda case: (faulthandler.disable if was else lambda: faulthandler.enable(2))())
        self.assertIn(f"faulthandler.is_enabled() was {was}", report)

    def test_a_folder_for_temporary_files_that_nobody_has_asked_for_yet(self) -> None:
        with mock.patch.object(tempfile, "tempdir", None):
            self.assertRegex(report_of(lambda case: setattr(tempfile, "tempdir", "/")), "tempdir was .* is '/'")
            self.assertNotIn(tempfile.tempdir, (None, "/"))
        with mock.patch.object(tempfile, "tempdir", None):
            self.assertEqual(report_of(lambda case: tempfile.gettempdir() and None), "")
        with mock.patch.object(tempfile, "tempdir", None), mock.patch("tempfile.gettempdir", side_effect=OSError):
            self.assertRegex(report_of(lambda case: setattr(tempfile, "tempdir", "/")), "was None .* is '/' after")

    def test_a_restoring_that_fails_is_reported(self) -> None:
        logger = logging.getLogger("planted.stubborn")
        self.addCleanup(logger.__dict__.pop, "setLevel")
        self.addCleanup(setattr, logger, "level", logging.NOTSET)

        def body(case: Any) -> None:
            logger.setLevel("DEBUG")
            logger.setLevel = mock.Mock(side_effect=OSError("no way"))  # type: ignore[method-assign]

        self.assertIn("DEBUG after it; restoring it failed: OSError('no way')", report_of(body))

    def test_many_are_counted(self) -> None:
        report = report_of(lambda case: SHOP.CART.update(dict.fromkeys(range(30))), contamination=["planted_shop"])
        self.assertIn("tables of planted_shop: 10 more differences; restored", report)
        self.assertEqual(list(SHOP.CART), ["a"])

    def test_containers_show_what_was_added_and_removed(self) -> None:
        report = report_of(lambda case: sys.path.append("/planted"))
        self.assertIn("+ '/planted'", report)

    def test_can_be_asked_for_in_the_test(self) -> None:
        def body(case: Any) -> None:
            comparison = case.isolation.feature("contamination")
            case.assertEqual(comparison.differences(), [])
            sys.argv.append("x")
            case.assertEqual([each.what for each in comparison.differences()], ["sys.argv"])
            sys.argv.pop()

        self.assertEqual(report_of(body), "")


class TestClean(unittest.TestCase):
    def test_an_empty_test_is(self) -> None:
        for environment in (None, False):
            body = inner_case(lambda case: None, isolation=ALONE, environment=environment)
            self.assertEqual(run_inner(body).report, "")

    def test_a_typical_test_is(self) -> None:
        async def body(case: Any) -> None:
            import wsgiref.util
            import xmlrpc.client  # noqa: F401 - imported for the first time

            await asyncio.to_thread(fake)
            with tempfile.TemporaryDirectory(), mock.patch("os.getcwd"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
            logging.getLogger("planted.new").debug("seen")
            case.assertTrue(all(random.random() < 1 for _ in range(5000)))
            case.assertTrue(wsgiref.util.request_uri)
            thread = threading.Thread(target=fake)
            thread.start()
            thread.join()
            os.environ["PLANTED"] = "isolated"

        state = random.getstate()
        self.assertEqual(run_inner(inner_case(body, isolation=ALONE)).report, "")
        self.assertEqual(random.getstate(), state)
        self.assertNotIn("PLANTED", os.environ)

    def test_one_that_imports_a_package_which_makes_modules_is(self) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] == "pyexpat" or name.startswith("xml.parsers")]
        taken = {name: sys.modules.pop(name) for name in names}
        self.addCleanup(sys.modules.update, taken)

        def body(case: Any) -> None:
            import xml.parsers.expat

            case.assertIn("xml.parsers.expat.model", sys.modules)
            case.assertTrue(xml.parsers.expat)

        self.assertEqual(report_of(body), "")

    def test_the_hooks_of_the_library_are(self) -> None:
        async def body(case: Any) -> None:
            case.assertEqual(case.isolation.feature("logs") and None, None)
            with case.logs.capture("DEBUG"):
                logging.getLogger("planted.hooks").debug("seen")

        from supertester import uninstall

        uninstall()
        self.assertEqual(run_inner(inner_case(body, isolation=ALONE)).report, "")

    def test_switched_off_nothing_is_compared(self) -> None:
        before = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, before)
        self.assertEqual(report_of(lambda case: sys.setswitchinterval(0.25), contamination=False), "")
        self.assertEqual(sys.getswitchinterval(), 0.25)


class TestUsage(unittest.TestCase):
    def test_nonsense_is_refused(self) -> None:
        for given, message in (
            ({"contamination": ["a"]}, "needs isolation='contamination_detection', got 'full_isolation'"),
            ({"contamination": "a", "isolation": ALONE}, "must be a list of names of modules, got contamination='a'"),
            ({"contamination": [], "isolation": ALONE}, "must be a list of names of modules"),
        ):
            with self.assertRaisesRegex(UsageError, message):
                Options.made_of(given)
        with self.assertRaisesRegex(UsageError, r"contamination=\['no_such'\]: the module cannot be imported"):
            Comparison(IsolationContext("t"), ["no_such"])
