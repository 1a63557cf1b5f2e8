"""Figures on test cases: what a test that does nothing costs."""

from __future__ import annotations

import asyncio
import unittest
from time import perf_counter

from benchmarks.measure import Compared, Figure, Subject
from supertester import IsolatedTestCase

__all__ = ["figures", "run_cases"]


class _Stock(unittest.IsolatedAsyncioTestCase):
    async def test(self) -> None: ...


class _StockWithoutDebug(_Stock):
    """The stock case without asyncio's debug mode, which it turns on and we do not."""

    def _setupAsyncioRunner(self) -> None:  # noqa: N802 - the name is that of the base class
        self._asyncioRunner = asyncio.Runner()


class _Basic(IsolatedTestCase, isolation="basic"):
    async def test(self) -> None: ...


class _Registry(IsolatedTestCase, isolation="registry"):
    async def test(self) -> None: ...


class _Full(IsolatedTestCase, isolation="full_isolation"):
    async def test(self) -> None: ...


class _StockSync(unittest.TestCase):
    def test(self) -> None: ...


class _RegistrySync(IsolatedTestCase, isolation="registry"):
    def test(self) -> None: ...


class _FullSync(IsolatedTestCase, isolation="full_isolation"):
    def test(self) -> None: ...


def run_cases(cls: type[unittest.TestCase], units: int) -> float:
    """Return the seconds per test of a suite of *units* tests of *cls*, all of which have to pass."""
    suite = unittest.TestSuite(cls("test") for _ in range(units))
    result = unittest.TestResult()
    begun = perf_counter()
    suite.run(result)
    taken = perf_counter() - begun
    if result.testsRun != units or not result.wasSuccessful():
        raise RuntimeError(f"a test that does nothing failed:\n{[*result.failures, *result.errors]}")
    return taken / units


def _subject(name: str, cls: type[unittest.TestCase], units: int, goal: float | None = None) -> Subject:
    return Subject(name=name, run=lambda units: run_cases(cls, units), units=units, goal=goal)


def figures() -> list[Figure]:
    stock, stock_sync = "IsolatedAsyncioTestCase", "TestCase"
    return [
        Figure(
            name="async-case",
            title="an async test that does nothing",
            unit="test",
            reference=stock,
            compared=Compared.COST,
            subjects=[
                _subject(stock, _Stock, 500),
                _subject("the same without asyncio's debug mode", _StockWithoutDebug, 500),
                _subject("IsolatedTestCase, basic", _Basic, 500),
                _subject("IsolatedTestCase, registry", _Registry, 500, goal=0.4),
                _subject("IsolatedTestCase, full_isolation", _Full, 500, goal=0.4),
            ],
        ),
        Figure(
            name="sync-case",
            title="a plain test that does nothing",
            unit="test",
            reference=stock_sync,
            compared=Compared.ADDED,
            subjects=[
                _subject(stock_sync, _StockSync, 2_000),
                _subject("IsolatedTestCase, registry", _RegistrySync, 500),
                _subject("IsolatedTestCase, full_isolation", _FullSync, 500, goal=100e-6),
            ],
        ),
    ]
