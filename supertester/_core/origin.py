"""Where something was created: the line of the user's code, not of this library or of asyncio."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["creation_file", "creation_line", "here", "is_foreign", "show_line"]

_LIBRARY = Path(threading.__file__)
_FOREIGN = (
    f"{Path(__file__).parents[1]}{os.sep}",
    *(f"{_LIBRARY.with_name(package)}{os.sep}" for package in ("asyncio", "concurrent", "unittest")),
    str(_LIBRARY),
    "<frozen",
)


def is_foreign(filename: str) -> bool:
    """Say whether *filename* is code that stands between the user and what was created."""
    return filename.startswith(_FOREIGN)


def show_line(filename: str, line: int | None, function: str) -> str:
    """Return the one form in which lines are shown."""
    return f"{filename}:{line} in {function}"


def here(depth: int = 1) -> str | None:
    """Return the innermost line of the user's code on the stack, or ``None`` if there is none.

    Args:
        depth: Frames to leave out; 1 leaves out this function only.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        if not is_foreign(code.co_filename):
            return show_line(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None


def creation_file(coroutine: Any) -> str | None:
    """Return the file of the user's code that created *coroutine*, if Python noted it: the very string of that code."""
    return next((each[0] for each in getattr(coroutine, "cr_origin", None) or () if not is_foreign(each[0])), None)


def creation_line(coroutine: Any) -> str:
    """Say where *coroutine* was created, as far as Python noted it, or else where it is defined."""
    for filename, line, function in getattr(coroutine, "cr_origin", None) or ():
        if not is_foreign(filename):
            return f"created at {show_line(filename, line, function)}"
    code = _code_of(coroutine)
    if code is None:
        return "created at an unknown line"
    return f"defined at {show_line(code.co_filename, code.co_firstlineno, code.co_name)}"


def _code_of(coroutine: Any) -> CodeType | None:
    for name in ("cr_code", "gi_code", "ag_code"):
        code = getattr(coroutine, name, None)
        if isinstance(code, CodeType):
            return code
    return None
