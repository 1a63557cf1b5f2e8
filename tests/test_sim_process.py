"""Worker processes, simulated and real: the same bodies for both, and what a schedule makes of the simulated ones."""

from __future__ import annotations

import asyncio
import signal
import sys
import unittest
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.errors import UsageError, WaitTimeout
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.faults import Faults
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Strategy
from supertester.schedule.strategies.fault_moments import FaultMoments
from supertester.sim_process import SimProcess, Stdio


async def doubler(stdio: Stdio, factor: int = 2) -> int:
    """Multiplies each line, and says how many there were."""
    count = 0
    async for line in stdio:
        await stdio.write_line(str(factor * int(line)))
        count += 1
    stdio.log_line(f"{count} lines")
    return count


class TestBothKinds(IsolatedTestCase):
    """What a test sees of a process, real or not."""

    def kinds(self) -> Any:
        for live in (False, True):
            with self.subTest(live=live):
                yield live

    async def test_lines_go_in_and_come_out(self) -> None:
        for live in self.kinds():
            async with await SimProcess.start(doubler, 3, live=live) as process:
                await process.write_line("14")
                self.assertEqual("42", await process.read_line(60))
                process.stdin.close()
                self.assertIsNone(await process.read_line(60))
                self.assertEqual(1, await process.wait())
                self.assertEqual(1, process.returncode)
                self.assertFalse(process.is_running())

    async def test_all_of_it_at_once(self) -> None:
        for live in self.kinds():
            async with await SimProcess.start(doubler, live=live) as process:
                self.assertEqual((b"2\n4\n", b"2 lines\n"), await process.communicate(b"1\n2\n"))
                self.assertEqual(2, process.returncode)

    async def test_an_exception_is_told_on_the_error_output(self) -> None:
        for live in self.kinds():
            async with await SimProcess.start(doubler, live=live) as process:
                output, errors = await process.communicate(b"no number\n")
                self.assertEqual((b"", 1), (output, process.returncode))
                self.assertIn(b"ValueError: invalid literal for int()", errors)

    async def test_signals_end_it(self) -> None:
        for live in self.kinds():
            for send, expected in ((SimProcess.kill, -signal.SIGKILL), (SimProcess.terminate, -signal.SIGTERM)):
                async with await SimProcess.start(doubler, live=live) as process:
                    send(process)
                    self.assertEqual(expected, await process.wait())
                    with self.assertRaises(ProcessLookupError):
                        send(process)

    async def test_leaving_its_block_ends_it(self) -> None:
        for live in self.kinds():
            async with await SimProcess.start(doubler, live=live) as process:
                self.assertTrue(process.is_running())
            self.assertEqual(-signal.SIGKILL, process.returncode)

    async def test_another_program_in_its_place(self) -> None:
        argv = [sys.executable, "-c", "print(input()[::-1])"]
        async with await SimProcess.start(doubler, live=True, argv=argv) as process:
            await process.write_line("abc")
            self.assertEqual("cba", await process.read_line(60))

    async def test_a_function_that_no_program_can_import(self) -> None:
        async def local(stdio: Stdio) -> None:
            """Do nothing."""

        with self.assertRaisesRegex(UsageError, "is no function of an importable module; move it to one, or give argv"):
            await SimProcess.start(local, live=True)
        with self.assertRaisesRegex(TypeError, "a worker is an async function that takes a Stdio, got 'cat'"):
            await SimProcess.start("cat")  # type: ignore[arg-type]


class TestSimulated(IsolatedTestCase):
    async def test_an_exit_code_of_its_own(self) -> None:
        async def leaving(stdio: Stdio) -> None:
            raise SystemExit(7)

        async with await SimProcess.start(leaving) as process:
            self.assertEqual(7, await process.wait())
            self.assertEqual("<SimProcess leaving ended with 7>", repr(process))

    async def test_no_line_in_time(self) -> None:
        async with await SimProcess.start(doubler) as process:
            with self.assertRaisesRegex(WaitTimeout, "no line from doubler within 0 s"):
                await process.read_line(0)

    async def test_half_a_line(self) -> None:
        async def halting(stdio: Stdio) -> None:
            stdio.write(b"all\nhal")

        async with await SimProcess.start(halting) as process:
            self.assertEqual("all", await process.read_line())
            with self.assertRaisesRegex(EOFError, "the output of halting ended in the middle of a line: 'hal'"):
                await process.read_line()

    async def test_nobody_reads_what_is_written_after_the_end(self) -> None:
        async def brief(stdio: Stdio) -> None:
            """End at once."""

        async with await SimProcess.start(brief) as process:
            await process.wait()
            with self.assertRaises(ConnectionResetError):
                await process.write_line("hello")
            process.stdin.close()
            process.stdin.close()
            self.assertTrue(process.stdin.is_closing())
            with self.assertRaisesRegex(RuntimeError, "closed already"):
                process.stdin.write(b"more")


class Drawn(Strategy):
    name = "drawn"

    def begin(self, random: Random, number: int) -> bool:
        self.random = random
        return True

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        return self.random.randrange(len(runnable))


def seen(
    program: Callable[[], Coroutine[Any, Any, Any]], faults: Faults | None = None, schedules: int = 150
) -> dict[Any, set[str]]:
    """Return what *program* returned in some schedules, with the faults that were chosen."""
    strategy: Strategy = Drawn() if faults is None else FaultMoments(Drawn(), faults.budgets())
    random = Random(5)
    found: dict[Any, set[str]] = {}
    for number in range(schedules):
        strategy.begin(random, number)
        loop = ExploringLoop(strategy)
        if faults is not None:
            loop.allow_faults(faults)
        outcome = loop.run(program())
        found.setdefault(outcome, set()).update(lane.label for _, lane in loop.choices if lane.kind == "fault")
    return found


async def two_lines(stdio: Stdio) -> None:
    await stdio.write_line("first line")
    await stdio.write_line("second line")


class TestExplored(unittest.TestCase):
    def test_the_end_may_be_known_before_the_last_output(self) -> None:
        async def program() -> Any:
            async with await SimProcess.start(two_lines) as process:
                await process.wait()
                return len(process.stdout._buffer)

        self.assertEqual({0, 11, 23}, set(seen(program)))

    def test_input_and_output_pass_each_other(self) -> None:
        async def program() -> Any:
            async with await SimProcess.start(doubler) as process:
                await process.write_line("1")
                await process.write_line("2")
                early = bool(process.stdout._buffer)
                process.stdin.close()
                return early, await process.read_line(), await process.read_line()

        self.assertEqual({(True, "2", "4"), (False, "2", "4")}, set(seen(program)))

    async def told(self, timeout: float = 5) -> Any:
        async with await SimProcess.start(two_lines, name="worker") as process:
            lines: list[Any] = []
            try:
                while (line := await process.read_line(timeout)) is not None:
                    lines.append(line)
            except (EOFError, WaitTimeout) as error:
                lines.append(type(error).__name__)
            code = await process.wait()
            return tuple(lines), code, asyncio.get_running_loop().time()

    def test_it_may_be_killed_anywhere_also_in_the_middle_of_a_line(self) -> None:
        found = seen(self.told, Faults(kill=1), 400)
        for lines, code in (
            (("first line", "second line"), 0),
            ((), -9),
            (("first line",), -9),
            (("EOFError",), -9),
            (("first line", "EOFError"), -9),
            (("first line", "second line"), -9),
        ):
            self.assertIn((lines, code, 0), found)
        self.assertEqual(6, len(found))
        self.assertIn("kill worker in the middle of writing 'second line\\n'", found[("first line", "EOFError"), -9, 0])

    def test_it_may_crash_anywhere(self) -> None:
        found = seen(self.told, Faults(crash=1))
        self.assertEqual({0, 1}, {code for _, code, _ in found})
        self.assertEqual({"crash worker"}, set().union(*found.values()))

    def test_it_may_start_late_and_its_output_may_be_late(self) -> None:
        found = seen(self.told, Faults(delay=1, seconds=3))
        lines = ("first line", "second line")
        self.assertEqual({(lines, 0, 0), (lines, 0, 3)}, set(found))
        self.assertEqual(
            {
                "delay the start of worker",
                "delay 'first line\\n' (worker stdout)",
                "delay 'second line\\n' (worker stdout)",
                "delay the end (worker stdout)",
            },
            found[lines, 0, 3],
        )

    def test_what_is_late_for_too_long_is_not_waited_for(self) -> None:
        found = seen(lambda: self.told(timeout=2), Faults(delay=1, seconds=3))
        self.assertIn("WaitTimeout", {lines[-1] for lines, _, _ in found})

    def test_only_targets_are_hit(self) -> None:
        for targets, expected in (("other", {0}), ("worker", {0, -9}), (SimProcess, {0, -9})):
            with self.subTest(targets=targets):
                found = seen(self.told, Faults(kill=1, targets=targets))
                self.assertEqual(expected, {code for _, code, _ in found})
        self.assertEqual({0}, {code for _, code, _ in seen(self.told, Faults(kill=1, targets=lambda worker: False))})

    def test_a_real_process_cannot_be_explored(self) -> None:
        async def program() -> None:
            await SimProcess.start(doubler, live=True)

        with self.assertRaises(UsageError):
            seen(program)
