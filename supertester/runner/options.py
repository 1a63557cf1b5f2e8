"""`Options`: everything that a run can be told, with what holds when it is not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from supertester._core.values import dataclass
from supertester.errors import UsageError
from supertester.runner.outcomes import OUTCOMES

__all__ = ["DEFAULT_TIMEOUT", "START_METHODS", "Options"]

_LOADING = ("names", "module", "discover", "start_directory", "pattern", "top_level_directory", "name_patterns")
START_METHODS = {"fork": "fork", "spawn": "posix_spawn"}
"""How workers may begin, and what the system has to have for it."""
DEFAULT_TIMEOUT = 300.0
"""Seconds that a test may take, unless something else is said."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is told; a field per option.

    Raises:
        UsageError: A value makes no sense.

    >>> Options(jobs=0).timeout
    300.0
    """

    # What to load, as for `python -m unittest`
    names: tuple[str, ...] = ()
    """Modules, classes, methods or files; none: discover."""
    module: str | None = None
    """The module that names are relative to, and whose tests are run if there are none; e.g. ``"__main__"``."""
    discover: bool = False
    start_directory: str = "."
    pattern: str = "test*.py"
    top_level_directory: str | None = None
    name_patterns: tuple[str, ...] = ()
    """``-k``: what names have to contain, or match where there is a ``*``."""

    # How to run and to speak, as for `python -m unittest`
    verbosity: int = 1
    """0: quiet, 1: a sign per test, 2: a line per test."""
    failfast: bool = False
    buffer: bool = False
    """Show what passing tests wrote to nobody."""
    catch: bool = False
    """``-c``: the first Ctrl-C lets the running test end also with ``jobs=0``, as in `python -m unittest`; tests of
    workers it lets end in any case."""
    tb_locals: bool = False
    durations: int | None = None
    """How many of the slowest tests to show; 0 is all."""
    warnings: str | None = None
    """A filter for warnings, or ``None`` for what the interpreter was told, or else ``default``."""

    # Where and when
    jobs: int = 1 if hasattr(os, "posix_spawn") else 0
    """How many worker processes; 0 runs the tests in this process."""
    start_method: str = "fork" if hasattr(os, "fork") else "spawn"
    """How they begin: ``fork``, in a millisecond and with the tests loaded, or ``spawn``, as fresh interpreters that
    load them again, for tests of what does not survive a fork."""
    threads: int = 1
    """How many tests at once in each worker."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Seconds that a test may take; ``None`` is for ever."""
    grace: float = 5.0
    """Seconds that each further rung of the ladder of timeouts has."""
    max_restarts: int = 100
    """How many workers may die before no more are begun."""
    shard: tuple[int, int] | None = None
    """``(i, n)``: the part number i, from 1, of n."""
    history: str | None = ".supertester"
    """The folder in which runs remember durations and failures; ``None`` remembers nothing."""

    # Which tests, and in which order
    layers: tuple[str, ...] = ()
    tag: str | None = None
    last_failed: bool = False
    failed_first: bool = False
    shuffle: int | None = None
    """The seed to shuffle with; ``None`` keeps the order."""
    bisect: str | None = None
    list_only: bool = False

    # How often
    repeat: int = 1
    until_fail: bool = False
    rerun_failed: int = 0

    # What fails, and what is reported
    fail_on: frozenset[str] = frozenset({"contaminated", "flaky", "lost"})
    """Outcomes that fail a run beside those that always do."""
    junit: str | None = None
    html: str | None = None
    coverage: bool = False
    layer_limits: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds that a test of a layer may take, beside what is usual; ``None`` is for ever."""

    # What only callers ask for
    keep_order: bool = False
    """Begin tests strictly in the order given, instead of the longest first."""
    keep_exceptions: bool = False
    """Bring back what tests raised as exceptions too, where they survive the way."""

    @property
    def attachments(self) -> bool:
        """Whether what tests attach is wanted by a report."""
        return bool(self.html or self.junit)

    def __post_init__(self) -> None:
        self._check_counts()
        for name in ("timeout", "grace"):
            value: Any = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number of seconds, got {value!r}")
            if not value > 0:  # Which is no number that can be compared, either.
                raise UsageError(f"{name} must be more than 0 seconds, got {name}={value!r}")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise UsageError(f"shard must be I/N with I from 1 to N, got {self.shard[0]}/{self.shard[1]}")
        if unknown := sorted(self.fail_on - set(OUTCOMES)):
            raise UsageError(f"fail_on names no outcome with {unknown[0]!r}; outcomes: {', '.join(OUTCOMES)}")
        if self.start_method not in START_METHODS:
            raise UsageError(f"start_method is one of {', '.join(START_METHODS)}; got {self.start_method!r}")
        if self.jobs and not hasattr(os, START_METHODS[self.start_method]):
            raise UsageError(
                f"this system cannot {self.start_method} workers; use jobs=0, on the command line -j 0, or another "
                f"start_method than {self.start_method!r}"
            )

    def loading(self) -> dict[str, Any]:
        """Return the fields that say what to load; plain data."""
        return {name: getattr(self, name) for name in _LOADING}

    def _check_counts(self) -> None:
        for name, least in [("jobs", 0), ("threads", 1), ("repeat", 1), ("rerun_failed", 0), ("max_restarts", 0)]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < least:
                raise UsageError(f"{name} must be at least {least}, got {name}={value}")
