"""What the operating system has to offer, said before anything fails strangely for the lack of it."""

from __future__ import annotations

import os

from supertester.errors import Unsupported

__all__ = ["need_posix"]


def need_posix(what: str, needs: str, *, system: str = os.name) -> None:
    """Refuse *what* where there is no POSIX.

    Raises:
        Unsupported: This system has not got what is needed.

    >>> need_posix("start_process()", "process groups", system="nt")
    Traceback (most recent call last):
        ...
    supertester.errors.Unsupported: start_process() needs process groups, which this system (nt) does not have
    """
    if system != "posix":
        raise Unsupported(f"{what} needs {needs}, which this system ({system}) does not have")
