"""Features: the kinds of isolation that a test may have beyond its processes, each a context manager entered per test.

A feature is one `Feature` in `FEATURES`. A test has those of its mode and those that its class switches on by a
keyword of the same name; the rest are off, and asking for them says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from supertester.context import IsolationContext
from supertester.errors import UsageError
from supertester.isolation.environment.handle import Environment, check_setting

__all__ = ["FEATURES", "Feature", "FeatureSet", "check_tags", "checked_setting", "early_features", "has_feature"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One kind of isolation.

    Attributes:
        name: Its name, which is also the class keyword that sets it.
        enter: ``enter(context, setting)`` returns the context manager of one test; what that yields is the handle.
        modes: The isolation modes that have it without being asked.
        tags: The tags of `tag` that make sense only where it is on.
        early: Whether it has to be on from the beginning of the test; the others are entered when first asked for, or
            from the beginning too if the class or a tag of the test configures them.
        check: Raises what is wrong with a class keyword, when the class is made.
    """

    name: str
    enter: Callable[[IsolationContext, Any], AbstractContextManager[Any]]
    modes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    early: bool = False
    check: Callable[[Any], object] | None = None


_FULL = frozenset({"full_isolation", "contamination_detection"})


# A feature that a test does not use is not even imported.


def _enter_tables(context: IsolationContext, setting: Any) -> AbstractContextManager[Any]:
    from supertester.isolation.tables import tables_of

    return tables_of(context, setting)


def _check_tables(setting: Any) -> object:
    from supertester.isolation.tables.refs import checked_refs

    return checked_refs(setting)


def _enter_contamination(context: IsolationContext, setting: Any) -> AbstractContextManager[Any]:
    from supertester.isolation.contamination import contamination_of

    return contamination_of(context, setting)


def _check_contamination(setting: Any) -> None:
    if isinstance(setting, (list, tuple)) and setting and all(isinstance(each, str) for each in setting):
        return
    if setting not in (None, True, False):
        raise UsageError(
            f"contamination must be a list of names of modules, got contamination={setting!r}; "
            "False switches the comparison off, and without it no module is declared"
        )


def _enter_logs(context: IsolationContext, _: Any) -> AbstractContextManager[Any]:
    from supertester.isolation.logs import enter_logs

    return enter_logs(context)


def _enter_ports(*_: Any) -> AbstractContextManager[Any]:
    from supertester.isolation.ports import enter_ports

    return enter_ports()


def _check_switch(name: str, setting: Any) -> None:
    if setting not in (None, True, False):
        raise TypeError(f"{name} must be True or False, got {name}={setting!r}")


def _enter_telemetry(context: IsolationContext, _: Any) -> AbstractContextManager[Any]:
    from supertester.isolation.telemetry.handle import Opening

    return Opening(context)


def _check_telemetry(setting: Any) -> object:
    if setting in (None, True, False):
        return setting
    raise UsageError(f"telemetry must be True or False, got telemetry={setting!r}")


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        # The first to be entered is the last to be left.
        Feature(
            name="contamination",
            enter=_enter_contamination,
            modes=frozenset({"contamination_detection"}),
            early=True,
            check=_check_contamination,
        ),
        Feature(
            name="logs",
            enter=_enter_logs,
            modes=_FULL,
            tags=frozenset({"logger_level"}),
            check=partial(_check_switch, "logs"),
        ),
        Feature(
            name="telemetry",
            enter=_enter_telemetry,
            modes=_FULL,
            tags=frozenset({"telemetry_events"}),
            check=_check_telemetry,
        ),
        Feature(name="tables", enter=_enter_tables, modes=_FULL, tags=frozenset({"tables"}), check=_check_tables),
        Feature(name="environment", enter=Environment, modes=_FULL, early=True, check=check_setting),
        Feature(name="ports", enter=_enter_ports, modes=_FULL, check=partial(_check_switch, "ports")),
    )
}


def _is_off(setting: Any) -> bool:
    return setting is False or setting is None or (isinstance(setting, (list, tuple)) and not setting)


def _is_on(feature: Feature, mode: str, settings: Mapping[str, Any]) -> bool:
    setting = settings.get(feature.name)
    if setting is None:
        return mode in feature.modes
    return not _is_off(setting)


def has_feature(name: str, mode: str, settings: Mapping[str, Any]) -> bool:
    """Say whether the feature *name* is on in this mode with these settings."""
    return _is_on(FEATURES[name], mode, settings)


def checked_setting(name: str, setting: Any) -> Any:
    """Return *setting*, if the feature *name* can be set to it.

    Raises:
        UsageError, TypeError: It cannot.
    """
    if (check := FEATURES[name].check) is not None:
        check(setting)
    return setting


def check_tags(tags: Mapping[str, Any], mode: str, settings: Mapping[str, Any], where: str) -> None:
    """Refuse tags whose feature is off in this mode with these settings.

    Raises:
        UsageError: A tag would have no effect.
    """
    for feature in FEATURES.values():
        for name in sorted(feature.tags & tags.keys()):
            if not _is_on(feature, mode, settings):
                raise UsageError(
                    f"@tag({name}=...) on {where} needs the option {feature.name}, which is off in mode {mode!r}; "
                    f"switch it on with the class keyword {feature.name}=..."
                )


def early_features(mode: str, settings: Mapping[str, Any], tags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the features that have to be on from the beginning, and those that the class or a tag configures."""
    return tuple(
        feature.name
        for feature in FEATURES.values()
        if (feature.early or settings.get(feature.name, True) is not True or not feature.tags.isdisjoint(tags))
        and _is_on(feature, mode, settings)
    )


class FeatureSet:
    """The features of one test."""

    def __init__(self, context: IsolationContext, settings: Mapping[str, Any]) -> None:
        self._context = context
        self._settings = settings
        self._stack = ExitStack()
        self._lock = threading.RLock()  # Code of the test may ask for a feature on any thread.

    def enter_early(self) -> None:
        """Enter the features that have to be on from the beginning, and those that the class or a tag configures."""
        for name in early_features(self._context.mode, self._settings, self._context.tags):
            self.open(name)

    def has(self, name: str) -> bool:
        """Say whether the feature *name* is on."""
        return has_feature(name, self._context.mode, self._settings)

    def open(self, name: str) -> Any:
        """Enter the feature *name* and return its handle.

        Raises:
            UsageError: It is unknown, or off.
        """
        feature = FEATURES.get(name)
        if feature is None:
            raise UsageError(f"unknown isolation feature {name!r}; the known ones are {', '.join(FEATURES)}")
        if not _is_on(feature, self._context.mode, self._settings):
            raise UsageError(
                f"isolation feature {name!r} is off in mode {self._context.mode!r}; "
                f"switch it on with the class keyword {name}=..."
            )
        with self._lock:
            if name not in self._context.features:
                handle = self._stack.enter_context(feature.enter(self._context, self._settings.get(name)))
                self._context.features[name] = handle
            return self._context.features[name]

    def close(self) -> None:
        """Leave the features that were entered, the last one first."""
        with self._lock:
            self._context.open_feature = None
            self._context.features.clear()
        self._stack.close()
