"""What every worker promises the pool, be it a process or a mock."""

from __future__ import annotations

from typing import Any

from worker_pool import CallTimeout, ToolError, WorkerLost, wire


def has_died(worker: Any) -> bool:
    """Wait for the end of a worker, and not for a nudge, of which there may be one."""
    return any(worker.has_ended(10.0) for _ in range(3))


class WorkerContract:
    """Tests of a worker, which `start` returns; mixed into a test case."""

    def start(self) -> Any:
        raise NotImplementedError

    def ask(self, tool: str, args: Any = None, *, session: str | None = None, timeout: float = 10.0) -> Any:
        return self.worker.call(wire.request(tool, args, session), timeout)

    def stream(self, tool: str, args: Any = None, *, timeout: float = 10.0) -> Any:
        return self.worker.stream(wire.request(tool, args, None), timeout)

    def setUp(self) -> None:
        super().setUp()
        self.worker = self.start()
        self.addCleanup(self.worker.stop, 1.0)
        self.worker.await_ready(20.0)

    def test_it_knows_who_it_is(self) -> None:
        self.assertEqual((self.worker.id, self.worker.generation, self.worker.exit_status), ("w", 1, None))
        self.assertTrue(self.worker.alive())

    def test_it_answers(self) -> None:
        self.assertEqual(self.ask("ping")["status"], "pong")
        self.assertEqual(self.ask("echo", {"text": "héllo", "list": [1, None]}), {"text": "héllo", "list": [1, None]})

    def test_an_unknown_tool(self) -> None:
        with self.assertRaisesRegex(ToolError, "UNIMPLEMENTED: there is no tool 'fly'"):
            self.ask("fly")
        with self.assertRaisesRegex(ToolError, "UNIMPLEMENTED"):
            next(self.stream("fly"))

    def test_arguments_that_make_no_sense(self) -> None:
        with self.assertRaisesRegex(ToolError, "INVALID_ARGUMENT: seconds is a number of 0 or more, got 'long'"):
            self.ask("slow", {"seconds": "long"})

    def test_a_session_has_variables(self) -> None:
        self.ask("initialize_session", session="s")
        self.ask("set_variable", {"name": "x", "value": 5}, session="s")
        self.assertEqual(self.ask("get_variable", {"name": "x"}, session="s")["value"], 5)
        self.assertEqual(self.ask("list_sessions"), ["s"])
        self.assertEqual(self.ask("cleanup_session", session="s"), {"ended": True})
        with self.assertRaisesRegex(ToolError, "NOT_FOUND: w has no session 's'"):
            self.ask("get_variable", {"name": "x"}, session="s")

    def test_updates_have_an_order(self) -> None:
        self.ask("initialize_session", session="s")
        updates = [self.ask("set_variable", {"name": "x", "value": n}, session="s")["update"] for n in range(3)]
        self.assertEqual(updates, [1, 2, 3])

    def test_a_deadline(self) -> None:
        with self.assertRaisesRegex(CallTimeout, "did not answer in time"):
            self.ask("slow", {"seconds": 60}, timeout=0.05)
        self.assertEqual(self.ask("ping")["status"], "pong")

    def test_a_stream(self) -> None:
        self.assertEqual(list(self.stream("counts", {"n": 5})), [0, 1, 2, 3, 4])
        self.assertEqual(list(self.stream("counts", {"n": 0})), [])

    def test_a_stream_that_is_closed_early(self) -> None:
        stream = self.stream("counts", {"n": 1_000, "gap": 60})
        self.assertEqual(next(stream), 0)
        self.assertEqual(self.ask("stats")["open_streams"], 1)
        stream.close()

    def test_it_is_healthy_until_it_is_killed(self) -> None:
        self.assertTrue(self.worker.is_healthy(10.0))
        self.worker.kill()
        self.assertTrue(has_died(self.worker))
        self.assertFalse(self.worker.is_healthy(10.0))
        self.assertFalse(self.worker.alive())

    def test_a_dead_one_is_lost(self) -> None:
        self.worker.kill()
        self.assertTrue(has_died(self.worker))
        with self.assertRaisesRegex(WorkerLost, "was lost during the call"):
            self.ask("ping")
        with self.assertRaises(WorkerLost):
            next(self.stream("counts"))

    def test_a_nudge_wakes_who_waits_for_the_end(self) -> None:
        self.worker.nudge()
        self.assertFalse(self.worker.has_ended(None))
        self.assertFalse(self.worker.has_ended(0))

    def test_it_is_stopped_once(self) -> None:
        self.assertEqual(self.worker.stop(1.0), 0)
        self.assertEqual(self.worker.stop(1.0), 0)
        self.assertEqual((self.worker.exit_status, self.worker.alive()), (0, False))
        self.worker.nudge()
        self.worker.kill()
        with self.assertRaises(WorkerLost):
            self.ask("ping")
