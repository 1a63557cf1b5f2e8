"""`IsolatedTestCase`: a ``unittest`` case whose tests have a small world of their own and leave nothing behind."""

# ruff: noqa: N802, N815 - the names are those of the base class
from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from supertester._core.naming import describe
from supertester._core.tags import module_tags, tag, tags_of
from supertester.context import IsolationContext
from supertester.env import current_env
from supertester.errors import UsageError
from supertester.isolation.failures import add_evidence, explain, trim
from supertester.isolation.features import check_tags, has_feature
from supertester.isolation.given import EXPLORED, Examples, is_given
from supertester.isolation.identity import innermost
from supertester.isolation.leaks import allowed
from supertester.isolation.loops import TestLoop
from supertester.isolation.modes import isolation_timeout
from supertester.isolation.options import Options, explored_options
from supertester.isolation.scope import Scope
from supertester.mixins.fixtures import Fixtures
from supertester.mixins.telemetry import TelemetryAssertions

if TYPE_CHECKING:
    from supertester.isolation.explored import ScheduleRunner, Schedules
    from supertester.isolation.schedule_scope import Plan

__all__ = ["IsolatedTestCase", "tag", "timeout_of"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows,
__hypothesistracebackhide__ = True  # and so does Hypothesis.

_NO_MESSAGE: Any = inspect.signature(unittest.TestCase.subTest).parameters["msg"].default
_Plain: Any = unittest.TestCase
_MARGIN = 2.0
"""Seconds beyond its own deadline after which the cleanup as a whole is given up."""


class _Stock(unittest.IsolatedAsyncioTestCase):
    """The base class as it is, with the types of what it does not document; the same in Python 3.11 to 3.13."""

    if TYPE_CHECKING:
        _outcome: Any
        _cleanups: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]

        def _callAsync(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...
        def _callTestMethod(self, method: Callable[[], Any]) -> None: ...
        def _callCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None: ...


class IsolatedTestCase(Fixtures, TelemetryAssertions, _Stock):
    """A test case with isolated tests, plain or async; everything else is as in ``unittest``.

    Every test has an event loop, a runtime for processes with names of its own, and a root process, which is the body
    of the test: what it starts with ``start_link`` is stopped at the end. A test fails if it leaves tasks or processes
    running, if a background task, a callback, a thread or a finaliser raised, or if a coroutine was never awaited.

    Options are class keywords, inherited, and checked when the class is made; see `supertester.isolation.Options`.

    Raises:
        TypeError: When a subclass is made: an option is unknown or of a wrong type.
        UsageError: An option has a value that makes no sense, or a tag needs a feature that is off.

    Example::

        class CounterTest(IsolatedTestCase, isolation="registry", timeout=10.0):
            async def test_counts(self) -> None:
                counter = await self.setup_isolated_genserver(Counter, init_args=(5,))
                self.assertEqual(await counter.call("value"), 5)
    """

    isolation: IsolationContext
    """The context of the running test, or of the last one."""
    loop_factory: ClassVar[Callable[[], asyncio.AbstractEventLoop] | None] = None
    """Makes the event loop of each test; by default the event loop policy does."""

    __given: ClassVar[Mapping[str, Any]] = {}
    __options: ClassVar[Options] = Options()
    __modules: ClassVar[frozenset[str]] = frozenset()
    __prepared: ClassVar[type | None] = None
    """The class whose `setUpClass` came as far as here; subclasses inherit it."""
    __is_class_up: ClassVar[bool] = False
    """Whether `asyncSetUpClass` has run and nothing has begun to undo it."""
    __class_runner: ClassVar[tuple[asyncio.Runner, Context] | None] = None
    __allows_leaks: ClassVar[bool] = False

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__()
        merged: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:]):
            merged.update(base.__dict__.get("_IsolatedTestCase__given", {}))
        cls.__given = given
        cls.__options = options = Options.made_of({**merged, **given})
        cls.__modules = frozenset(filter(_is_outside, (base.__module__ for base in cls.__mro__)))
        for base in cls.__mro__:
            for name, each in [(base.__qualname__, base), *vars(base).items()]:
                if tags := tags_of(each):
                    check_tags(tags, options.isolation, options.features, f"{cls.__qualname__}.{name}")

    # Class fixtures ----------------------------------------------------------------------------------------------

    @classmethod
    def setUpClass(cls) -> None:
        """Run `asyncSetUpClass`; an override has to call this."""
        super().setUpClass()
        cls.__prepared, cls.__is_class_up = cls, False
        if names := allowed.tests_with_allowances(cls):
            cls.__allows_leaks = True
            cls.addClassCleanup(allowed.warn_of_unused, cls, names)
        if cls.__has_async_class_fixtures():
            runner = asyncio.Runner(debug=cls.__options.debug, loop_factory=cls.loop_factory)
            cls.__class_runner = (runner, copy_context())
            cls.addClassCleanup(cls.__close_class_runner)
            runner.run(cls.asyncSetUpClass(), context=cls.__class_runner[1])
            cls.__is_class_up = True

    @classmethod
    def tearDownClass(cls) -> None:
        """Run `asyncTearDownClass`; an override has to call this."""
        if cls.__class_runner is not None:
            runner, context = cls.__class_runner
            cls.__is_class_up = False
            runner.run(cls.asyncTearDownClass(), context=context)
        super().tearDownClass()

    @classmethod
    async def asyncSetUpClass(cls) -> None:
        """Prepare what the tests of the class share.

        Runs in an event loop of the class, which stands still while the tests run, each in its own.
        """

    @classmethod
    async def asyncTearDownClass(cls) -> None:
        """Undo `asyncSetUpClass`, in the same loop and context."""

    @classmethod
    def __has_async_class_fixtures(cls) -> bool:
        return cls.__has("asyncSetUpClass") or cls.__has("asyncTearDownClass")

    @classmethod
    def __has(cls, name: str) -> bool:
        return getattr(cls, name).__func__ is not getattr(IsolatedTestCase, name).__func__

    @classmethod
    def __check_class_fixtures(cls) -> None:
        """Fail a test whose class has an async fixture that an override of the plain one has silently left out."""
        was_set_up = vars(cls).get("_classSetupFailed") is False  # `unittest` says so where it has called `setUpClass`.
        if was_set_up and cls.__has_async_class_fixtures():
            raise UsageError(
                f"{cls.__qualname__}.setUpClass() did not call super().setUpClass(), which runs asyncSetUpClass() and "
                "prepares asyncTearDownClass(); neither runs without"
            )

    @classmethod
    def __close_class_runner(cls) -> None:
        runner, _ = cls.__class_runner  # type: ignore[misc]
        cls.__class_runner = None
        runner.close()
        if cls.__is_class_up and cls.__has("asyncTearDownClass"):
            raise UsageError(
                f"{cls.__qualname__}.tearDownClass() did not call super().tearDownClass(), which runs "
                "asyncTearDownClass(); so that did not run"
            )

    # One test: what `unittest` calls, in its order ----------------------------------------------------------------

    _asyncioRunner: TestLoop | ScheduleRunner | None
    _asyncioTestContext: Context
    _examples: Examples | None = None
    """What Hypothesis makes of this test, which then is none itself."""
    _schedules: Schedules | None = None
    """The schedules of this test, each of which is a test case of its own, as this then is not."""
    _has_failed = False
    """Whether this is an example that has failed already; Hypothesis makes hundreds of them to find the smallest."""
    __example: tuple[Callable[[], Any], float | None] | None = None
    __is_schedule = False
    """Whether this is the test case of one schedule."""
    __scope: Scope | None = None
    __result: Any = None

    def debug(self) -> None:
        """Run the test without collecting the outcome: its first error is raised."""
        try:
            unittest.TestCase.debug(self)
        finally:
            self._tearDownAsyncioRunner()

    def _setupAsyncioRunner(self) -> None:
        """Do nothing: a skipped test needs no loop, and `_callSetUp` can fail in the name of the test."""

    def _begin_example(self, test: Callable[[], Any], timeout: float | None) -> None:
        """Become one of `_examples`: the whole test around *test*, which may take *timeout* seconds."""
        self._examples = self._outcome = None
        self._cleanups = []
        self.__dict__.pop(
            "subTest", None
        )  # Hypothesis puts its own there, which warns; here a failing one fails the example.
        self.__example = (test, timeout)

    def _begin_schedule(self, isolation: IsolationContext, runner: ScheduleRunner, context: Context) -> None:
        """Become the test case of one schedule, which is run from outside."""
        self.isolation = isolation
        self.__is_schedule = True
        self._asyncioRunner = runner
        self._asyncioTestContext = context

    def _plan_schedules(self) -> Plan:
        """Return what all schedules of this test have in common."""
        from supertester.isolation.schedule_scope import Plan

        with _Explained(self):
            self.__check_class_fixtures()
        named = getattr(type(self), self._testMethodName)
        method = inspect.unwrap(named)
        options = explored_options(self.__options)
        return Plan(
            name=self.id(),
            options=options,
            tags={**self.__tags(method, method.__code__, named), "mode": options.isolation},
            filename=method.__code__.co_filename,
            modules=self.__modules,
            allowances=partial(allowed.allowances_of, type(self), named),
        )

    @classmethod
    def _overrides(cls, name: str) -> bool:
        """Say whether the class has an async fixture of its own."""
        return getattr(cls, name) is not getattr(unittest.IsolatedAsyncioTestCase, name)

    def _explain(self, error: BaseException) -> None:
        """Add to *error*, which a schedule failed with, what the test's processes had been through."""
        if not isinstance(error, unittest.SkipTest):
            trim(error)
            add_evidence(error, self.isolation)

    def _is_explained_later(self) -> bool:
        """Say whether a failure here is that of a schedule, to which its report belongs."""
        return self.__is_schedule or self._schedules is not None

    def __begin(self, method: Any, timeout: float | None) -> None:
        method = inspect.unwrap(method)
        code = getattr(method, "__code__", None)
        options = self.__options
        named = getattr(self, self._testMethodName)
        # Not bound to this test case: in a ring of references it would stay until the next collection.
        named = getattr(named, "__func__", named)
        self.__result = None if self._outcome is None else self._outcome.result
        self._asyncioTestContext = copy_context()
        self.__scope = scope = Scope(
            self.id(),
            options,
            None,
            tags=self.__tags(method, code, named),
            env=current_env(),
            filename=code.co_filename if code is not None else None,
            modules=self.__modules,
            allowances=partial(allowed.allowances_of, type(self), named),
        )
        runner = TestLoop(
            factory=type(self).loop_factory,
            debug=options.debug,
            virtual=options.clock == "virtual",
            enter=scope.enter_loop,
        )
        self._asyncioRunner = runner
        scope.context.postpone_world(runner.get_loop)
        self.isolation = scope.context
        # First in, so last out: after the cleanups that the test adds, and also when its set-up fails.
        self._cleanups[:0] = [(self.__raise_cleanup_errors, (), {}), (self.__finish, (), {})]
        self._asyncioTestContext.run(scope.open)
        if not runner.can_wait():
            self._asyncioTestContext.run(runner.get_loop)
        runner.limit(timeout, of=options.timeout)

    def __tags(self, method: Any, code: Any, named: Any) -> dict[str, Any]:
        cls = type(self)
        tags: dict[str, Any] = {"module": cls.__module__, "class": cls.__qualname__, "test": self._testMethodName}
        if code is not None:
            tags.update(file=code.co_filename, line=code.co_firstlineno)
        tags.update(module_tags(cls.__module__))
        tags.update(tags_of(cls))
        tags.update(tags_of(method))
        tags.update(tags_of(named))
        return tags

    def _callSetUp(self) -> None:
        method: Any
        if self.__example is not None:
            method, timeout = self.__example
            method = method.func
        else:
            method, timeout = getattr(self, self._testMethodName), self.__options.timeout
            if is_given(method):
                options = self.__options
                own_environment = has_feature("environment", options.isolation, options.features)
                self._examples = Examples(timeout, own_environment=own_environment)
                return  # Its fixtures are those of each example.
            if (settings := getattr(method, EXPLORED, None)) is not None:
                from supertester.isolation.explored import Schedules  # Few tests need it.

                self._schedules = Schedules(settings, timeout, unittest.SkipTest)
                return  # And those of each schedule.
        self.__begin(method, timeout)
        with _Explained(self):
            if self.__prepared is not type(self):
                self.__check_class_fixtures()
            self._asyncioTestContext.run(self.setUp)
            if type(self).asyncSetUp is not unittest.IsolatedAsyncioTestCase.asyncSetUp:
                self._callAsync(self.asyncSetUp)

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        with _Explained(self):
            if self._examples is not None:
                self._examples.run(method, partial(copy_context().run, _Plain._callTestMethod, self))
                return
            if self._schedules is not None:
                self._explore(self._schedules)
                return
            super()._callTestMethod(method)
            assert isinstance(self._asyncioRunner, TestLoop)
            self._asyncioRunner.check()

    def _explore(self, schedules: Schedules) -> None:
        """Explore the schedules of this test, and raise what is wrong with one of them, with the report as a note."""
        report = schedules.run(self, self._testMethodName)
        if (error := report.error) is not None:
            if report.failing is not None:
                error.add_note(report.note)
            raise error
        if self.__allows_leaks:
            allowed.note_passed(type(self), self._testMethodName)

    def _callTearDown(self) -> None:
        if self.__is_whole():
            return
        with _Explained(self):
            if type(self).asyncTearDown is not unittest.IsolatedAsyncioTestCase.asyncTearDown:
                self.__limit_cleanup("asyncTearDown")
                self._callAsync(self.asyncTearDown)
            self._asyncioTestContext.run(self.tearDown)

    def _callCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        with _Explained(self):
            if function in (self.__finish, self.__raise_cleanup_errors):
                function()  # These enter the context themselves.
                return
            if self.__is_whole():
                function(*args, **kwargs)
                return
            self.__limit_cleanup(f"cleanup {describe(function)}")
            super()._callCleanup(function, *args, **kwargs)

    def __is_whole(self) -> bool:
        """Say whether this stands for many tests: examples or schedules, each with fixtures of its own."""
        return self._examples is not None or self._schedules is not None

    def __limit_cleanup(self, what: str) -> None:
        if self.__options.timeout is not None and isinstance(self._asyncioRunner, TestLoop):
            self.__limit_to_mode(self._asyncioRunner, what)

    def __limit_to_mode(self, runner: TestLoop, what: str, *, margin: float = 0.0) -> None:
        """Give a step of the cleanup the time of the isolation mode, which stands nowhere in the test."""
        mode = self.__options.isolation
        seconds = isolation_timeout(mode)
        why = f" (isolation_timeout of {mode})"
        runner.limit(seconds + margin, of=seconds, what=f"its {what} took longer than", why=why)

    def __finish(self) -> None:
        """Undo what the test did and raise what it left behind."""
        scope, runner = self.__scope, self._asyncioRunner
        assert isinstance(runner, TestLoop) and scope is not None
        self.__unwind(scope, runner)
        if (failure := scope.take_failure()) is not None:
            raise failure
        if self.__allows_leaks and self._outcome is not None and self._outcome.success:
            allowed.note_passed(type(self), self._testMethodName)

    def __unwind(self, scope: Scope, runner: TestLoop) -> None:
        if not scope.is_clean():
            self.__limit_to_mode(runner, "cleanup", margin=_MARGIN)
            runner.run(scope.unwind(), context=self._asyncioTestContext)
        self._asyncioTestContext.run(scope.settle, thorough=not self._has_failed)

    def __raise_cleanup_errors(self) -> None:
        assert self.__scope is not None
        if (error := self.__scope.take_errors()) is not None:
            raise error

    def _tearDownAsyncioRunner(self) -> None:
        runner = self._asyncioRunner
        if not isinstance(runner, TestLoop):
            return  # It was skipped.
        scope, result = self.__scope, self.__result
        self._asyncioRunner = self.__result = None
        assert scope is not None
        # `unittest` gives up on a test that is interrupted, without its cleanups.
        interruption = sys.exception()
        try:
            if not scope.settled:
                self._cleanups.clear()
                self.__unwind(scope, runner)
            runner.close(isolation_timeout(self.__options.isolation))
        except Exception as error:  # noqa: BLE001 - reported below
            scope.errors.append(error)
        finally:
            scope.close()
        for found in (scope.take_failure(), scope.take_errors()):
            if found is not None:
                self.__report_late(found, result, interruption)

    def __report_late(self, found: BaseException, result: Any, interruption: BaseException | None) -> None:
        """Report what came to light after the test's last cleanup."""
        if interruption is not None:
            interruption.add_note(f"and then: {found}")
        elif result is None or not isinstance(found, Exception):
            raise found
        else:
            try:
                with _Explained(self):
                    raise found
            except AssertionError:
                result.addFailure(self, sys.exc_info())
            except Exception:  # noqa: BLE001 - reported, like all errors of a test
                result.addError(self, sys.exc_info())

    @contextlib.contextmanager
    def subTest(self, msg: Any = _NO_MESSAGE, **params: Any) -> Iterator[None]:
        """Be ``unittest``'s ``subTest``, with the evidence of this case in its failures."""
        with super().subTest(msg, **params), _Explained(self):
            yield

    if not TYPE_CHECKING:  # For whom they are as in the base class.

        def assertLogs(self, logger=None, level=None):
            """Be ``unittest``'s ``assertLogs``, for what this test logs; the logger stays as it is for others."""
            return self.__log_assertion(logger, level, wanted=True) or super().assertLogs(logger, level)

        def assertNoLogs(self, logger=None, level=None):
            """Be ``unittest``'s ``assertNoLogs``, for what this test logs; the logger stays as it is for others."""
            return self.__log_assertion(logger, level, wanted=False) or super().assertNoLogs(logger, level)

        def __log_assertion(self, logger, level, *, wanted):
            context = self.__dict__.get("isolation")
            if context is None or context.closed:
                return None
            context = innermost(context)  # In the body of `isolate`, what is logged belongs to that.
            if not context.has_feature("logs"):
                return None
            fail = lambda message: self.fail(self._formatMessage(None, message))  # noqa: E731
            return context.feature("logs").assertion(logger, level, wanted=wanted, fail=fail)


def timeout_of(cls: type[IsolatedTestCase]) -> float | None:
    """Return the seconds that each test of *cls* may take, as its class keyword says."""
    options: Options = cls._IsolatedTestCase__options  # type: ignore[attr-defined]
    return options.timeout


def _is_outside(module: str) -> bool:
    """Say whether *module* belongs neither to this library nor to the standard library."""
    return module == "__main__" or module.partition(".")[0] not in {"supertester", *sys.stdlib_module_names}


class _Explained:
    """Adds to whatever fails in its body how to see it again and what the test's processes had been through."""

    __slots__ = ("_case",)

    def __init__(self, case: IsolatedTestCase) -> None:
        self._case = case

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (unittest.SkipTest, KeyboardInterrupt)):
            return
        trim(error)
        if not self._case._is_explained_later():
            explain(error, self._case.id(), getattr(self._case, "isolation", None))
