"""Options of the command line that a project writes down: in ``setup.cfg``, ``pyproject.toml`` or its environment.

Each long option is a setting of the same name: ``--fail-on flaky`` is ``fail-on = flaky`` in the section
``[supertester]`` of ``setup.cfg``, ``fail-on = ["flaky"]`` in ``[tool.supertester]`` of ``pyproject.toml``, and
``SUPERTESTER_FAIL_ON=flaky``. Each of these overrides the one before it, and the command line all of them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from supertester.errors import UsageError
from supertester.runner.plain import PREFIX, SECTION, SETTING_FILES, speaks_of_us

__all__ = ["Collected", "Setting", "apply_settings", "read_settings"]

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_OTHERS: Final = frozenset(
    f"{PREFIX}{name}" for name in ("ENV", "FAILPOINTS", "MACHINE", "SEED", "TELEMETRY", "TEST_ID", "UPDATE_BASELINES")
)
"""Variables that mean something to other parts of the library."""
_CLOSE: Final = 0.8
"""From which likeness on a variable of an unknown name is taken for a mistake and not for somebody else's."""


@dataclass(frozen=True)
class Setting:
    """A value that was written down for an option, and where."""

    name: str
    value: Any
    source: str

    def __str__(self) -> str:
        return f"{self.source}: {self.name} = {self.value!r}"


class Collected(argparse._AppendAction):
    """Collects the values of an option that is given several times; the first of them replaces the default."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Add *values*."""
        if getattr(namespace, self.dest, None) is self.default:
            setattr(namespace, self.dest, [])
        super().__call__(parser, namespace, values, option_string)


def apply_settings(
    parser: argparse.ArgumentParser,
    *,
    folder: str | Path = ".",
    environ: Mapping[str, str] = os.environ,
    section: str = "",
    sections: Collection[str] = (),
) -> list[Setting]:
    """Make what is written down for the options of *parser* their defaults; return it.

    Args:
        parser: Its long options are the settings.
        folder: Where ``setup.cfg`` and ``pyproject.toml`` are.
        environ: The environment.
        section: The part of the settings that these are, e.g. ``"audit"`` for ``[supertester:audit]``,
            ``[tool.supertester.audit]`` and ``SUPERTESTER_AUDIT_...``.
        sections: The names of the other parts, which are none of *parser*'s business.

    Raises:
        UsageError: A setting is unknown, or its value is none for it; the message names the one that was meant.

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--timeout", type=float, default=60.0)
    >>> _ = apply_settings(parser, folder="/nowhere", environ={"SUPERTESTER_TIMEOUT": "5"})
    >>> parser.parse_args([]).timeout, parser.parse_args(["--timeout", "7"]).timeout
    (5.0, 7.0)
    """
    actions = _actions(parser)
    found = read_settings(actions, folder=folder, environ=environ, section=section, sections=sections)
    usual = {action.dest: parser.get_default(action.dest) for action in actions.values()}
    for setting in found:
        action = actions[setting.name]
        parser.set_defaults(**{action.dest: _converted(action, setting, usual[action.dest])})
    return found


def read_settings(
    names: Collection[str],
    *,
    folder: str | Path = ".",
    environ: Mapping[str, str] = os.environ,
    section: str = "",
    sections: Collection[str] = (),
) -> list[Setting]:
    """Return the settings that are written down, those that override others after them; see `apply_settings`.

    Raises:
        UsageError: One of them is not among *names*, or a file cannot be read.
    """
    folder = Path(folder)
    found = [
        *_of_setup_cfg(folder / SETTING_FILES[0], section),
        *_of_pyproject(folder / SETTING_FILES[1], section, sections),
    ]
    for setting in found:
        if setting.name not in names:
            raise UsageError(f"{setting.source}: there is no setting {setting.name!r}{_meant(setting.name, names)}")
    return [*found, *_of_environment(environ, section, names, sections)]


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the options that can be settings: the long ones, without those that only print something."""
    return {
        option[2:]: action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and not option.startswith("--no-") and not _only_prints(action)
    }


def _only_prints(action: argparse.Action) -> bool:
    return isinstance(action, (argparse._HelpAction, argparse._VersionAction))


# Where settings are written down ------------------------------------------------------------------------------------


def _of_setup_cfg(path: Path, section: str) -> Iterable[Setting]:
    if not speaks_of_us(str(path)):
        return
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    name = ":".join(filter(None, (SECTION, section)))
    for key, value in parser[name].items() if parser.has_section(name) else ():
        yield Setting(_key(key), value, f"{path.name} [{name}]")


def _of_pyproject(path: Path, section: str, sections: Collection[str]) -> Iterable[Setting]:
    if not speaks_of_us(str(path)):
        return
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get(SECTION, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    name = ".".join(filter(None, ("tool", SECTION, section)))
    for key, value in (table.get(section, {}) if section else table).items():
        if section or key not in sections:
            yield Setting(_key(key), value, f"{path.name} [{name}]")


def _of_environment(
    environ: Mapping[str, str], section: str, names: Collection[str], sections: Collection[str]
) -> Iterable[Setting]:
    prefix = PREFIX + (f"{section.upper()}_" if section else "")
    others = tuple(f"{PREFIX}{each.upper()}_" for each in sections)
    for variable, value in environ.items():
        if not variable.startswith(prefix) or (not section and variable.startswith(others)):
            continue
        key = _key(variable[len(prefix) :].lower())
        if key in names:
            yield Setting(key, value, variable)
        elif variable not in _OTHERS and _near(key, names, _CLOSE):
            # Others may have variables with this prefix too, e.g. for the tests of their project.
            raise UsageError(f"{variable}: there is no setting {key!r}{_meant(key, names)}")


def _key(name: str) -> str:
    return name.replace("_", "-")


def _meant(name: str, names: Collection[str]) -> str:
    close = _near(name, names, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; the known ones are {', '.join(sorted(names))}"


def _near(name: str, names: Collection[str], likeness: float) -> list[str]:
    import difflib

    return difflib.get_close_matches(name, names, n=1, cutoff=likeness)


# What they mean -----------------------------------------------------------------------------------------------------


def _converted(action: argparse.Action, setting: Setting, usual: Any) -> Any:
    """Return the value as the option would have it, or the *usual* one where it is switched off.

    Raises:
        UsageError: The option would refuse it.
    """
    if action.nargs == 0:
        return _switch(action, setting, usual)
    if action.nargs in {"*", "+"} or isinstance(action, argparse._AppendAction):
        return [_one(action, setting, each) for each in _members(setting.value)]
    if action.nargs == "?" and str(setting.value).lower() in _TRUE - {"1"}:
        return action.const
    if action.nargs == "?" and str(setting.value).lower() in _FALSE - {"0"}:
        return None
    return _one(action, setting, setting.value)


def _switch(action: argparse.Action, setting: Setting, usual: Any) -> Any:
    text = str(setting.value).lower()
    if isinstance(action, argparse._CountAction) and text.isdigit():
        return int(text)
    if text not in _TRUE | _FALSE:
        raise UsageError(f"{setting}: this is switched on or off; write true or false")
    wanted = text in _TRUE
    if isinstance(action, argparse.BooleanOptionalAction):
        return wanted
    return action.const if wanted else usual


def _members(value: Any) -> list[Any]:
    return (
        list(value)
        if isinstance(value, list)
        else [part for part in str(value).replace(",", "\n").split("\n") if part.strip()]
    )


def _one(action: argparse.Action, setting: Setting, value: Any) -> Any:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value).strip()
    try:
        converted = action.type(text) if callable(action.type) else text
    except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
        raise UsageError(f"{setting}: {error}") from None
    if action.choices is not None and converted not in action.choices:
        raise UsageError(f"{setting}: choose one of {', '.join(map(str, action.choices))}")
    return converted
