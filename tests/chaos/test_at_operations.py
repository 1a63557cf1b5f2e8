"""Chaos at so many operations, in tasks and in threads."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from supertester.chaos import at_operations, inject_crash
from supertester.errors import UsageError
from supertester.performance import run_load
from tests.chaos.processes import ChildCase


class TestAtOperations(ChildCase):
    async def asyncSetUp(self) -> None:
        self.seen: list[str] = []

    async def fault(self) -> None:
        await asyncio.sleep(0)
        self.seen.append("fault")

    async def test_an_async_operation_waits_for_the_fault(self) -> None:
        async def operation(name: str) -> str:
            self.seen.append(name)
            return name

        operation = at_operations(operation, {2: self.fault, 3: lambda: self.seen.append("plain")})
        self.assertEqual([await operation(name) for name in "abc"], ["a", "b", "c"])
        self.assertEqual(self.seen, ["a", "fault", "b", "plain", "c"])

    async def test_a_load_whose_worker_dies_at_the_fifth_request(self) -> None:
        child = self.child()
        injections: list[Any] = []

        async def crash() -> None:
            injections.append(await inject_crash(child, "immediate"))

        def request() -> None:
            if self.ask(child, "1 + 1") != "did 2":
                raise ConnectionError("no answer")

        report = await run_load(at_operations(request, {5: crash}), users=1, rate=200, duration=0.1)
        self.assertEqual((report.succeeded, report.operations), (4, 20))
        self.assertEqual((child.poll(), len(injections)), (-signal.SIGKILL, 1))

    async def test_what_is_refused(self) -> None:
        wrong: list[tuple[Any, type[Exception], str]] = [
            ({}, UsageError, "there is no fault; give"),
            ({0: self.fault}, UsageError, "must be 1 or more"),
            ({1.5: self.fault}, TypeError, "must be a whole number"),
            ({1: "crash"}, TypeError, "the fault of run 1 must be a function, got 'crash'"),
        ]
        for faults, kind, message in wrong:
            with self.subTest(faults), self.assertRaisesRegex(kind, message):
                at_operations(print, faults)
        operation = at_operations(lambda: None, {1: self.fault})
        with self.assertRaisesRegex(UsageError, "is not async and runs in the event loop, so it cannot wait"):
            operation()
