from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event

from supertester.case import IsolatedTestCase
from supertester.targets.stdio.pipe_server import PipeServer


class TestClose(IsolatedTestCase):
    def server(self) -> PipeServer:
        server = PipeServer(lambda link, data: None, write_size=0, name="server")
        self.addCleanup(server.close)
        return server

    def test_a_thread_that_wakes_while_it_is_closed_does_not_end_before_it_is_told(self) -> None:
        server = self.server()
        call, woke = server.call, Event()

        def slowly(function: Callable[[], object]) -> None:
            call(woke.set)
            self.assertTrue(woke.wait(5))
            # Who only sees that it is closed would end here, and nobody would be there to be told.
            server._thread.join(0.05)
            call(function)

        server.call = slowly  # type: ignore[method-assign]
        server.close()
        self.assertFalse(server._thread.is_alive())

    def test_it_is_closed_once_and_calls_nobody_afterwards(self) -> None:
        server = self.server()
        server.close()
        reading, writing = os.pipe()  # One of them may have the number that the server woke its thread by.
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(reading, False)
        server.close()
        server.call(lambda: self.fail("it is closed"))
        with self.assertRaises(BlockingIOError):
            os.read(reading, 1)

    def test_who_comes_when_the_thread_has_ended_already_is_not_hit(self) -> None:
        server = self.server()
        server.call(server._stop)  # As `close` does; the thread may see to it before `call` has woken it.
        server._thread.join(60)
        server.call(lambda: self.fail("it has ended"))
        self.assertTrue(server.close())
