"""What the library has put into the process, kept so that `uninstall` can take all of it out again.

Nothing is put in or taken out per test: what a test needs is put in place when the first one needs it, asks the context
whose test it serves, and stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from supertester._core.forking import free_in_children
from supertester._core.replacing import Undo, replace_attribute

__all__ = ["Undo", "install_once", "is_installed", "replace_attribute", "uninstall"]

_undo: dict[Callable[[], Undo], Undo] = {}
_lock = free_in_children(threading.RLock())


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


def uninstall() -> None:
    """Take everything out of the process that the library has put into it; the next test puts in what it needs.

    For programs that go on after their tests. What somebody else has wrapped since stays, and does nothing of its own.

    >>> uninstall()
    """
    with _lock:
        while _undo:
            _, undo = _undo.popitem()
            undo()
