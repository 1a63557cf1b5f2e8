"""`Sessions`: all that a test has opened is ended in one call, and nothing of that is hidden."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import unittest
from typing import Any

from supertester.case import IsolatedTestCase
from supertester.mixins.services import ServiceAssertions
from supertester.targets import JsonPort, PortClosed, Sessions, Wire, start_json_port
from supertester.testing import failure_of, inner_case, run_inner

WORKER = """
import json, sys
sessions = set()
for line in sys.stdin:
    request = json.loads(line)
    args = request["args"]
    answer = {"id": request["id"], "result": None}
    match request["command"]:
        case "open": sessions.add(args)
        case "end" if args in sessions: sessions.discard(args)
        case "end": answer = {"id": request["id"], "error": "no such session"}
        case "count": answer["result"] = len(sessions)
    print(json.dumps(answer), flush=True)
"""
LINES = Wire(framing="lines", success=None)


class Pool:
    """Real workers, and sessions that live in them."""

    def __init__(self, workers: list[JsonPort]) -> None:
        self.workers = workers
        self.names = itertools.count(1)
        self.place: dict[str, JsonPort] = {}

    async def open(self) -> str:
        number = next(self.names)
        worker = self.place[f"s-{number}"] = self.workers[number % len(self.workers)]
        await worker.call("open", f"s-{number}")
        return f"s-{number}"

    async def end(self, name: str) -> None:
        await self.place[name].call("end", name)

    async def count(self) -> dict[int, int]:
        return {i: await each.call("count") for i, each in enumerate(self.workers) if not each.is_closed}


class Server:
    """What can go wrong, on request."""

    def __init__(self) -> None:
        self.open_sessions: set[int] = set()
        self.numbers = itertools.count(1)
        self.refuses: set[int] = set()

    def open(self) -> int:
        number = next(self.numbers)
        self.open_sessions.add(number)
        return number

    def end(self, number: int) -> None:
        if number in self.refuses:
            raise PermissionError(f"not {number}")
        self.open_sessions.remove(number)

    def count(self) -> int:
        return len(self.open_sessions)


class TestSessions(ServiceAssertions, IsolatedTestCase):
    async def test_on_real_workers_of_which_one_is_killed(self) -> None:
        pool = Pool([await start_json_port([sys.executable, "-c", WORKER], wire=LINES) for _ in range(4)])
        await pool.open()
        sessions = Sessions(pool.end, open=pool.open, count=pool.count, lost=PortClosed)
        await asyncio.gather(*(sessions.open() for _ in range(50)))
        self.assertEqual(sum((await pool.count()).values()), 51)
        process = pool.workers[0].process
        assert process is not None
        process.kill()
        await process.wait()
        report = await self.assert_all_sessions_ended(sessions)
        self.assertEqual((len(report.ended) + len(report.lost), len(report.lost) > 10), (50, True))
        self.assertEqual((report.baseline, report.left), (1, 1))
        self.assertEqual(sessions.tracked, ())
        json.dumps(report.to_dict())

    async def test_plain_functions(self) -> None:
        server = Server()
        async with Sessions(server.end, open=server.open, count=server.count) as sessions:
            first = await sessions.open()
            sessions.track(server.open())
            await sessions.open()
            await sessions.end(first)
            self.assertEqual(repr(sessions), "<Sessions, 2 open>")
        self.assertEqual(server.count(), 0)

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "end must be a function, got end=7"):
            Sessions(7)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "no function open= was given; open the session by yourself"):
            await Sessions(print).open()
        with self.assertRaisesRegex(ValueError, "timeout must be 0 or more seconds"):
            Sessions(print, timeout=-1)


class TestFailures(unittest.TestCase):
    def test_they_are_ended_with_the_test(self) -> None:
        server = Server()

        async def body(case: Any) -> None:
            sessions = Sessions(server.end, open=server.open, count=server.count)
            for _ in range(3):
                await sessions.open()

        self.assertEqual(run_inner(inner_case(body)).kinds, ["start", "success", "stop"])
        self.assertEqual(server.count(), 0)

    def test_all_errors_are_shown_and_no_session_is_left_out(self) -> None:
        server = Server()
        server.refuses = {2, 4}

        async def body(case: Any) -> None:
            sessions = Sessions(server.end, open=server.open, count=server.count)
            for _ in range(5):
                await sessions.open()

        report = failure_of(body)
        self.assertIn("2 of 5 sessions could not be ended; the server has 2 sessions, expected 0 as before", report)
        self.assertIn("  1. 2: PermissionError('not 2')\n  2. 4: PermissionError('not 4')", report)
        self.assertEqual(server.open_sessions, {2, 4})

    def test_a_server_that_forgets_nothing(self) -> None:
        async def body(case: Any) -> None:
            counts = iter([3, 5])
            sessions = Sessions(lambda session: None, open=object, count=lambda: next(counts))
            await sessions.open()
            await case.assert_all_sessions_ended(sessions)

        self.assertIn("the server has 5 sessions, expected 3 as before", failure_of(body, ServiceAssertions))

    def test_one_that_does_not_end(self) -> None:
        async def body(case: Any) -> None:
            async def never(session: Any) -> None:
                await asyncio.Event().wait()

            Sessions(never, timeout=0.01).track("s-1")

        self.assertIn("1. 's-1': TimeoutError('it did not end within 0.01 s')", failure_of(body))
