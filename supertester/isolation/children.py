"""Child processes inherit the identity of the test that starts them, through their environment.

A child finds the id of the test in ``SUPERTESTER_TEST_ID`` and, where OpenTelemetry is in use, the current span in
``TRACEPARENT`` and ``TRACESTATE`` (the W3C trace context under the names that OpenTelemetry gives it in environments).
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from os import environ
from typing import Any

from supertester.context import IsolationContext
from supertester.isolation import programs
from supertester.isolation.environment.variables import has_own
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once, replace_attribute
from supertester.isolation.leaks.children import note_popen, note_process

__all__ = ["ENVIRONMENT", "TEST_ID", "child_environment", "inherit_in_children", "parent_test_id"]

TEST_ID = "SUPERTESTER_TEST_ID"

ENVIRONMENT: list[Callable[[IsolationContext], Mapping[str, str]]] = []
"""What else goes into the environment of a test's child processes: each returns the variables that it adds."""

ARRIVAL: list[str] = []
"""Code that a process of `multiprocessing` runs when it has its environment; it must not raise."""

_ENV_POSITION = 10
"""Of ``env`` among the arguments of ``subprocess.Popen``."""


def inherit_in_children() -> None:
    """Let child processes inherit the identity of the test that starts them, from now on."""
    install_once(_install)
    if "uvloop" in sys.modules:
        install_once(_install_in_uvloop)


def child_environment(context: IsolationContext) -> dict[str, str]:
    """Return the variables by which a child process knows that it belongs to *context*."""
    variables = {TEST_ID: context.test_id, **_trace_context(), **_failpoints(context)}
    for more in ENVIRONMENT:
        variables.update(more(context))
    return variables


def parent_test_id() -> str | None:
    """Return the id of the test that started this process, or ``None``."""
    context = owner()
    if context is not None and context.os_pid != os.getpid():
        return context.test_id  # Forked off inside the test.
    return os.environ.get(TEST_ID)


def _failpoints(context: IsolationContext) -> dict[str, str]:
    if "supertester.failpoints" not in sys.modules:
        return {}  # Who has switched none on has none.
    from supertester.failpoints import child_environment

    return child_environment(context)


def _trace_context() -> dict[str, str]:
    if "opentelemetry.trace" not in sys.modules:
        return {}  # Who has no tracer has no span.
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name.upper(): value for name, value in carrier.items()}


def _install() -> Undo:
    from multiprocessing import spawn
    from multiprocessing.process import BaseProcess

    undos = [
        *programs.install(_surroundings),
        replace_attribute(subprocess.Popen, "__init__", _inheriting_popen(subprocess.Popen.__init__)),
        replace_attribute(BaseProcess, "start", _inheriting_process(BaseProcess.start)),
        replace_attribute(spawn, "get_preparation_data", _inheriting_preparation(spawn.get_preparation_data)),
    ]
    return lambda: [undo() for undo in undos]


def _install_in_uvloop() -> Undo:
    return programs.install_in_uvloop(_surroundings)


def _surroundings(given: Mapping[Any, Any] | None) -> dict[Any, Any]:
    context = owner()
    return _with({} if context is None else child_environment(context), given)


def _inheriting_popen(previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def init(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
        context = owner()
        if context is None:
            previous(self, *args, **kwargs)
            return
        variables = child_environment(context)
        if len(args) > _ENV_POSITION:
            args = (*args[:_ENV_POSITION], _with(variables, args[_ENV_POSITION]), *args[_ENV_POSITION + 1 :])
        else:
            kwargs["env"] = _with(variables, kwargs.get("env"))
        previous(self, *args, **kwargs)
        note_popen(context, self)

    return init


def _with(variables: dict[str, str], given: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """Return the environment *given*, by default this process's, with *variables* that it does not set itself."""
    if given is None:
        # Not what somebody has put in its place, as `mock.patch` does: no child would see that.
        return {**environ, **variables}  # It may say that it belongs to a test already: to the one further up.
    return {**variables, **given}


# A process of `multiprocessing` may come from a server that was started long before, with the environment of then. So
# the variables ride in the process object, and are set where that is unpickled; one that is forked inherits the object.


def _inheriting_process(previous: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(previous)
    def start(self: Any) -> None:
        context = owner()
        if context is None:
            previous(self)
            return
        self._supertester_passport = _Passport(child_environment(context))
        previous(self)
        note_process(context, self)

    return start


def _inheriting_preparation(previous: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    @functools.wraps(previous)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data = previous(name)
        if has_own():
            # The child unpickles this before it imports anything of the user's.
            data["supertester"] = _Passport(_surroundings(None), whole=True)
        return data

    return get_preparation_data


class _Passport:
    """Says which test a process object belongs to, and says it to the child that unpickles it.

    Args:
        variables: What the child is to have in its environment.
        whole: Whether it is to have nothing else in it.
    """

    def __init__(self, variables: dict[str, str], *, whole: bool = False) -> None:
        self._variables = variables
        self._first = "os.environ.clear(); " if whole else ""
        self._last = "" if whole else "".join(ARRIVAL)  # What has it whole has it too early for the user's code.

    def __reduce__(self) -> tuple[Any, ...]:
        # Needs no import of this library, which the child's Python may lack.
        return exec, (f"import os; {self._first}os.environ.update({self._variables!r})\n{self._last}", {})
