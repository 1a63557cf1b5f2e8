"""What a port promises, kept by a real worker and by the double that other tests use instead of one."""

from __future__ import annotations

from functools import partial
from typing import Any

from session_pool import PythonPort, RemoteError
from session_pool.bridge_worker import Bridge

from supertester.targets.stdio import MockPort, Received, check_correlated
from tests.support import SIMPLE, PoolCase


class Contract:
    """The promises; a subclass says with whom."""

    port: Any

    def test_a_ping_is_answered(self: Any) -> None:
        self.assertEqual(self.port.call("ping", session="ann")["status"], "ok")

    def test_a_value_comes_back_as_it_was(self: Any) -> None:
        for value in (None, 0, "\x00 ü 🙂", [1, {"a": None}], "x" * 100_000):
            self.assertEqual(self.port.call("echo", {"value": value})["value"], value)

    def test_a_program_is_made_run_and_deleted(self: Any) -> None:
        program = self.port.call("create_program", {"signature": SIMPLE}, session="ann")
        executed = self.port.call("execute_program", {**program, "inputs": {"value": 21}}, session="ann")
        self.assertEqual(executed, {"value": 42})
        self.assertEqual(self.port.call("program_info", program, session="ann")["executions"], 1)
        self.port.call("delete_program", program, session="ann")
        self.assertEqual(self.port.call("list_programs", session="ann"), [])

    def test_texts_are_capitalised(self: Any) -> None:
        signature = {"inputs": ["query"], "outputs": ["answer"]}
        program = self.port.call("create_program", {"signature": signature})
        self.assertEqual(
            self.port.call("execute_program", {**program, "inputs": {"query": "test"}}), {"answer": "TEST"}
        )

    def test_a_session_sees_its_own_programs(self: Any) -> None:
        self.port.call("create_program", {"id": "p", "signature": SIMPLE}, session="ann")
        self.assertEqual(self.port.call("list_programs", session="bob"), [])

    def test_the_end_of_a_session_drops_its_programs(self: Any) -> None:
        self.port.call("create_program", {"signature": SIMPLE}, session="ann")
        self.assertEqual(self.port.call("end_session", session="ann"), {"dropped": 1})
        self.assertEqual(self.port.call("get_stats")["programs"], {})

    def check_error(self: Any, kind: str, command: str, args: dict[str, Any] | None = None) -> None:
        with self.assertRaises(RemoteError) as caught:
            self.port.call(command, args)
        self.assertEqual(caught.exception.kind, kind)
        self.assertEqual(self.port.call("ping")["status"], "ok")

    def test_an_unknown_command_is_an_error(self: Any) -> None:
        self.check_error("unknown_command", "fly")

    def test_an_unknown_program_is_an_error(self: Any) -> None:
        self.check_error("program_not_found", "delete_program", {"program_id": "p"})

    def test_a_program_without_outputs_is_an_error(self: Any) -> None:
        self.check_error("invalid_signature", "create_program", {"signature": {"inputs": ["value"], "outputs": []}})

    def test_wrong_arguments_are_an_error(self: Any) -> None:
        self.check_error("TypeError", "echo", {"volume": 11})

    def test_a_missing_input_is_an_error(self: Any) -> None:
        program = self.port.call("create_program", {"signature": SIMPLE})
        self.check_error("missing_input", "execute_program", {**program, "inputs": {}})

    async def test_ten_callers_get_their_own_answers(self: Any) -> None:
        self.assertIsNone(await check_correlated(self.port, 10))


class TestRealWorker(Contract, PoolCase):
    def setUp(self) -> None:
        self.port = PythonPort.spawn("contract")
        self.addCleanup(self.port.close)

    async def test_five_hundred_callers_get_their_own_answers(self) -> None:
        self.assertIsNone(await check_correlated(self.port, 500))


class TestDouble(Contract, PoolCase):
    """A double that answers as the program would that it stands for, and is started as one."""

    def setUp(self) -> None:
        self.mock, bridge = MockPort(), Bridge()
        for name in dir(bridge):
            if name.startswith("do_"):
                answer = partial(self._result, bridge)
                self.mock.allow_command(name.removeprefix("do_"), answer)
        self.port = PythonPort.spawn("contract", argv=self.mock.argv)
        self.addCleanup(self.port.close)

    @staticmethod
    def _result(bridge: Bridge, received: Received) -> Any:
        return bridge.answer(dict(received.message))["result"]

    def check_error(self, kind: str, command: str, args: dict[str, Any] | None = None) -> None:
        self.mock.expect_command(command, error={"kind": kind, "message": "as was agreed"})
        super().check_error(kind, command, args)
