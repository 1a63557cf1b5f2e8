"""`Scenario`: a subject, what several logical threads do to it at the same time, and what must hold afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supertester._core.waiting import checked_seconds
from supertester.errors import UsageError
from supertester.performance.measurement import check_bounds
from supertester.scenarios.operations import Operation, checked_kind, script
from supertester.servers import SYNC

__all__ = ["Scenario"]

_OF_MAILBOX = {"sampling_interval"}
MODES = ("tasks", "threads")


@dataclass(frozen=True)
class Scenario:
    """What `run_scenario` runs. Functions may be plain or async.

    Args:
        setup: ``setup()`` returns the subject, or ``(subject, context)`` with a mapping for the other functions.
        threads: The scripts of the logical threads, each a list of operations: ``("call", request)``, ``("cast",
            message)``, ``("custom", function)`` where *function* takes the subject, or a bare term. They begin
            together, from a barrier.
        timeout_ms: Milliseconds for everything from the set-up to the invariant.
        invariant: ``invariant(subject, context)`` must hold at the end: it fails by raising, or by returning ``False``,
            an `Outcome` with an error, what a ``check_*`` function found, or that a history is not linearizable. Its
            context also has what the report has.
        cleanup: ``cleanup(subject, context)``, always called; by default the subject is stopped.
        metadata: Goes into the report and the events of the run.
        call_timeout_ms: Milliseconds for each call, and for a cast to be handled.
        sync_message: What a cast is followed by, so that it has been handled when it counts as done.
        default_operation: What a bare term in a script is: ``"call"`` or ``"cast"``.
        mailbox: Options of `supertester.performance.measure_mailbox_growth`; a mapping, even an empty one, has the
            subject's mailbox observed during the run.
        chaos: ``chaos(subject, context)`` runs beside the threads.
        performance_expectations: Bounds for the run as a whole, as `supertester.performance.check_expectations` takes
            them.
        max_errors: How many failing operations are put up with; ``None``: any number. The report counts them anyhow.
        mode: ``"tasks"``: each logical thread is a task; ``"threads"``: a thread of the operating system, from which
            plain custom functions are called.

    Raises:
        UsageError: A value makes no sense.
        TypeError: One is of a wrong type, or an option is unknown.

    >>> from supertester.otp import Agent
    >>> Scenario(lambda: Agent.start_link(0), [["value", "value"], [("cast", "reset")]]).threads
    ((('call', 'value'), ('call', 'value')), (('cast', 'reset'),))
    """

    setup: Callable[[], Any]
    threads: Iterable[Any]
    timeout_ms: float = field(default=5000, kw_only=True)
    invariant: Callable[[Any, Any], Any] | None = field(default=None, kw_only=True)
    cleanup: Callable[[Any, Any], Any] | None = field(default=None, kw_only=True)
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    call_timeout_ms: float = field(default=1000, kw_only=True)
    sync_message: Any = field(default=SYNC, kw_only=True)
    default_operation: str = field(default="call", kw_only=True)
    mailbox: Mapping[str, Any] | None = field(default=None, kw_only=True)
    chaos: Callable[[Any, Any], Any] | None = field(default=None, kw_only=True)
    performance_expectations: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    max_errors: int | None = field(default=None, kw_only=True)
    mode: str = field(default="tasks", kw_only=True)

    def __post_init__(self) -> None:
        checked_kind(self.default_operation)
        object.__setattr__(self, "threads", self._checked_threads())
        for name in ("setup", "invariant", "cleanup", "chaos"):
            function = getattr(self, name)
            if not (callable(function) or (function is None and name != "setup")):
                raise TypeError(f"{name} must be a function, got {name}={function!r}")
        for name in ("timeout_ms", "call_timeout_ms"):
            checked_seconds(name, getattr(self, name), positive=True)
        for name in ("metadata", "mailbox", "performance_expectations"):
            value = getattr(self, name)
            if not (isinstance(value, Mapping) or (value is None and name == "mailbox")):
                raise TypeError(f"{name} must be a mapping, got {name}={value!r}")
        self._check_measurements()
        if self.max_errors is not None:
            self._check_max_errors(self.max_errors)
        if self.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, got mode={self.mode!r}")

    def name_of_thread(self, number: int) -> str:
        """Return what the task of a logical thread is called, which are counted from 1."""
        return f"thread {number}"

    def _checked_threads(self) -> tuple[tuple[Operation, ...], ...]:
        if isinstance(self.threads, (str, bytes, Mapping)) or not isinstance(self.threads, Iterable):
            raise TypeError(f"threads must be a list of scripts, got threads={self.threads!r}")
        threads = tuple(script(operations, self.default_operation) for operations in self.threads)
        if not threads:
            raise UsageError("a scenario needs at least one thread, got threads=[]")
        return threads

    def _check_measurements(self) -> None:
        if self.mailbox is not None and (unknown := sorted(map(str, self.mailbox.keys() - _OF_MAILBOX))):
            known = ", ".join(sorted(_OF_MAILBOX))
            raise TypeError(f"unknown option {unknown[0]!r} of mailbox; the options are {known}")
        if self.performance_expectations:
            check_bounds(self.performance_expectations)

    @staticmethod
    def _check_max_errors(count: Any) -> None:
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"max_errors must be an integer or None, got max_errors={count!r}")
        if count < 0:
            raise UsageError(f"max_errors must be 0 or more, got max_errors={count!r}")
