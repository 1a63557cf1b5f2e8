"""Modules that import what they offer when it is first asked for."""

from __future__ import annotations

import importlib
import sys
import tempfile
import threading
import types
import unittest
from fractions import Fraction
from pathlib import Path
from textwrap import dedent
from typing import Any

from supertester._core.lazy import lazy_attributes, loaded_when_used


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


class TestLoadedWhenUsed(unittest.TestCase):
    """Modules of the names ``planted_later...`` in a folder, which note that they are run."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        sys.path.append(folder.name)
        self.addCleanup(sys.path.remove, folder.name)
        self.ran: list[str] = []
        setattr(types, f"planted_{id(self)}", self.ran)
        self.addCleanup(delattr, types, f"planted_{id(self)}")

    def module(self, code: str = "") -> Any:
        """Return what there is of a new module that says ``value = 7``, after it was imported twice."""
        name = f"planted_later_{id(self)}"
        path = self.folder / f"{name}.py"
        path.write_text(f"import types\ntypes.planted_{id(self)}.append(__name__)\n{dedent(code)}\nvalue = 7\n")
        importlib.invalidate_caches()
        with loaded_when_used(name):
            importlib.import_module(name)
        self.addCleanup(sys.modules.pop, name)
        return __import__(name)

    def test_runs_a_module_at_the_first_use_and_once(self) -> None:
        module = self.module()
        self.assertEqual(self.ran, [])
        self.assertEqual((module.value, module.value, self.ran), (7, 7, [module.__name__]))
        self.assertIs(type(module), types.ModuleType)
        self.assertIs(module.__spec__.loader, module.__loader__)
        self.assertIn("value = 7", module.__loader__.get_source(module.__name__))
        with self.assertRaisesRegex(AttributeError, f"module '{module.__name__}' has no attribute 'other'"):
            module.other  # noqa: B018

    def test_what_is_not_in_it_is_not_there_at_its_first_use_either(self) -> None:
        module = self.module()
        with self.assertRaisesRegex(AttributeError, "has no attribute 'other'"):
            module.other  # noqa: B018
        self.assertEqual((module.value, len(self.ran)), (7, 1))

    def test_two_threads_may_use_it_first(self) -> None:
        module = self.module("""
            import threading
            begun = threading.Event()
            threading.Thread(target=begun.set).start()
            begun.wait()  # So that others run meanwhile.
        """)
        together = threading.Barrier(4)
        found: list[int] = []

        def use() -> None:
            together.wait()
            found.append(module.value)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((found, len(self.ran)), ([7] * 4, 1))

    def test_one_that_fails_does_so_at_each_use(self) -> None:
        module = self.module("raise OSError('planted')")
        for _ in range(2):
            with self.assertRaisesRegex(OSError, "planted"):
                module.value  # noqa: B018
        self.assertEqual(len(self.ran), 2)

    def test_while_it_runs_it_may_be_used_as_far_as_it_is(self) -> None:
        module = self.module("""
            import sys
            early, own = 1, sys.modules[__name__]
            seen = own.early, hasattr(own, "value")
        """)
        self.assertEqual((module.seen, module.value, len(self.ran)), ((1, False), 7, 1))

    def test_leaves_what_is_loaded_as_it_is(self) -> None:
        with loaded_when_used("fractions"):
            import fractions
        self.assertIs(type(fractions), types.ModuleType)
        self.assertIs(fractions.Fraction, Fraction)

    def test_what_is_not_to_be_had_cannot_be_imported(self) -> None:
        with loaded_when_used("planted_nowhere"), self.assertRaises(ModuleNotFoundError):
            importlib.import_module("planted_nowhere")
