"""What errors of gRPC mean to a caller."""

from __future__ import annotations

import grpc
from worker_pool import CallTimeout, ToolError, WorkerLost
from worker_pool.wire import translated

from supertester import IsolatedTestCase


class Failed(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "said the worker"


class TestTranslation(IsolatedTestCase):
    def test_what_is_lost_late_or_refused(self) -> None:
        code = grpc.StatusCode
        expected = {code.UNAVAILABLE: WorkerLost, code.CANCELLED: WorkerLost, code.DEADLINE_EXCEEDED: CallTimeout}
        for each in code:
            with self.subTest(code=each.name):
                self.assertIs(type(translated(Failed(each), "w")), expected.get(each, ToolError))

    def test_a_closed_channel_is_a_lost_worker(self) -> None:
        error = translated(ValueError("Cannot invoke RPC on closed channel!"), "worker-1")
        self.assertIsInstance(error, WorkerLost)
        self.assertEqual(str(error), "worker-1 was lost during the call: Cannot invoke RPC on closed channel!")

    def test_a_refusal_keeps_its_code_and_its_words(self) -> None:
        error = translated(Failed(grpc.StatusCode.NOT_FOUND), "w")
        assert isinstance(error, ToolError)
        self.assertEqual((error.code, error.message), ("NOT_FOUND", "said the worker"))
