"""What runs as a whole in one thread: a test, or the tests that share a fixture."""

from __future__ import annotations

import doctest
import sys
import unittest
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from supertester.case import IsolatedTestCase
from tests.alone import reason_to_be_alone

__all__ = ["Unit", "units_of"]

_CLASS_FIXTURES = ("setUpClass", "tearDownClass", "asyncSetUpClass", "asyncTearDownClass")


@dataclass(frozen=True)
class Unit:
    """Tests of one class, or of one module where the module has a fixture."""

    name: str
    tests: tuple[tuple[type[unittest.TestCase], str], ...]
    alone: str | None
    """Why it cannot run beside others, or ``None``."""

    def suite(self, random: Random | None = None) -> unittest.TestSuite:
        """Return new instances of the tests, in random order."""
        tests = list(self.tests)
        if random is not None:
            random.shuffle(tests)
            tests.sort(key=lambda test: (test[0].__module__, test[0].__qualname__))  # Fixtures go by class.
        return unittest.TestSuite(cls(name) for cls, name in tests)


def units_of(names: Sequence[str]) -> list[Unit]:
    """Return the units of the modules, packages, classes or tests called *names*."""
    groups: dict[str, list[tuple[type[unittest.TestCase], str]]] = {}
    for test in _flat(_loaded(name) for name in names):
        cls, name = type(test), test._testMethodName
        groups.setdefault(_group(cls, name), []).append((cls, name))
    units = []
    for group, tests in groups.items():
        reasons = [reason for cls, name in tests if (reason := reason_to_be_alone(cls, name))]
        units.append(Unit(group, tuple(tests), reasons[0] if reasons else None))
    return units


def _loaded(name: str) -> unittest.TestSuite:
    loader = unittest.TestLoader()
    try:
        suite = loader.loadTestsFromName(name)
    except unittest.SkipTest:
        return unittest.TestSuite()  # It lacks something that it needs.
    if hasattr(sys.modules.get(name), "__path__") and not suite.countTestCases():
        return loader.discover(name.replace(".", "/"), top_level_dir=".")
    return suite


def _flat(suites: Iterable[unittest.TestSuite | unittest.TestCase]) -> Iterator[unittest.TestCase]:
    for each in suites:
        if isinstance(each, unittest.TestCase):
            # Not a module that was skipped; nor examples of docstrings, which print to the stream of the process.
            if type(each).__module__ != "unittest.loader" and not isinstance(each, doctest.DocTestCase):
                yield each
        else:
            yield from _flat(each)


def _group(cls: type[unittest.TestCase], name: str) -> str:
    module = sys.modules[cls.__module__]
    if hasattr(module, "setUpModule") or hasattr(module, "tearDownModule"):
        return cls.__module__
    if any(_overrides(cls, fixture) for fixture in _CLASS_FIXTURES):
        return f"{cls.__module__}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}.{name}"


def _overrides(cls: type[unittest.TestCase], fixture: str) -> bool:
    base = IsolatedTestCase if issubclass(cls, IsolatedTestCase) else unittest.TestCase
    own, stock = getattr(cls, fixture, None), getattr(base, fixture, None)
    return getattr(own, "__func__", own) is not getattr(stock, "__func__", stock)
