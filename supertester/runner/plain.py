"""Command lines of nothing but names, where no setting is written down: the commonest ones.

They need no parser, which would take longer to load than most single tests take to run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from supertester.errors import UsageError
from supertester.runner.options import Options

__all__ = ["PREFIX", "SECTION", "SETTING_FILES", "module_name", "plain_options", "speaks_of_us"]

PREFIX = "SUPERTESTER_"
"""How variables begin that are settings."""
SECTION = "supertester"
"""What sections for settings are called."""
SETTING_FILES = ("setup.cfg", "pyproject.toml")


def plain_options(arguments: Sequence[str]) -> Options | None:
    """Return what *arguments* ask for, or ``None`` if that takes a parser.

    >>> plain_options(["--shuffle"]) is plain_options(["discover"]) is None
    True
    """
    if arguments[:1] == ["discover"] or any(each.startswith("-") for each in arguments):
        return None
    return None if _are_settings_written_down() else Options(names=tuple(map(module_name, arguments)))


def _are_settings_written_down(variables: Iterable[str] = os.environ) -> bool:
    """Say whether there may be settings; whoever reads them will know."""
    return any(map(speaks_of_us, SETTING_FILES)) or any(name.startswith(PREFIX) for name in variables)


def speaks_of_us(file: str) -> bool:
    """Say whether the file is there and may have a section of ours: most have none, and to parse them takes its time.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        with open(file, "rb") as found:
            return SECTION.encode() in found.read()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error}") from None


def module_name(name: str) -> str:
    """Return the dotted name of a file, as ``python -m unittest`` takes files: relative to the present folder.

    Raises:
        UsageError: It is the name of a file that is not there, or that cannot be imported from the present folder.

    >>> module_name("tests.test_bank.TestBank")
    'tests.test_bank.TestBank'
    """
    if not (name.lower().endswith(".py") and os.path.isfile(name)):
        if _is_path(name):
            raise UsageError(_why_none(name))
        return name
    path = os.path.relpath(name)
    if os.path.isabs(path) or path.startswith(os.pardir):
        raise UsageError(f"{name} is outside of the present folder, which tests are imported from; run it from its own")
    return path[: -len(".py")].replace(os.sep, ".")


def _is_path(name: str) -> bool:
    """Say whether *name* can be no dotted one; that of a test may hold a slash, e.g. where it is made of a value."""
    first, separator, _ = name.replace(os.altsep or os.sep, os.sep).partition(os.sep)
    is_relative = name in {"", os.curdir, os.pardir} or first in {os.curdir, os.pardir}
    return is_relative or bool(separator and ("." not in first or name.lower().endswith(".py")))


def _why_none(name: str) -> str:
    if os.path.isdir(name):
        return f"{name} is a folder; `discover -s {name}` runs the tests in it"
    if os.path.exists(name):
        return f"{name} is no Python file; name one, or a test as package.module.Class.method"
    return f"there is no file {name!r}; name one, or a test as package.module.Class.method"
