"""The functions of ``random`` draw from what providers provide, for whom they provide it."""

from __future__ import annotations

import random
import threading
import unittest
from random import Random

from supertester._core.random_routing import route_random


class TestRouting(unittest.TestCase):
    def setUp(self) -> None:
        thread = threading.get_ident()
        self.own: dict[str, Random | None] = {"early": None, "late": None}

        def provide(name):
            return lambda: self.own[name] if threading.get_ident() == thread else None

        self.addCleanup(route_random(provide("late"), first=True))
        self.addCleanup(route_random(provide("early"), first=True))

    def test_the_first_that_has_one_provides_it(self) -> None:
        self.own.update(early=Random(1), late=Random(2))
        self.assertEqual(random.random(), Random(1).random())
        self.own["early"] = None
        self.assertEqual(random.randint(0, 99), Random(2).randint(0, 99))

    def test_all_functions_are_routed(self) -> None:
        self.own["early"] = Random(1)
        random.seed(5)
        expected = Random(5)
        self.assertEqual(random.getstate(), expected.getstate())
        self.assertEqual(random.gauss(0, 1), expected.gauss(0, 1))
        self.assertEqual(random.gauss(0, 1), expected.gauss(0, 1))
        self.assertEqual(random.getrandbits(9), expected.getrandbits(9))
        random.setstate(Random(6).getstate())
        self.assertEqual(random.choice(range(99)), Random(6).choice(range(99)))

    def test_others_draw_from_what_they_always_did(self) -> None:
        self.own["early"] = Random(1)
        found: list[float] = []
        thread = threading.Thread(target=lambda: found.extend([random.random(), random.random()]))
        thread.start()
        thread.join()
        self.assertNotEqual(found[0], Random(1).random())
        self.assertEqual(random.random(), Random(1).random())
