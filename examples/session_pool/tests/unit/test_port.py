"""What a port does with the answers of a worker, good ones and others."""

from __future__ import annotations

from session_pool import PortClosed, PortTimeout, PythonPort, RemoteError

from supertester.targets.stdio import MockPort, check_correlated
from tests.planted import Deaf
from tests.support import PoolCase


class TestCalls(PoolCase):
    def test_a_command_is_sent_and_its_answer_returned(self) -> None:
        mock, port = self.mock_port()
        mock.expect_command("create_program", {"id": "prog_1"}, args={"signature": "q -> a"}, fields={"session": "ann"})
        self.assertEqual(port.call("create_program", {"signature": "q -> a"}, session="ann"), {"id": "prog_1"})

    def test_a_command_that_was_not_agreed_on_fails_the_test(self) -> None:
        mock = MockPort()
        port = PythonPort(*mock.pipes())
        self.addCleanup(port.close)
        mock.expect_command("create_program")
        mock.healthy()
        port.call("ping")
        with self.assertRaisesRegex(AssertionError, "'create_program' came 0 times, expected 1"):
            mock.close()

    def test_an_error_of_the_command_is_the_callers(self) -> None:
        mock, port = self.mock_port()
        mock.expect_command("execute_program", error={"kind": "program_not_found", "message": "no program 'p'"})
        with self.assertRaisesRegex(RemoteError, "program_not_found: no program 'p'") as caught:
            port.call("execute_program")
        self.assertEqual(caught.exception.kind, "program_not_found")
        self.assertTrue(port.alive)

    async def test_a_caller_does_not_wait_for_ever(self) -> None:
        mock, port = self.mock_port()
        mock.simulate_timeout("slow_op")
        with self.assertRaisesRegex(PortTimeout, "slow_op was not answered within 0.1 s"):
            port.call("slow_op", timeout=0.1)
        await mock.wait_for_command("slow_op")

    async def test_a_crash_ends_all_calls_that_are_under_way(self) -> None:
        mock, port = self.mock_port()
        mock.simulate_timeout("slow_op")
        slow = self.begin(port.call, "slow_op")
        await mock.wait_for_command("slow_op")
        mock.simulate_crash("boom")
        for error in (self.assert_raised(PortClosed, self.begin(port.call, "boom")), slow.exception(5)):
            self.assertIsInstance(error, PortClosed)
        with self.assertRaises(PortClosed):
            port.call("ping")


class TestCorrelation(PoolCase):
    async def test_answers_in_reverse_order_find_their_callers(self) -> None:
        for count in (10, 500):
            mock, port = self.mock_port()
            self.assertIsNone(await check_correlated(port, count, mock=mock, shuffle=False))

    async def test_a_client_that_mixes_up_answers_is_found(self) -> None:
        mock = MockPort()
        port = Deaf(*mock.pipes())
        self.addCleanup(port.close)
        mismatch = await check_correlated(port, 10, mock=mock, shuffle=False)
        self.assertIn("of 10 concurrent callers did not get their own answer", str(mismatch))
