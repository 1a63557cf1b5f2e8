"""What would be different in every run, put under the control of the schedule: order, randomness, time.

All of it is decided at each call, by who calls: code of an explored program gets what its seed says, other threads and
other loops get what they always got, at the same moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from supertester._core.exploring import controlled_threads, current, served_by
from supertester._core.forking import free_in_children
from supertester._core.replacing import Undo
from supertester.schedule.control import clocks, guards, ordered_set, probes, randomness

__all__ = ["controlled_entropy", "current", "served_by"]

_lock = free_in_children(threading.Lock())
_undos: list[Undo] = []


@contextmanager
def controlled_entropy() -> Iterator[None]:
    """While this is open, programs of `ExploringLoop` in this thread are the same in every run and process.

    For them,

    - ``as_completed``, ``wait`` and ``TaskGroup`` take tasks in the order in which they were made;
    - the functions of ``random``, unseeded ``random.Random()``, ``os.urandom``, ``secrets`` and ``uuid`` draw from the
      seed of the loop;
    - ``time.time``, ``monotonic``, ``perf_counter`` and their kin tell virtual time, and ``time.sleep`` lets it pass;
    - starting threads or processes and connecting sockets is a `UsageError`.

    Open it around many schedules: that costs about a millisecond. What stays outside: the order of sets of strings
    (``PYTHONHASHSEED``) and of other objects (their addresses), ``datetime.now()``, and what other packages draw by
    themselves.

    >>> import random
    >>> from supertester.schedule.exploring_loop import ExploringLoop
    >>> from supertester.schedule.strategies import Fifo
    >>> async def draw():
    ...     return random.random()
    >>> with controlled_entropy():
    ...     ExploringLoop(Fifo(), seed=7).run(draw()) == ExploringLoop(Fifo(), seed=7).run(draw())
    True
    """
    probes.check()
    thread = threading.get_ident()
    with _lock:
        if not controlled_threads:
            _install()
        controlled_threads[thread] += 1
    try:
        yield
    finally:
        with _lock:
            controlled_threads[thread] -= 1
            if not controlled_threads[thread]:
                del controlled_threads[thread]
            if not controlled_threads:
                _uninstall()


def _install() -> None:
    for part in (ordered_set, randomness, clocks, guards):
        _undos.extend(part.install())


def _uninstall() -> None:
    while _undos:
        _undos.pop()()
