"""A turn of a process is what asyncio itself would have put on its loop."""

from __future__ import annotations

import asyncio
import unittest
from collections import deque
from typing import Any
from unittest import mock

from supertester.otp import GenServer, Runtime
from supertester.otp.turns import Turn, takes_turns


class Counting(asyncio.SelectorEventLoop):
    """A loop of one's own that sees what is put on it."""

    soon = 0

    def call_soon(self, *given: Any, **more: Any) -> asyncio.Handle:  # type: ignore[override]
        self.soon += 1
        return super().call_soon(*given, **more)


class Shuffling(asyncio.SelectorEventLoop):
    """A loop that makes a new list of what it is to run in each round."""

    def _run_once(self) -> None:
        self._ready = deque(reversed(self._ready))  # type: ignore[has-type]
        super()._run_once()  # type: ignore[misc]


class Echo(GenServer):
    def handle_cast(self, message: Any) -> None:
        self.state = message

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.state


async def cast_and_call(turns: Any) -> tuple[Any, int]:
    async with Runtime():
        pid = await Echo.start()
        await asyncio.sleep(0)  # A round of the loop.
        before = turns()
        pid.cast("sent")
        after = turns() - before
        return await pid.call("what?"), after


class TestTurns(unittest.TestCase):
    def test_are_the_handles_that_the_loop_would_have_made(self) -> None:
        async def main() -> None:
            async with Runtime() as runtime:
                pid: Any = await Echo.start()
                loop: Any = asyncio.get_running_loop()
                theirs, ours = loop.call_soon(pid.run, context=pid.context), Turn(pid, loop)
                theirs.cancel()
                for name in sorted({*asyncio.Handle.__slots__} - {"__weakref__", "_cancelled", "_callback", "_args"}):
                    self.assertEqual(getattr(ours, name), getattr(theirs, name), name)
                self.assertEqual((ours._callback, ours._args, ours.cancelled()), (pid.run, (), False))
                self.assertRegex(repr(ours), r"^<Turn .*run\(\)")
                self.assertTrue(runtime.upcoming is loop._ready)

        asyncio.run(main(), debug=False)

    def test_are_put_on_loops_of_asyncio_itself(self) -> None:
        def turns() -> int:
            return sum(each.__class__ is Turn for each in asyncio.get_running_loop()._ready)  # type: ignore[attr-defined]

        self.assertEqual(asyncio.run(cast_and_call(turns), debug=False), ("sent", 1))

    def test_go_the_usual_way_in_debug_mode(self) -> None:
        def turns() -> int:
            ready: Any = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
            return sum(each._source_traceback is not None for each in ready)

        self.assertEqual(asyncio.run(cast_and_call(turns), debug=True), ("sent", 1))

    def test_go_through_a_loop_that_has_a_way_of_its_own(self) -> None:
        with asyncio.Runner(loop_factory=Counting) as runner:
            loop: Any = runner.get_loop()
            self.assertFalse(takes_turns(loop))
            self.assertEqual(runner.run(cast_and_call(lambda: loop.soon)), ("sent", 1))

    def test_go_through_what_somebody_has_put_before_that_of_a_loop(self) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            self.assertTrue(takes_turns(loop))
            with mock.patch.object(loop, "call_soon", wraps=loop.call_soon) as soon:
                self.assertFalse(takes_turns(loop))
                self.assertEqual(runner.run(cast_and_call(lambda: soon.call_count)), ("sent", 1))

    def test_come_where_the_loop_looks_for_them_now(self) -> None:
        with asyncio.Runner(loop_factory=Shuffling) as runner:
            self.assertEqual(runner.run(cast_and_call(lambda: 0)), ("sent", 0))
