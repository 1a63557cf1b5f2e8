"""Failpoints: their grammar, their scope, and what they do."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
import threading
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError
from supertester.failpoints import InjectedFault, Return, async_failpoint, failpoint, failpoints
from supertester.otp import GenServer
from supertester.testing import inner_case, run_inner


class Store(GenServer):
    async def handle_call(self, request: Any, sender: Any) -> Any:
        hit = await async_failpoint("store.read")
        return "sound" if hit is None else hit.value


class TestActions(IsolatedTestCase):  # Outside of tests, failpoints are the process's.
    def test_nothing_happens_where_none_is_on(self) -> None:
        self.assertIsNone(failpoint("nowhere"))
        with failpoints({"elsewhere": "raise"}) as points:
            self.assertIsNone(failpoint("nowhere"))
        self.assertEqual((points.hits, points.fired), ({"nowhere": 1}, {}))

    def test_raise(self) -> None:
        for action, error, message in (
            ("raise", InjectedFault, "failpoint 'disk'"),
            ("raise(broken)", InjectedFault, "failpoint 'disk': broken"),
            ("raise(OSError)", OSError, "failpoint 'disk'"),
            ("raise(OSError: disk full)", OSError, "^disk full$"),
            ("raise(SystemExit: 1)", InjectedFault, "SystemExit"),
        ):
            with self.subTest(action), failpoints({"disk": action}), self.assertRaisesRegex(error, message):
                failpoint("disk")

    def test_return(self) -> None:
        for action, value in (
            ("return(5)", 5),
            ("return", None),
            ("return(no literal)", "no literal"),
            ("return([1])", [1]),
        ):
            with failpoints({"disk": action}):
                self.assertEqual(failpoint("disk"), Return(value))

    def test_print_sleep_and_yield(self) -> None:
        shown = io.StringIO()
        with (
            failpoints({"a": "print(hello)", "b": "sleep(0)", "c": "yield", "d": "print"}),
            contextlib.redirect_stdout(shown),
        ):
            for name in "abcd":
                self.assertIsNone(failpoint(name))
        self.assertEqual(shown.getvalue(), "hello\nd\n")

    def test_counts_and_sequences(self) -> None:
        with failpoints({"disk": "2*return(1)->1*off->return(a->b)"}) as points:
            self.assertEqual([failpoint("disk") for _ in range(4)], [Return(1), Return(1), None, Return("a->b")])
        self.assertEqual((points.hits, points.fired), ({"disk": 4}, {"disk": 3}))

    def test_counts_are_exact_also_in_threads(self) -> None:
        def work() -> None:
            for _ in range(200):
                with contextlib.suppress(InjectedFault):
                    failpoint("disk")

        with failpoints({"disk": "50*raise->10*raise->off"}) as points:
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(({"disk": 1600}, {"disk": 60}), (points.hits, points.fired))

    def test_an_exception_that_cannot_be_made_of_a_text_is_refused_at_once(self) -> None:
        for name in ("UnicodeDecodeError", "ExceptionGroup"):
            with self.assertRaisesRegex(UsageError, f"failpoint 'disk' cannot raise {name} with a text alone"):
                failpoints({"disk": f"raise({name}: no)"}).__enter__()

    def test_a_misspelt_exception_is_no_message(self) -> None:
        for text, hint in (
            ("OSEror", "did you mean 'OSError'?"),
            ("OSEror: disk full", "did you mean 'OSError'?"),
            ("oserror", "did you mean 'OSError'?"),
            ("Timeouterror", "did you mean 'TimeoutError'?"),
            ("StoreError", "others cannot be raised"),
        ):
            word = text.partition(":")[0]
            with (
                self.subTest(text),
                self.assertRaisesRegex(
                    UsageError, f"'disk': there is no built-in exception '{word}'; {re.escape(hint)}"
                ),
            ):
                failpoints({"disk": f"raise({text})"}).__enter__()
        for text in ("timeout", "warning", "Timeout", "Broken: OSEror", "an OSEror", "KeyboardInterrupt", "error"):
            with (
                self.subTest(text),
                failpoints({"disk": f"raise({text})"}),
                self.assertRaisesRegex(InjectedFault, text),
            ):
                failpoint("disk")

    def test_probabilities_come_from_the_seed(self) -> None:
        def run(seed: int) -> list[bool]:
            with failpoints({"disk": "25%return"}, seed=seed):
                return [failpoint("disk") is not None for _ in range(200)]

        self.assertEqual(run(1), run(1))
        self.assertNotEqual(run(1), run(2))
        self.assertTrue(20 < sum(run(1)) < 80)
        with failpoints({"disk": "0%return->return(2)", "net": "100%return"}):
            self.assertEqual((failpoint("disk"), failpoint("net")), (Return(2), Return(None)))

    def test_blocks_nest_and_can_be_changed(self) -> None:
        with failpoints({"disk": "return(1)", "net": "return(1)"}) as outer:
            with failpoints({"disk": "off"}) as inner:
                self.assertEqual((failpoint("disk"), failpoint("net")), (None, Return(1)))
                inner.set("net", "return(2)")
                self.assertEqual(failpoint("net"), Return(2))
            self.assertEqual(failpoint("disk"), Return(1))
        self.assertEqual(outer.fired, {"net": 1, "disk": 1})
        self.assertIsNone(failpoint("disk"))

    def test_nonsense_is_refused(self) -> None:
        for action, message in (
            ("explode", "failpoint 'disk' has no action 'explode'; write .*off, raise, return, sleep"),
            ("", "has no action ''"),
            ("raise->", "has no action ''"),
            ("200%raise", "a probability is at most 100 percent, got '200%raise'"),
            ("sleep", r"sleep takes milliseconds, e.g. sleep\(10\), got 'sleep'"),
            ("sleep(long)", "sleep takes milliseconds"),
        ):
            with self.subTest(action), self.assertRaisesRegex(UsageError, message), failpoints({"disk": action}):
                pass
        with self.assertRaisesRegex(TypeError, "are text, e.g. '50%raise', got 3"), failpoints({"disk": 3}):  # type: ignore[dict-item]
            pass


class TestScope(IsolatedTestCase):
    async def test_tasks_threads_and_servers_that_were_there_before(self) -> None:
        store = await Store.start_link()
        with failpoints({"store.read": "return(1)"}):
            self.assertEqual(await store.call("read"), 1)
            self.assertEqual(await asyncio.to_thread(failpoint, "store.read"), Return(1))
            self.assertEqual(await asyncio.create_task(async_failpoint("store.read")), Return(1))
        self.assertEqual(await store.call("read"), "sound")

    async def test_waiting_does_not_block(self) -> None:
        order: list[str] = []

        async def wait() -> None:
            await async_failpoint("slow")
            order.append("waited")

        with failpoints({"slow": "yield"}):
            task = asyncio.create_task(wait())
            await asyncio.sleep(0)
            order.append("went on")
            await task
        self.assertEqual(order, ["went on", "waited"])

    async def test_another_test_at_the_same_time_has_its_own(self) -> None:
        barrier = threading.Barrier(2, timeout=10)
        seen: dict[str, Any] = {}

        def body(action: str) -> Any:
            def run(case: Any) -> None:
                with failpoints({"disk": action}):
                    barrier.wait()
                    seen[action] = failpoint("disk")
                    barrier.wait()

            return run

        tests = [inner_case(body(action)) for action in ("return(1)", "return(2)")]
        reports: list[str] = []
        threads = [threading.Thread(target=lambda test=test: reports.append(run_inner(test).report)) for test in tests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(reports, ["", ""])
        self.assertEqual(seen, {"return(1)": Return(1), "return(2)": Return(2)})

    def test_child_processes_have_them(self) -> None:
        code = "from supertester.failpoints import failpoint; print(failpoint('disk'), failpoint('net'))"
        with failpoints({"disk": "1*return(7)"}):
            done = subprocess.run(
                [sys.executable, "-c", code],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self.assertEqual(done.stdout.strip(), "Return(value=7) None")
