"""`Options`: what a test class may ask for, checked when the class is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from supertester._core.waiting import checked_seconds
from supertester.context import Isolation
from supertester.errors import UsageError
from supertester.isolation.features import FEATURES, checked_setting
from supertester.isolation.leaks.kinds import LEAK_KINDS, WORLD_KINDS
from supertester.isolation.modes import checked_mode

__all__ = ["Options", "explored_options"]

_POLICIES = ("fail", "warn", "ignore")
_FULL = (Isolation.FULL_ISOLATION.value, Isolation.CONTAMINATION_DETECTION.value)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a test class.

    Attributes:
        isolation: The isolation mode, see `Isolation`.
        clock: ``"real"``, or ``"virtual"``: time leaps over waiting, see `supertester.schedule.VirtualLoop`.
        timeout: Seconds of real time that a test may take from its set-up to the end of its body; ``None`` for no
            limit.
        leaks: What a leak does: ``"fail"``, ``"warn"`` or ``"ignore"``; or a mapping from kinds of leaks to that. Tasks
            and processes count in every mode; timers, threads, children, descriptors, handlers and signals in
            ``full_isolation`` and ``contamination_detection``, or where the mapping names them.
        crashes: Whether the crash of a server fails the test: ``"ignore"`` or ``"fail"``.
        sleeps: What a sleep in test code does: ``"fail"``, ``"warn"`` or ``"ignore"``; by default ``"fail"`` in
            ``full_isolation`` and ``contamination_detection``, and ``"ignore"`` in the lesser modes.
        debug: Asyncio's debug mode.
        features: Settings of isolation features by name.
        watched_leaks: The kinds of leaks that are looked for at the end of a test; follows from the others.
    """

    isolation: str = Isolation.FULL_ISOLATION.value
    clock: str = "real"
    timeout: float | None = 60.0
    leaks: str | Mapping[str, str] = "fail"
    crashes: str = "ignore"
    sleeps: str | None = None
    debug: bool = False
    features: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    watched_leaks: frozenset[str] = field(init=False, default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "isolation", checked_mode(self.isolation))
        _check_choice("clock", self.clock, ("real", "virtual"))
        if self.timeout is not None:
            _check_timeout(self.timeout)
        self._check_leaks()
        _check_choice("crashes", self.crashes, ("fail", "ignore"))
        if self.sleeps is None:
            object.__setattr__(self, "sleeps", "fail" if self.isolation in _FULL else "ignore")
        _check_choice("sleeps", self.sleeps, _POLICIES)
        if not isinstance(self.debug, bool):
            raise TypeError(f"debug must be True or False, got debug={self.debug!r}")
        for name, setting in self.features.items():
            checked_setting(name, setting)
        declared = self.features.get("contamination")
        if declared and self.isolation != Isolation.CONTAMINATION_DETECTION.value:
            raise UsageError(
                f"contamination={declared!r} needs isolation='contamination_detection', got {self.isolation!r}: "
                "what a test changes can be found only while it runs alone"
            )
        watched = frozenset(kind for kind in WORLD_KINDS if self.leak_policy(kind) != "ignore")
        object.__setattr__(self, "watched_leaks", watched)

    def _check_leaks(self) -> None:
        if isinstance(self.leaks, str):
            _check_choice("leaks", self.leaks, _POLICIES)
            return
        if not isinstance(self.leaks, Mapping):
            raise TypeError(
                f"leaks must be one of {', '.join(_POLICIES)} or a mapping by kind, got leaks={self.leaks!r}"
            )
        for kind, policy in self.leaks.items():
            _check_choice("a kind of leaks", kind, LEAK_KINDS)
            _check_choice(f"leaks[{kind!r}]", policy, _POLICIES)

    def leak_policy(self, kind: str) -> str:
        """Return what a leak of *kind* does to the test."""
        if not isinstance(self.leaks, str) and kind in self.leaks:
            return self.leaks[kind]
        if kind in WORLD_KINDS and self.isolation not in _FULL:
            return "ignore"
        return self.leaks if isinstance(self.leaks, str) else "fail"

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all the options, those of features included."""
        return [*(each.name for each in fields(cls) if each.init and each.name != "features"), *FEATURES]

    @classmethod
    def made_of(cls, given: Mapping[str, Any]) -> Options:
        """Return the options that the class keywords *given* stand for.

        Raises:
            TypeError: One is unknown, or of a wrong type.
            UsageError: One has a value that makes no sense.
        """
        known = cls.names()
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise TypeError(f"unknown class keyword {name!r}{hint}; the known ones are {', '.join(known)}")
        settings = {name: value for name, value in given.items() if name in FEATURES}
        own = {name: value for name, value in given.items() if name not in FEATURES}
        return cls(**own, features=MappingProxyType(settings))


def explored_options(options: Options) -> Options:
    """Return *options* for a schedule: its time is virtual, and asyncio's debug mode has no meaning there."""
    explored: Options | None = options.__dict__.get("_explored")
    if explored is None:
        explored = replace(options, clock="virtual", debug=False)
        object.__setattr__(options, "_explored", explored)  # They are the same for thousands of schedules.
    return explored


def _check_timeout(timeout: Any) -> None:
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if is_number and not timeout > 0:
        raise UsageError(f"timeout must be more than 0 seconds, got timeout={timeout!r}; None means no limit")
    checked_seconds("timeout", timeout)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
