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
from typing import Any

from supertester.context import IsolationContext
from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, install_once, replace_attribute

__all__ = ["ENVIRONMENT", "TEST_ID", "child_environment", "inherit_in_children", "parent_test_id"]

TEST_ID = "SUPERTESTER_TEST_ID"

ENVIRONMENT: list[Callable[[IsolationContext], Mapping[str, str]]] = []
"""What else goes into the environment of a test's child processes: each returns the variables that it adds."""

_ENV_POSITION = 10
"""Of ``env`` among the arguments of ``subprocess.Popen``."""


def inherit_in_children() -> None:
    """Let child processes inherit the identity of the test that starts them, from now on."""
    install_once(_install)


def child_environment(context: IsolationContext) -> dict[str, str]:
    """Return the variables by which a child process knows that it belongs to *context*."""
    variables = {TEST_ID: context.test_id, **_trace_context()}
    for more in ENVIRONMENT:
        variables.update(more(context))
    return variables


def parent_test_id() -> str | None:
    """Return the id of the test that started this process, or ``None``."""
    context = owner()
    if context is not None and context.os_pid != os.getpid():
        return context.test_id  # Forked off inside the test.
    return os.environ.get(TEST_ID)


def _trace_context() -> dict[str, str]:
    if "opentelemetry.trace" not in sys.modules:
        return {}  # Who has no tracer has no span.
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name.upper(): value for name, value in carrier.items()}


def _install() -> Undo:
    from multiprocessing.process import BaseProcess

    undos = [
        replace_attribute(subprocess.Popen, "__init__", _inheriting_popen(subprocess.Popen.__init__)),
        replace_attribute(BaseProcess, "start", _inheriting_process(BaseProcess.start)),
    ]
    return lambda: [undo() for undo in undos]


def _inheriting_popen(previous: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(previous)
    def init(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
        context = owner()
        if context is not None:
            variables = child_environment(context)
            if len(args) > _ENV_POSITION:
                args = (*args[:_ENV_POSITION], _with(variables, args[_ENV_POSITION]), *args[_ENV_POSITION + 1 :])
            else:
                kwargs["env"] = _with(variables, kwargs.get("env"))
        previous(self, *args, **kwargs)

    return init


def _with(variables: dict[str, str], given: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """Return the environment *given*, by default this process's, with *variables* that it does not set itself."""
    if given is None:
        return {**os.environ, **variables}  # It may say that it belongs to a test already: to the one further up.
    return {**variables, **given}


# A process of `multiprocessing` may come from a server that was started long before, with the environment of then. So
# the variables ride in the process object, and are set where that is unpickled; one that is forked inherits the object.


def _inheriting_process(previous: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(previous)
    def start(self: Any) -> None:
        context = owner()
        if context is not None:
            self._supertester_passport = _Passport(child_environment(context))
        previous(self)

    return start


class _Passport:
    """Says which test a process object belongs to, and says it to the child that unpickles it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables

    def __reduce__(self) -> tuple[Any, ...]:
        # Needs no import of this library, which the child's Python may lack.
        return exec, (f"import os; os.environ.update({self._variables!r})", {})
