"""What a forked process does at its end: what was registered in it, and nothing of what its parent registered."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from typing import Any, NoReturn

from supertester.runner.capture import flush

__all__ = ["forget_inherited", "leave"]


def forget_inherited() -> None:
    """Leave to the parent what it wanted to do at its end, such as to remove its temporary folders."""
    atexit._clear()
    finalize: Any = weakref.finalize
    for info in list(getattr(finalize, "_registry", {}).values()):
        info.atexit = False
    if getattr(finalize, "_registered_with_atexit", False):
        atexit.register(finalize._exitfunc)
    # Whoever has not loaded it by now registers itself.
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util._finalizer_registry.clear()
        atexit.register(util._exit_function)


def leave(status: int = 0) -> NoReturn:
    """Do what has been registered to be done at the end, and end; threads that are left are not waited for."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    flush()
    os._exit(status)
