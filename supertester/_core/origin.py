"""Where something was created: the line of the user's code, not of this library or of asyncio."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

__all__ = [
    "Origin",
    "caller",
    "creation_file",
    "creation_line",
    "here",
    "is_foreign",
    "is_standard",
    "relay",
    "show_line",
    "transparent",
]

F = TypeVar("F", bound=Callable[..., Any])

_LIBRARY = Path(threading.__file__)
_FOREIGN = (
    f"{Path(__file__).parents[1]}{os.sep}",
    *(f"{_LIBRARY.with_name(package)}{os.sep}" for package in ("asyncio", "concurrent", "unittest")),
    str(_LIBRARY),
    "<frozen",
)
_STANDARD = f"{_LIBRARY.parent}{os.sep}"
_INSTALLED = tuple(f"{_STANDARD}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_DEPTH = 24
"""Frames that an `Origin` keeps."""

_transparent: set[CodeType] = set()
_relays: set[CodeType] = set()


def transparent(function: F) -> F:
    """Let it look, to what *function* calls, as if its own caller had called it: it stands for what it calls."""
    _transparent.add(function.__code__)
    return function


def relay(function: F) -> F:
    """Let an `Origin` that is taken in what *function* calls go on with the one in its variable ``origin``.

    That is where somebody handed the work over which it does, as one does to a thread.
    """
    _relays.add(function.__code__)
    return function


def caller(frame: FrameType) -> FrameType:
    """Return *frame*, or where it is that of a function that is `transparent` the one that called that."""
    while frame.f_code in _transparent:
        assert frame.f_back is not None
        frame = frame.f_back
    return frame


def is_foreign(filename: str) -> bool:
    """Say whether *filename* is code that stands between the user and what was created."""
    return filename.startswith(_FOREIGN)


def is_standard(filename: str) -> bool:
    """Say whether *filename* is a module of Python's standard library."""
    return filename.startswith(_STANDARD) and not filename.startswith(_INSTALLED)


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


class Origin:
    """The stack on which something was created, taken in a microsecond and put into words when somebody asks.

    It holds code objects and no frames, so it keeps nothing alive.

    Args:
        depth: Frames to leave out; 1 leaves out this constructor only.
    """

    __slots__ = ("_before", "_frames")

    def __init__(self, depth: int = 1) -> None:
        frame: FrameType | None = caller(sys._getframe(depth))
        frames: list[tuple[CodeType, int]] = []
        self._frames = frames
        self._before: Origin | None = None
        while frame is not None and len(frames) < _DEPTH:
            if frame.f_code in _relays:
                if self._nearest() is None:  # Else they would form a chain, where each thread starts the next.
                    self._before = frame.f_locals["origin"]
                break
            frames.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back

    def _all_frames(self) -> Iterator[tuple[CodeType, int]]:
        origin: Origin | None = self
        while origin is not None:
            yield from origin._frames
            origin = origin._before

    @property
    def line(self) -> str:
        """The innermost line of the user's code, or of any code if there is none of the user."""
        for skip in (lambda name: is_foreign(name) or is_standard(name), is_foreign, lambda _: False):
            for code, last in self._all_frames():
                if not skip(code.co_filename):
                    return show_line(code.co_filename, _line_number(code, last), code.co_name)
        return "an unknown line"

    @property
    def is_own(self) -> bool:
        """Whether this library made it for itself: whether its code comes before any that is not Python's own."""
        name = self._nearest()
        if name is None:
            return self._before is not None and self._before.is_own
        return name.startswith(_FOREIGN[0])

    def _nearest(self) -> str | None:
        """Return the file of the innermost code that is not Python's own, and stands for no other."""
        names = (code.co_filename for code, _ in self._frames if code not in _transparent)
        return next((name for name in names if not is_standard(name)), None)

    def stack(self) -> str:
        """Return the stack, outermost call first, without this library and what called the user's code, as text."""
        lines: list[str] = []
        is_inside = False
        for code, last in self._all_frames():
            is_outside = is_foreign(code.co_filename)
            if is_outside and is_inside:
                break
            is_inside = is_inside or not (is_outside or is_standard(code.co_filename))
            if not code.co_filename.startswith(_FOREIGN[0]):
                lines.append(show_line(code.co_filename, _line_number(code, last), code.co_name))
        return "\n".join(["created here (innermost call last):", *reversed(lines)])

    def calls(self) -> Iterator[tuple[str, str]]:
        """Yield file name and function of every frame, innermost first; not of who handed the work over."""
        return ((code.co_filename, code.co_name) for code, _ in self._frames)


def _line_number(code: CodeType, last: int) -> int | None:
    # Computed here, not when the frame is at hand: Python reads the table of lines from its start for it.
    position = next(islice(code.co_positions(), last // 2, None), None)
    return code.co_firstlineno if position is None else position[0]


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
