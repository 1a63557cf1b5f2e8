"""Whoever measures memory collects garbage again and again, and in the tests' own process there is much to look at."""

from __future__ import annotations

import gc
import unittest

__all__ = ["frugal"]

_AT_FIRST = gc.get_freeze_count()
"""How many objects are left out already: Python 3.12 begins with some."""


def frugal(case: unittest.TestCase) -> None:
    """Let the collector leave out, in *case*, what was there before.

    That is for the whole process, so *case* has to run alone, unless all tests have it left out already, as where they
    run in threads; then nothing is done.
    """
    if gc.get_freeze_count() <= _AT_FIRST:
        gc.freeze()
        case.addCleanup(gc.unfreeze)
