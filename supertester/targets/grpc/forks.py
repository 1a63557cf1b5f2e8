"""Notices processes that are forked while there are gRPC channels: in the child they are of no use.

A test answers for its own, and for those that belong to no test: its child has nothing to do with those of a neighbour.
What is started otherwise, by ``subprocess`` or by ``multiprocessing`` with ``spawn``, is no fork.
"""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from supertester.context import IsolationContext, Problem, current_context

__all__ = ["watch"]

# By their ids, as the references in such a dictionary can be had in one step, while other threads add to it.
_open_in: WeakKeyDictionary[IsolationContext, WeakValueDictionary[int, Any]] = WeakKeyDictionary()
_open_anywhere: WeakValueDictionary[int, Any] = WeakValueDictionary()
_watching: list[int] = []


def watch(thing: Any) -> None:
    """Let forks be a problem of the test as long as *thing* is there and its ``is_closed`` is false."""
    context = current_context.get()
    (_open_anywhere if context is None else _open_in.setdefault(context, WeakValueDictionary()))[id(thing)] = thing
    if not _watching and hasattr(os, "register_at_fork"):
        _watching.append(os.getpid())
        os.register_at_fork(before=_before_fork)  # This cannot be undone, so it is done once.


def _before_fork() -> None:
    context = current_context.get()
    if context is None or os.environ.get("GRPC_ENABLE_FORK_SUPPORT") in {"1", "true", "yes"}:
        return
    known = [*_open_anywhere.valuerefs(), *(_open_in[context].valuerefs() if context in _open_in else ())]
    found = [repr(each) for reference in known if (each := reference()) is not None and not each.is_closed]
    if found:
        context.report(
            Problem(
                "fork",
                f"a process was forked while gRPC was in use ({', '.join(sorted(found))}): in the child, calls fail or "
                "hang; start it by subprocess or by multiprocessing's 'spawn'",
            )
        )
