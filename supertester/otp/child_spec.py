"""What a supervisor knows of its children before they run (rule 21)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from supertester.errors import UsageError
from supertester.otp.genserver import GenServer
from supertester.otp.reasons import BRUTAL_KILL, INFINITY

__all__ = ["AUTO_SHUTDOWN", "RESTARTS", "STRATEGIES", "ChildSpec", "SupervisorSpec"]

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
RESTARTS = ("permanent", "transient", "temporary")
AUTO_SHUTDOWN = ("never", "any_significant", "all_significant")
_TYPES = ("worker", "supervisor")


def _one_of(what: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"{what} must be one of {', '.join(map(repr, known))}, got {what}={value!r}")


@dataclass(frozen=True)
class ChildSpec:
    """How to start, restart and stop one child.

    Args:
        id: Its name among its siblings.
        start: A `GenServer` or `Supervisor` class, or a function that starts a linked process and returns its `Pid` (or
            `IGNORE`), plain or async.
        args: Arguments of the start.
        kwargs: Keyword arguments of the start, e.g. ``name=``.
        restart: ``"permanent"``: always restarted; ``"transient"``: after a crash only; ``"temporary"``: never.
        shutdown: Seconds between asking it to end and killing it; ``BRUTAL_KILL``: kill at once; ``INFINITY``: wait for
            ever. By default 5.0 for workers and ``INFINITY`` for supervisors.
        type: ``"worker"`` or ``"supervisor"``; known from *start* if that is a class.
        modules: The classes it consists of; ``[start]`` for a class.
        significant: Whether its normal end may shut the supervisor down (``auto_shutdown``).

    Raises:
        UsageError: A value is out of its range.
        TypeError: *start* cannot be called.
    """

    id: Any
    start: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    restart: str = "permanent"
    shutdown: Any = None
    type: str | None = None
    modules: Sequence[Any] | None = None
    significant: bool = False

    def __post_init__(self) -> None:
        if not callable(self.start):
            raise TypeError(f"start must be a GenServer or Supervisor class or a function, got start={self.start!r}")
        _one_of("restart", self.restart, RESTARTS)
        supervises = isinstance(self.start, type) and getattr(self.start, "_otp_supervises", False)
        if self.type is None:
            object.__setattr__(self, "type", "supervisor" if supervises else "worker")
        _one_of("type", self.type, _TYPES)
        if self.shutdown is None:
            object.__setattr__(self, "shutdown", INFINITY if self.type == "supervisor" else 5.0)
        elif self.shutdown != BRUTAL_KILL and not (
            isinstance(self.shutdown, (int, float)) and not isinstance(self.shutdown, bool) and self.shutdown >= 0
        ):
            raise UsageError(
                f"shutdown must be 0 or more seconds, INFINITY or BRUTAL_KILL, got shutdown={self.shutdown!r}"
            )
        if isinstance(self.args, (str, bytes)) or not isinstance(self.args, Sequence):
            raise TypeError(f"args must be a tuple of arguments, got args={self.args!r}")
        if not isinstance(self.kwargs, Mapping):
            raise TypeError(f"kwargs must be a mapping, got kwargs={self.kwargs!r}")
        if self.modules is None:
            object.__setattr__(self, "modules", [self.start] if isinstance(self.start, type) else [])
        if self.significant and self.restart == "permanent":
            raise UsageError("a significant child must be transient or temporary, got restart='permanent'")
        try:
            hash(self.id)
        except TypeError:
            raise UsageError(f"a child id must be hashable, got id={self.id!r}") from None

    @cached_property
    def server_start(self) -> tuple[tuple[Any, ...], dict[str, Any], Any, Any]:
        """What a server is started with: the arguments of its ``init``, its name, and the timeout."""
        kwargs = dict(self.kwargs)
        name, timeout = kwargs.pop("name", None), kwargs.pop("timeout", None)
        return tuple(self.args), kwargs, name, timeout

    @cached_property
    def is_server(self) -> bool:
        """Whether `start` is a class of our own whose start was not overridden, so that no coroutine is needed."""
        start = self.start
        return (
            isinstance(start, type)
            and issubclass(start, GenServer)
            and start.start_link.__func__ is GenServer.start_link.__func__  # type: ignore[attr-defined]
        )


@dataclass(frozen=True)
class SupervisorSpec:
    """What the ``init`` of a `Supervisor` subclass returns.

    Args:
        children: The children, in start order.
        strategy: Who is restarted when a child ends: ``"one_for_one"``, ``"one_for_all"`` or ``"rest_for_one"``.
        max_restarts: How many restarts are put up with ...
        max_seconds: ... within so many seconds; with one more the supervisor gives up.
        auto_shutdown: ``"never"``, or end when ``"any_significant"`` or ``"all_significant"`` children have ended by
            themselves.

    Raises:
        UsageError: A value is out of its range, or two children have the same id.
        TypeError: A child is no `ChildSpec`.
    """

    children: Iterable[ChildSpec] = ()
    strategy: str = field(default="one_for_one", kw_only=True)
    max_restarts: int = field(default=3, kw_only=True)
    max_seconds: float = field(default=5.0, kw_only=True)
    auto_shutdown: str = field(default="never", kw_only=True)

    def __post_init__(self) -> None:
        _one_of("strategy", self.strategy, STRATEGIES)
        _one_of("auto_shutdown", self.auto_shutdown, AUTO_SHUTDOWN)
        if isinstance(self.max_restarts, bool) or not isinstance(self.max_restarts, int) or self.max_restarts < 0:  # type: ignore[redundant-expr]
            raise UsageError(f"max_restarts must be an integer of 0 or more, got max_restarts={self.max_restarts!r}")
        if (
            isinstance(self.max_seconds, bool)
            or not isinstance(self.max_seconds, (int, float))  # type: ignore[redundant-expr]
            or self.max_seconds <= 0
        ):
            raise UsageError(f"max_seconds must be more than 0 seconds, got max_seconds={self.max_seconds!r}")
        if isinstance(self.children, ChildSpec):
            raise TypeError("children must be a list of ChildSpec, got a single ChildSpec; put it into a list")
        object.__setattr__(self, "children", tuple(self.children))
        seen: set[Any] = set()
        for child in self.children:
            if not isinstance(child, ChildSpec):
                raise TypeError(f"children must be ChildSpec(id, start, ...), got {child!r}")
            if child.id in seen:
                raise UsageError(
                    f"two children have the id {child.id!r}; ids must be unique",
                    reason=("duplicate_child_name", child.id),
                )
            seen.add(child.id)
            if child.significant and self.auto_shutdown == "never":
                raise UsageError(f"the child {child.id!r} is significant, but auto_shutdown is 'never'")
