"""Faults at every failpoint, and a cancellation at every await."""

from __future__ import annotations

import asyncio
import json
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.chaos import cancel_at_every_await, check_cancellation_safe, exhaust_failpoints, journaled
from supertester.errors import UsageError
from supertester.failpoints import InjectedFault, async_failpoint, failpoint
from supertester.mixins.chaos import ChaosMixin
from supertester.testing import inner_case, run_inner
from tests.otp.support import RuntimeCase


class Account:
    """Keeps money, and a lock that a careless transfer forgets to release."""

    def __init__(self, *, careful: bool) -> None:
        self.careful = careful
        self.locked = False

    async def transfer(self) -> None:
        await asyncio.sleep(0)
        self.locked = True
        if self.careful:
            try:
                await asyncio.sleep(0)
            finally:
                self.locked = False
        else:
            await asyncio.sleep(0)
            self.locked = False

    async def stubborn(self) -> str:
        try:
            await asyncio.Event().wait() if self.locked else await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "went on"
        return "done"


class TestFailpoints(RuntimeCase):
    async def test_every_hit_fails_once(self) -> None:
        async def save() -> int:
            written = 0
            for _ in range(2):
                await async_failpoint("write")
                written += 1
            try:
                failpoint("sync")
            except InjectedFault:
                return -1
            return written

        runs = await exhaust_failpoints(save)
        self.assertEqual([run.faults for run in runs], [(), (("write", 1),), (("write", 2),), (("sync", 1),)])
        self.assertEqual([run.result for run in runs], [2, None, None, -1])
        self.assertEqual([run.handled for run in runs], [True, False, False, True])
        self.assertIsInstance(runs[1].error, InjectedFault)
        self.assertEqual(json.loads(json.dumps(runs[3].to_dict()))["hits"], ["write", "write", "sync"])

    async def test_several_faults_in_a_run_those_on_the_way_out_included(self) -> None:
        def retry() -> str:
            for _ in range(3):
                try:
                    failpoint("send")
                except OSError:
                    continue
                return "sent"
            return "gave up"

        with journaled() as journal:
            runs = await exhaust_failpoints(retry, raises="OSError", max_faults=3)
        self.assertEqual([run.result for run in runs], ["sent", "sent", "sent", "gave up"])
        self.assertEqual(runs[-1].faults, (("send", 1), ("send", 2), ("send", 3)))
        self.assertEqual(len(journal.events), 6)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "passes no failpoint, so there is nothing to exhaust"):
            await exhaust_failpoints(lambda: None)
        with self.assertRaisesRegex(UsageError, "more than limit=1 runs"):
            await exhaust_failpoints(lambda: failpoint("a"), limit=1)
        with self.assertRaisesRegex(UsageError, "must be 1 or more, got max_faults=0"):
            await exhaust_failpoints(lambda: failpoint("a"), max_faults=0)


class TestCancellation(RuntimeCase):
    async def test_at_every_await(self) -> None:
        async def inner() -> None:
            await asyncio.sleep(0)

        async def outer() -> str:
            await inner()
            await asyncio.wait_for(asyncio.sleep(0), 10)
            return "done"

        with journaled() as journal:
            runs = await cancel_at_every_await(outer)
        self.assertEqual([run.outcome for run in runs], ["returned", *["cancelled"] * (len(runs) - 1)])
        self.assertRegex(runs[1].place, r"test_exhaustive.py:\d+ in inner")
        self.assertRegex(runs[2].place, r"test_exhaustive.py:\d+ in outer")
        self.assertEqual([event.details["await"] for event in journal.events], list(range(len(runs) - 1)))
        self.assertEqual(json.loads(json.dumps(runs[1].to_dict()))["index"], 0)

    async def test_what_does_not_end_is_told_of_instead_of_waited_for(self) -> None:
        async def deaf() -> None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        mismatch = await check_cancellation_safe(deaf, timeout=0.01)
        self.assertRegex(
            str(mismatch), r"1 of 1 cancellations did not end it\n  1. await 0, .* in deaf: stuck 'for 0.01 s'"
        )
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more seconds"):
            await check_cancellation_safe(deaf, timeout=-1)

    async def test_what_cannot_be_awaited_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "must return a coroutine, got 3"):
            await cancel_at_every_await(lambda: 3)  # type: ignore[arg-type, return-value]

    async def test_what_is_not_released(self) -> None:
        for careful in (True, False):
            account = Account(careful=careful)

            def check(account: Account = account) -> None:
                assert not account.locked, "still locked"

            mismatch = await check_cancellation_safe(account.transfer, check)
            if careful:
                self.assertIsNone(mismatch)
            else:
                self.assertRegex(
                    str(mismatch), r"still locked\nafter the run that was cancelled at await 1, .*:\d+ in transfer"
                )

    async def test_who_goes_on(self) -> None:
        mismatch = await check_cancellation_safe(Account(careful=True).stubborn)
        self.assertRegex(
            str(mismatch), r"1 of 1 cancellations did not end it\n  1\. await 0, .* in stubborn: swallowed 'went on'"
        )

    async def test_who_raises_something_else(self) -> None:
        async def confused() -> None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                raise OSError("confused") from None

        self.assertIn("raised OSError('confused')", str(await check_cancellation_safe(confused)))

    async def test_who_fails_anyhow(self) -> None:
        async def fail() -> None:
            raise OSError("planted")

        self.assertIn("it fails without being cancelled: OSError('planted')", str(await check_cancellation_safe(fail)))

    async def test_too_many(self) -> None:
        async def many() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        with self.assertRaisesRegex(UsageError, "more than limit=3 runs; raise limit"):
            await cancel_at_every_await(many, limit=3)


class TestOnACase(unittest.TestCase):
    def test_it_fails_with_the_await(self) -> None:
        class Case(ChaosMixin, IsolatedTestCase):
            """A test as users write it."""

        async def body(case: Any) -> None:
            with case.failpoints({"disk": "return(1)"}):
                case.assertEqual(failpoint("disk").value, 1)  # type: ignore[union-attr]
            case.assertEqual(len(await case.exhaust_failpoints(lambda: failpoint("disk"))), 2)
            case.assertEqual(len(await case.cancel_at_every_await(lambda: asyncio.sleep(0))), 2)
            await case.assert_cancellation_safe(Account(careful=True).stubborn, msg="the account")

        result = run_inner(inner_case(body, Case))
        self.assertIn("failure", result.kinds)
        self.assertIn("1 of 1 cancellations did not end it", result.report)
        self.assertIn(": the account", result.report)
