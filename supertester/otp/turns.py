"""Turns of processes on asyncio's own loops, put there without the checks of ``call_soon``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supertester.otp.process import Process

__all__ = ["Turn", "takes_turns"]

_OWN = {name: getattr(asyncio.BaseEventLoop, name) for name in ("call_soon", "_call_soon")}


def takes_turns(loop: Any) -> bool:
    """Say whether *loop* puts what it is to run at the end of its ``_ready``, and nobody watches how it gets there."""
    return hasattr(loop, "_ready") and all(
        getattr(getattr(loop, name), "__func__", None) is _OWN[name] for name in _OWN
    )


class Turn(asyncio.Handle):
    """A turn of *process*: the handle that ``loop.call_soon(process.run, context=process.context)`` would return.

    It takes one call instead of six; loops are full of these.
    """

    __slots__ = ()

    def __init__(self, process: Process, loop: asyncio.AbstractEventLoop) -> None:
        self._context = process.context
        self._loop = loop
        self._callback = process.run
        self._args = ()
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
