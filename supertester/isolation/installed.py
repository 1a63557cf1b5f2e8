"""What the library has put into the process, kept so that `uninstall` can take all of it out again.

Nothing is put in or taken out per test: what a test needs is put in place when the first one needs it, asks the context
whose test it serves, and stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["install_once", "is_installed", "replace_attribute", "uninstall"]

Undo = Callable[[], object]
_undo: dict[Callable[[], Undo], Undo] = {}
_lock = threading.RLock()


def install_once(install: Callable[[], Undo]) -> None:
    """Call *install*, unless it was called since the last `uninstall`; it returns what undoes it.

    The call after the first costs one look into a dict.
    """
    if install in _undo:
        return
    with _lock:
        if install not in _undo:
            _undo[install] = install()


def is_installed(install: Callable[[], Undo]) -> bool:
    """Say whether `install_once` was called with *install*, and `uninstall` not since."""
    return install in _undo


def replace_attribute(holder: Any, name: str, replacement: Any) -> Undo:
    """Set an attribute; the function returned puts back what was there, unless somebody replaced ours since.

    For an `install` to return. A replacement must call what it replaces: others may have replaced it before.
    """
    previous = getattr(holder, name)
    setattr(holder, name, replacement)

    def undo() -> None:
        if getattr(holder, name) is replacement:
            setattr(holder, name, previous)

    return undo


def uninstall() -> None:
    """Take everything out of the process that the library has put into it; the next test puts in what it needs.

    For programs that go on after their tests. What somebody else has wrapped since stays, and does nothing of its own.

    >>> uninstall()
    """
    with _lock:
        while _undo:
            _, undo = _undo.popitem()
            undo()
