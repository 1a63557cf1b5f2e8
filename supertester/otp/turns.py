"""Turns of processes on asyncio's own loops, put there without the checks of ``call_soon``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supertester.otp.process import Process

__all__ = ["Turn", "takes_turns"]


def takes_turns(loop: Any) -> bool:
    """Say whether *loop* runs what is put at the end of its ``_ready``, just as ``call_soon`` would put it there."""
    return getattr(type(loop), "call_soon", None) is asyncio.BaseEventLoop.call_soon and hasattr(loop, "_ready")


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
