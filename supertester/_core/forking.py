"""Locks in processes that are forked while another thread holds one."""

from __future__ import annotations

import os
from typing import TypeVar

__all__ = ["free_in_children"]

L = TypeVar("L")


def free_in_children(lock: L) -> L:
    """Return *lock*, which a process that is forked from now on gets free, whoever holds it in this one.

    The thread that holds it is not in the child, so nobody there would ever release it. For locks that live as long as
    the process, as this cannot be undone; a `threading.Lock`, ``RLock`` or ``Condition``.

    >>> import threading
    >>> lock = free_in_children(threading.Lock())
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)  # type: ignore[attr-defined]
    return lock
