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

    >>> module_name("tests.test_bank.TestBank")
    'tests.test_bank.TestBank'
    """
    if not (name.lower().endswith(".py") and os.path.isfile(name)):
        return name
    path = name
    if os.path.isabs(path):
        path = os.path.relpath(path)
        if os.path.isabs(path) or path.startswith(os.pardir):
            return name
    return os.path.normpath(path)[: -len(".py")].replace(os.sep, ".")
