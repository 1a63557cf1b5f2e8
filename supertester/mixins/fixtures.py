"""What `IsolatedTestCase` has for its tests: the features of isolation as attributes, and servers of the test."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from supertester import processes
from supertester.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from supertester.context import IsolationContext
    from supertester.isolation.environment import Environment
    from supertester.isolation.environment.overrides import Overrides
    from supertester.isolation.logs import Logs
    from supertester.isolation.ports import Ports
    from supertester.isolation.tables import Tables
    from supertester.isolation.telemetry import Telemetry
    from supertester.schedule import VirtualClock
    from supertester.targets import ExternalProcess

__all__ = ["FeatureAttribute", "Fixtures"]

__unittest = True

P = ParamSpec("P")
T = TypeVar("T")


class FeatureAttribute(Generic[T]):
    """A feature of the running test, entered when first asked for.

    A test class may use the name for something else: what is set on a test case hides the feature.
    """

    def __init__(self, look: Callable[[IsolationContext], T], doc: str) -> None:
        self._look = look
        self.__doc__ = doc

    @overload
    def __get__(self, case: None, owner: type) -> FeatureAttribute[T]: ...
    @overload
    def __get__(self, case: Any, owner: type) -> T: ...
    def __get__(self, case: Any, owner: type) -> T | FeatureAttribute[T]:
        return self if case is None else self._look(case.isolation)


def _feature(name: str, doc: str) -> Any:
    return FeatureAttribute(lambda context: context.feature(name), doc)


def _virtual_clock(context: IsolationContext) -> VirtualClock:
    clock: Any = context.clock
    if not hasattr(clock, "advance"):
        raise UsageError(
            "self.clock is for virtual time, and the time of this test is real; give the class the keyword "
            "clock='virtual', or ask self.isolation.clock for the time"
        )
    found: VirtualClock = clock
    return found


def _of_test(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return *function* as a method that passes the name of the test, unless the caller does."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs)
        if given.arguments.setdefault("test_name", "") == "":
            given.arguments["test_name"] = self._testMethodName
        return await function(*given.args, **given.kwargs)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    return method


class Fixtures:
    """Mixed into `IsolatedTestCase`: the features of its isolation, and servers that end with the test."""

    isolation: IsolationContext

    logs: FeatureAttribute[Logs] = _feature("logs", "What was logged in this test, and by which levels.")
    telemetry: FeatureAttribute[Telemetry] = _feature("telemetry", "The spans, metrics and events of this test.")
    tables: FeatureAttribute[Tables] = _feature("tables", "The tables that this test has for itself.")
    ports: FeatureAttribute[Ports] = _feature("ports", "Ports that nobody else has.")
    environment: FeatureAttribute[Environment] = _feature(
        "environment",
        "The environment variables, current directory, randomness, warnings and configuration of this test.",
    )
    tmp_path: FeatureAttribute[Path] = FeatureAttribute(
        lambda context: context.feature("environment").tmp_path,
        "A temporary folder of this test, made when first asked for; the end of the test removes it with all in it.",
    )

    clock: FeatureAttribute[VirtualClock] = FeatureAttribute(
        _virtual_clock, "The virtual time of a test with ``clock='virtual'``."
    )

    def config(self, target: Any, /, *, create: bool = False, **overrides: Any) -> Overrides:
        """Override values of a mapping, module or object in a ``with`` block, or else up to the end of the test.

        See `supertester.isolation.environment.Environment.config`.
        """
        environment: Environment = self.isolation.feature("environment")
        return environment.config(target, create=create, **overrides)

    setup_isolated_genserver = _of_test(processes.setup_isolated_genserver)
    setup_isolated_supervisor = _of_test(processes.setup_isolated_supervisor)

    async def start_process(self, argv: Sequence[str | os.PathLike[str]], **options: Any) -> ExternalProcess:
        """Start a program that ends with the test; see `supertester.targets.start_process`."""
        from supertester import targets  # Few tests need them.

        return await targets.start_process(argv, **options)

    def cleanup_on_exit(self, function: Callable[[], object]) -> None:
        """Call *function* at the end of the test; see `supertester.processes.cleanup_on_exit`."""
        processes.cleanup_on_exit(function)
