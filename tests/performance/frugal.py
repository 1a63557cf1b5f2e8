"""Whoever looks for leaks collects garbage again and again, and in the tests' own process there is much to look at."""

from __future__ import annotations

import gc
import unittest

__all__ = ["frugal"]


def frugal(case: unittest.TestCase) -> None:
    """Let the collector leave out, in *case*, what was there before; it has to run alone."""
    if not gc.get_freeze_count():
        gc.freeze()
        case.addCleanup(gc.unfreeze)
