"""Modules that import what they offer when it is first asked for."""

from __future__ import annotations

import sys
import types
import unittest
from fractions import Fraction

from supertester._core.lazy import lazy_attributes


class TestLazyAttributes(unittest.TestCase):
    def setUp(self) -> None:
        self.module = types.ModuleType("tests.core.planted_lazy_module")
        sys.modules[self.module.__name__] = self.module
        self.addCleanup(sys.modules.pop, self.module.__name__)
        self.module.__getattr__ = lazy_attributes(self.module.__name__, {"Fraction": "fractions"})  # type: ignore[method-assign]

    def test_are_imported_once(self) -> None:
        self.assertNotIn("Fraction", vars(self.module))
        self.assertIs(self.module.Fraction, Fraction)
        self.assertIs(vars(self.module)["Fraction"], Fraction)

    def test_others_are_said_not_to_be_there(self) -> None:
        with self.assertRaisesRegex(AttributeError, "module 'tests.core.planted_lazy_module' has no attribute 'other'"):
            self.module.other  # noqa: B018
