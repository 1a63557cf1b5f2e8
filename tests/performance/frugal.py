"""Whoever measures memory collects garbage again and again, and in the tests' own process there is much to look at."""

from __future__ import annotations

import gc
import unittest

__all__ = ["frugal"]


def frugal(case: unittest.TestCase) -> None:
    """Let the collector leave out, in *case*, what was there before.

    That is for the whole process, so *case* has to run alone, unless it is left out for all tests already, as where they
    run in threads; then nothing is done.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        case.addCleanup(gc.unfreeze)
