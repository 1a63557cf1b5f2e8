"""Coroutines that a test created and never awaited.

Python tells of one when it goes away; `hooks` hears that. One that is still held at the end of the test, by an
attribute or by a reference cycle, would be told of much later, to the wrong test. `Watch` finds it in time without a
full collection of garbage.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from itertools import chain, compress, repeat
from operator import is_
from threading import get_ident
from types import CoroutineType
from typing import Any

from supertester._core.origin import creation_file
from supertester.context import IsolationContext
from supertester.isolation import hooks
from supertester.isolation.identity import is_alone
from supertester.isolation.tasks import is_about_to_begin

__all__ = ["Watch"]

_LOOKS = 10
"""How often to look again where other threads made and freed objects meanwhile."""

_IMMORTAL = 1 << 29
"""Python tells at least this as the number of references to an object that it never frees, and does not count."""

_watches: dict[int, tuple[int, int]] = {}
"""For each thread with tests: how many watches, and how many frames Python noted before the first."""


class Watch:
    """Notes where coroutines are created in this thread, and finds the forgotten ones.

    Args:
        context: The test; its ``source`` has to be the very string object that the code objects of the file hold.
    """

    __slots__ = ("_before", "_context", "_filename", "_references", "_started", "_thread")

    def __init__(self, context: IsolationContext) -> None:
        self._context = context
        self._thread = get_ident()
        users, depth = _watches.get(self._thread) or (0, sys.get_coroutine_origin_tracking_depth())
        _watches[self._thread] = (users + 1, depth)
        # Asked anew, because asyncio's debug mode, switched off meanwhile, takes its frames away, and ours with them.
        if sys.get_coroutine_origin_tracking_depth() < 1:
            # One frame is enough to name the line and costs 80 ns per coroutine; the debug mode notes ten.
            sys.set_coroutine_origin_tracking_depth(1)
        self._filename = context.source
        self._references = self._before = sys.maxsize
        self._started = 0

    def begin(self) -> None:
        """Remember how often the file is referred to.

        Every coroutine that code of this file created holds a reference to the file's name, in its ``cr_origin``. So
        one number tells whether there is anything to look for. Not part of ``__init__``, whose frames hold references
        too.

        From Python 3.13 on the name of a file that comes from a cache of bytecode is immortal, and nobody counts. Then
        it takes a look, and what is older is taken out of its way: the youngest objects are soon searched if they are
        those of one test.
        """
        if self._filename is None:
            return
        hooks.listen_to_collector(self._collecting)  # First: what is freed between the two would be missed later.
        self._references = sys.getrefcount(self._filename)
        if self._references >= _IMMORTAL:
            self._references = -1
            if gc.isenabled() and is_alone():
                gc.collect(0)
        self._started = hooks.collections()

    def _collecting(self, phase: str) -> None:
        """Leave out of account what the collector frees: that may be litter of earlier tests."""
        if phase == "start":
            self._before = sys.getrefcount(self._filename)
        else:
            self._references -= max(self._before - sys.getrefcount(self._filename), 0)

    def close(self) -> None:
        """Let Python note as much as before the first watch of the thread."""
        hooks.ignore_collector(self._collecting)
        users, depth = _watches[self._thread]
        if users > 1:
            _watches[self._thread] = (users - 1, depth)
        else:
            del _watches[self._thread]
            sys.set_coroutine_origin_tracking_depth(depth)

    def look(self) -> None:
        """Report the coroutines that code of the test's file created and nobody has begun, and close them."""
        # Beside other tests it would not be known whose they are.
        if sys.getrefcount(self._filename) <= self._references or not is_alone():
            return
        filename, generation = self._filename, 0
        while generation <= hooks.collections_since(self._started):  # Asked anew: a look may make the collector run.
            for each in _coroutines(generation):
                if _is_forgotten(each, filename) and not _is_wanted(each):
                    self._context.report(hooks.unawaited_problem(each))
                    each.close()
            generation += 1


def _coroutines(generation: int) -> list[Any]:
    """Return the coroutines of a *generation* of the collector.

    No thread may go on while all objects are held here: one in the middle of ``tuple(iterator)`` fails where somebody
    else holds its unfinished tuple. So each of the two looks is one call that runs no bytecode; the first says where
    coroutines are, the second takes what is there. Where other threads changed the order meanwhile, both are repeated.
    """
    for _ in range(_LOOKS):
        wanted = list(map(is_, map(type, _objects(generation)), repeat(CoroutineType)))
        found = list(compress(_objects(generation), chain(wanted, repeat(None)))) if True in wanted else []
        if len(found) == sum(wanted) and all(type(each) is CoroutineType for each in found):
            return found
    return []


def _objects(generation: int) -> Iterator[Any]:
    """Yield the objects of a *generation*, asked for with the first; used up, it holds none of them any more."""
    return chain.from_iterable(map(gc.get_objects, (generation,)))


def _is_wanted(coroutine: Any) -> bool:
    """Say whether somebody is about to begin *coroutine*, in another thread, which is in no test: a frame or a loop."""
    holders = gc.get_referrers(coroutine)
    # Frames of functions do not count as holders. Three of them are those of the caller, of this function, and of the
    # one that counts; any other runs in another thread.
    on_stacks = sys.getrefcount(coroutine) - len(holders) - 3
    return on_stacks > 0 or any(each.__class__ is CoroutineType for each in holders) or is_about_to_begin(coroutine)


def _is_forgotten(coroutine: Any, filename: str | None) -> bool:
    return (
        creation_file(coroutine) is filename
        and coroutine.cr_frame is not None
        and not coroutine.cr_running
        and not coroutine.cr_suspended
    )
