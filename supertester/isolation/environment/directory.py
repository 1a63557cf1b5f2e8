"""The current directory, which is the process's: a test may change it while it runs alone, and the end puts it back."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supertester.isolation.environment.process_wide import claim, release
from supertester.isolation.environment.state import State, current
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["install"]

_KEY = "current directory"
_chdir = os.chdir


def install() -> list[Undo]:
    """Let the changes of tests be found out; return what undoes it."""
    return [
        replace_attribute(os, name, _guarded(name, getattr(os, name)))
        for name in ("chdir", "fchdir")
        if hasattr(os, name)
    ]


def _guarded(name: str, previous: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(previous)
    def change(path: Any) -> None:
        state = current()
        if state is None or state.is_forked():
            previous(path)
            return
        claim(
            state.context,
            _KEY,
            "the current directory",
            action=f"os.{name}({path!r})",
            instead="use absolute paths, such as those of self.tmp_path, or the option cwd= of subprocess",
        )
        _move(state, lambda: previous(path))

    change.__module__ = "os"  # Not where C has it: there pickle would find another.
    return change


def _move(state: State, move: Callable[[], None]) -> None:
    before = None if _KEY in state.undos else _present()
    try:
        move()
    except BaseException:
        if _KEY not in state.undos:
            release(state.context, _KEY)
        raise
    if before is not None:
        state.undos[_KEY] = _Return(state, before)
    home = state.undos[_KEY]
    if isinstance(home, _Return) and _present() == home.path:
        del state.undos[_KEY]
        release(state.context, _KEY)


def _present() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""  # Somebody has removed it, and it has no name any more.


class _Return:
    """Goes back to where the process was before the test."""

    __slots__ = ("_state", "path")

    def __init__(self, state: State, path: str) -> None:
        self._state = state
        self.path = path

    def __call__(self) -> None:
        try:
            if self.path:
                _chdir(self.path)
        finally:
            release(self._state.context, _KEY)
