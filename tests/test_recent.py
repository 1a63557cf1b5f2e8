"""The collector of recent garbage finds what a whole collection finds."""

from __future__ import annotations

import gc
import sys
import unittest
import weakref

from tests.alone import alone
from tests.recent import Recent


class Ring:
    def __init__(self) -> None:
        self.ring = self


@alone("counts collections of the process")
class TestRecent(unittest.TestCase):
    def setUp(self) -> None:
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()

    def test_garbage_that_is_young_is_found_among_the_young(self) -> None:
        recent = Recent()
        ring = weakref.ref(Ring())
        self.assertIsNotNone(ring())
        self.assertEqual(recent.collect(), sys.version_info < (3, 14))
        self.assertIsNone(ring())

    def test_garbage_that_survived_a_collection_is_found_among_the_old(self) -> None:
        recent, kept = Recent(), Ring()
        ring = weakref.ref(kept)
        gc.collect(1)
        del kept
        self.assertFalse(recent.collect())
        self.assertIsNone(ring())


if __name__ == "__main__":
    unittest.main()
