"""How to wait for a process of `multiprocessing` beside others that use it."""

from __future__ import annotations

import os
from multiprocessing.process import BaseProcess

__all__ = ["join_and_close"]


def join_and_close(child: BaseProcess) -> None:
    """Wait until *child* has ended, and close it.

    Whoever starts a process asks, for all that there are, whether they have ended. In another thread they may have done
    so for *child*, and not yet noted the answer: then it can be waited for no longer, and `join` returns at once.
    """
    child.join()
    while child.exitcode is None:
        os.sched_yield()
    child.close()
