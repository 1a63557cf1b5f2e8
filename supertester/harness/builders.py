"""Scenarios for the common case, servers that several callers use at once, and hooks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from supertester.chaos import chaos_kill_children as kill_children
from supertester.chaos import inject_crash
from supertester.errors import UsageError
from supertester.scenarios import Scenario

__all__ = [
    "chaos_inject_crash",
    "chaos_kill_children",
    "default_invariant",
    "from_property_config",
    "simple_genserver_scenario",
]

Hook = Callable[[Any, Any], Any]
_OPTIONS = frozenset(field.name for field in fields(Scenario)) - {"threads"}


def simple_genserver_scenario(
    cls: Any,
    operations: Iterable[Any],
    thread_count: int,
    *,
    init_args: Sequence[Any] = (),
    init_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Scenario:
    """Return a scenario in which *thread_count* threads all do *operations* to one server of class *cls*.

    Args:
        cls: The server's class, started with ``cls.start_link(*init_args, **init_kwargs)``.
        operations: What each thread does; what is no list of operations is one.
        thread_count: How many threads there are.
        init_args: Arguments of the start.
        init_kwargs: Keyword arguments of the start.
        options: Of `Scenario`.

    Raises:
        UsageError: *thread_count* is less than 1, or an option makes no sense.
        TypeError: An option is unknown.
    """
    if isinstance(thread_count, bool) or not isinstance(thread_count, int):
        raise TypeError(f"thread_count must be an integer, got thread_count={thread_count!r}")
    if thread_count < 1:
        raise UsageError(f"thread_count must be 1 or more, got thread_count={thread_count!r}")
    if isinstance(operations, Iterator):
        operations = list(operations)
    options["metadata"] = {"thread_count": thread_count, **options.get("metadata", {})}
    return _server_scenario(cls, [operations] * thread_count, (init_args, init_kwargs or {}), options)


def from_property_config(
    cls: Any,
    config: Mapping[str, Any],
    *,
    init_args: Sequence[Any] = (),
    init_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Scenario:
    """Return a scenario of a config that `supertester.properties.concurrent_scenario` drew, on a server of class *cls*.

    What *options* say wins over the config; metadata are merged.

    Raises:
        UsageError: The config has no ``thread_scripts``.
        TypeError: It or *options* have what `Scenario` does not know.
    """
    if "thread_scripts" not in config:
        raise UsageError(f"a config needs thread_scripts, got only {sorted(config)}")
    drawn = {name: value for name, value in config.items() if name != "thread_scripts"}
    metadata = {**config.get("metadata", {}), **options.get("metadata", {})}
    merged = {**drawn, **options, "metadata": metadata}
    return _server_scenario(cls, config["thread_scripts"], (init_args, init_kwargs or {}), merged)


def _server_scenario(
    cls: Any, threads: Iterable[Any], arguments: tuple[Sequence[Any], Mapping[str, Any]], options: dict[str, Any]
) -> Scenario:
    if unknown := sorted(options.keys() - _OPTIONS):
        known = ", ".join(["init_args", "init_kwargs", *sorted(_OPTIONS)])
        raise TypeError(f"unknown option {unknown[0]!r} of a scenario; the options are {known}")
    args, kwargs = arguments

    def start() -> Any:
        return cls.start_link(*args, **kwargs)

    metadata = {"module": cls.__qualname__, **options.pop("metadata", {})}
    setup = options.pop("setup", start)
    return Scenario(setup, threads, metadata=metadata, **options)


def default_invariant(_subject: Any, _context: Any) -> bool:
    """Hold always; what a scenario without an invariant has."""
    return True


def chaos_kill_children(**options: Any) -> Hook:
    """Return a hook for ``chaos=`` that kills children of the subject, a supervisor.

    Args:
        options: Of `supertester.chaos.chaos_kill_children`.
    """

    async def hook(subject: Any, _context: Any) -> Any:
        return await kill_children(subject, **options)

    return hook


def chaos_inject_crash(spec: Any = "immediate", **options: Any) -> Hook:
    """Return a hook for ``chaos=`` that crashes the subject.

    Args:
        spec: When, as for `supertester.chaos.inject_crash`.
        options: Of the same.
    """

    async def hook(subject: Any, _context: Any) -> Any:
        return await inject_crash(subject, spec, **options)

    return hook
