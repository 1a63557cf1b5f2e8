"""`MockPort`: stands in for a program that speaks JSON over pipes, and fails the test for what was not agreed on."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Final, Self

from supertester._core.counts import checked_count
from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.seeds import run_seed
from supertester._core.waiting import checked_seconds, wait_until
from supertester.context import current_context
from supertester.errors import UsageError
from supertester.targets.stdio.errors import ProtocolViolation
from supertester.targets.stdio.pipe_server import Link, PipeServer
from supertester.targets.stdio.script import Answer, Expected, Received, Script
from supertester.targets.stdio.wire import Wire
from supertester.targets.system import need_posix

__all__ = ["MockPort"]

_RELAY: Final = Path(__file__).with_name("relay_program.py")
_ORDERS: Final = ("reversed", "shuffled")
_GARBAGE: Final = b"\xff\xfe\xfd\xfc garbage, no frame\n"
_HEALTHY: Final = {"status": "ok"}
_SILENCE: Final = "no answer"


class MockPort:
    r"""The other side of two pipes, with real bytes on them, that answers as it was told.

    The client under test is given the descriptors of `pipes`, or starts the program `argv`, as it would start its
    worker. A command that is not expected is answered with an error. At the end of the test, or of a ``with`` block,
    the test fails if such a command came or an expected one did not; the message shows what was expected and all that
    came. It may be used from any thread, and in plain tests.

    Args:
        wire: What client and server have agreed on; by default frames with a length of four bytes.
        write_size: Bytes that are written at a time, e.g. 1; ``None``: a whole frame.
        ordered: Whether the expected commands have to come in the order in which they were named. Those of one name do
            so anyway: the first that comes is answered as was said first.
        seed: Decides about the order of shuffled replies; by default that of the test.
        name: What messages call it.

    Example::

        port = MockPort()
        port.expect_command("create_program", {"program_id": "p1"}, args={"signature": "q -> a"})
        client = PortClient(*port.pipes())
        self.assertEqual(client.create("q -> a"), "p1")
    """

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        write_size: int | None = None,
        ordered: bool = False,
        seed: int | None = None,
        name: str = "MockPort",
    ) -> None:
        need_posix("A MockPort", "pipes that can be waited for")
        context = current_context.get()
        in_test = context is not None and not context.closed
        self.name = name
        self._wire = wire or Wire()
        self._write_size = 0 if write_size is None else checked_count("write_size", write_size)
        self._random = random.Random(seed if seed is not None else context.seed if context is not None else run_seed())
        self._lock = RLock()
        self._script = Script(ordered=ordered)
        self._server: PipeServer | None = None
        self._held: list[tuple[Link, Answer]] = []
        self._hold = 0
        self._order = "shuffled"
        self._closed = False
        if in_test:
            assert context is not None
            context.add_cleanup(self.close)
            context.evidence.append(self.report)

    # How the client reaches it -----------------------------------------------------------------------------------

    def pipes(self) -> tuple[int, int]:
        """Return two descriptors: where the client reads answers, and where it writes requests. It closes them.

        Each call makes a connection of its own.
        """
        server = self._serving()
        answers, answering = os.pipe()
        requests, requesting = os.pipe()
        server.connect(requests, answering)
        return answers, requesting

    @property
    def argv(self) -> list[str]:
        """What starts a program that passes on its input and output: for a client that starts its worker itself.

        Arguments that the client adds are ignored. It may be started several times. It ends with its input, or with
        status 1 when the mock closes the connection.
        """
        server = self._serving()
        host, port = server.listen()
        return [sys.executable, "-I", "-S", str(_RELAY), host, str(port), server.token.decode()]

    def _serving(self) -> PipeServer:
        with self._lock:
            if self._closed:
                raise UsageError(f"{self.name} is closed")
            if self._server is None:
                self._server = PipeServer(
                    self._received, write_size=self._write_size, name=f"supertester-mock-{self.name}"
                )
            return self._server

    # What it answers ---------------------------------------------------------------------------------------------

    def expect_command(
        self,
        command: str,
        response: Any = None,
        *,
        args: Any = None,
        fields: Mapping[str, Any] | None = None,
        error: Any = None,
        times: int = 1,
        delay_ms: float = 0,
    ) -> Expected:
        """Expect *command*, and answer it.

        Args:
            command: Its name.
            response: The result, or a function that is given the `Received` and returns it, soon: meanwhile nobody else
                is served.
            args: What its arguments have to be; ``None``: anything.
            fields: What other fields of the request have to be, e.g. ``{"session": "s-1"}``.
            error: Answer with this error instead.
            times: How often it has to come.
            delay_ms: Milliseconds before the answer.

        Returns:
            The expectation, whose ``count`` and ``received`` tell what has come.
        """
        seconds = checked_seconds("delay_ms", delay_ms) / 1000
        return self._expect(command, self._reply(response, error, seconds), args=args, fields=fields, times=times)

    def allow_command(self, command: str, response: Any = None, *, error: Any = None, delay_ms: float = 0) -> Expected:
        """Answer *command* as often as it comes; it need not come. What was expected besides goes first."""
        seconds = checked_seconds("delay_ms", delay_ms) / 1000
        return self._expect(command, self._reply(response, error, seconds), times=None)

    def healthy(self, command: str = "ping", response: Any = _HEALTHY) -> Expected:
        """Be healthy from now on: answer each *command* with *response*."""
        return self.allow_command(command, response)

    def unhealthy(self, command: str = "ping", error: Any = "unhealthy") -> Expected:
        """Be unhealthy from now on: answer each *command* with *error*."""
        return self.allow_command(command, error=error)

    def simulate_timeout(self, command: str, *, times: int = 1) -> Expected:
        """Expect *command* and do not answer it; `reply_late` does so when its caller has given up."""
        return self._expect(command, lambda _: Answer(_SILENCE, is_reply=False), times=times)

    def reply_late(self, silence: Expected, response: Any = None, *, error: Any = None) -> None:
        """Answer now what was expected by `simulate_timeout` and has not been answered so far.

        Raises:
            UsageError: Nothing of it has come.
        """
        with self._lock:
            late = [each for each in silence.received if each.answer == _SILENCE]
            if not late:
                raise UsageError(f"no {silence.command!r} waits for a late reply; see wait_for_command()")
            for received in late:
                answer = self._reply(response, error, 0)(received)
                received.answer = f"late, {answer.words}"
                self._send(received.link, answer)

    def simulate_crash(self, command: str, response: Any = None, *, after_bytes: int = 0) -> Expected:
        """Expect *command*, write only so many bytes of the answer, and close both pipes, as a worker that dies."""
        checked_count("after_bytes", after_bytes, 0)

        def crash(received: Received) -> Answer:
            data = self._wire.encode(self._wire.success_of(received.id, response))
            if after_bytes >= len(data):
                self._script.problem(
                    f"{received.command!r}: a crash after {after_bytes} bytes of an answer of {len(data)} is none"
                )
            return Answer(
                f"crash after {after_bytes} of {len(data)} bytes", data, closes_after=after_bytes, is_reply=False
            )

        return self._expect(command, crash)

    def simulate_garbage(self, command: str, data: bytes = _GARBAGE) -> Expected:
        """Expect *command* and write *data* as it is, instead of an answer."""
        return self._expect(command, lambda _: Answer(f"garbage {shown(data)}", data, is_reply=False))

    def reorder_replies(self, count: int, order: str = "shuffled") -> None:
        """Hold back the next *count* replies, then give all of them in another order: ``shuffled`` or ``reversed``."""
        checked_count("count", count)
        if order not in _ORDERS:
            raise UsageError(f"order must be 'reversed' or 'shuffled', got order={order!r}")
        with self._lock:
            if self._hold:
                raise UsageError(f"{self._hold} replies are to be reordered already; wait for them first")
            self._hold, self._order = count, order

    def _expect(
        self,
        command: str,
        respond: Callable[[Received], Answer],
        *,
        args: Any = None,
        fields: Mapping[str, Any] | None = None,
        times: int | None = 1,
    ) -> Expected:
        if not isinstance(command, str):
            raise TypeError(f"command must be a string, got command={command!r}")
        if times is not None:
            checked_count("times", times)
        expected = Expected(command, args, dict(fields or {}), times, respond)
        with self._lock:
            self._script.expect(expected)
        return expected

    def _reply(self, response: Any, error: Any, delay: float) -> Callable[[Received], Answer]:
        if error is not None:
            if response is not None:
                raise UsageError(f"a reply has a response or an error, got response={response!r} and error={error!r}")
            return lambda received: Answer(
                f"error {shown(error)}", self._wire.encode(self._wire.failure_of(received.id, error)), delay
            )

        def reply(received: Received) -> Answer:
            result = response(received) if callable(response) else response
            return Answer(shown(result), self._wire.encode(self._wire.success_of(received.id, result)), delay)

        if not callable(response):
            self._wire.encode(self._wire.success_of(0, response))  # What JSON cannot say is refused here and now.
        return reply

    # What it hears -----------------------------------------------------------------------------------------------

    def history(self) -> list[Received]:
        """Return all commands that came, in order, with what was done about them."""
        with self._lock:
            return list(self._script.received)

    async def wait_for_command(self, command: str, *, count: int = 1, timeout: float = 5.0) -> Received:
        """Wait until *command* has come *count* times, and return the last of them.

        Raises:
            WaitTimeout: It has not; the message shows what came.
        """
        found = await wait_until(
            lambda: [each for each in self.history() if each.command == command][count - 1 : count],
            f"{self.name} to receive {command!r}" + (f" {count} times" if count > 1 else ""),
            timeout=timeout,
            seen=self.report,
        )
        return found[0]

    def report(self) -> str:
        """Return what came and what was done about it, a line each."""
        with self._lock:
            return str(Mismatch(f"{self.name}: {self._script.heading}", self._script.received))

    def check(self) -> Mismatch | None:
        """Say how what came differs from what was expected, or return ``None``."""
        with self._lock:
            found = self._script.check()
        return None if found is None else Mismatch(f"{self.name}: {found.message}", found.history)

    def close(self) -> None:
        """Close all connections, and fail for what was not as expected; later calls do nothing.

        Raises:
            AssertionError: A command came that was not expected, or one that was did not come.
        """
        if not self._end() and (mismatch := self.check()) is not None:
            raise AssertionError(str(mismatch))

    def _end(self) -> bool:
        """Close all connections; say whether that was done before."""
        with self._lock:
            was_closed, self._closed = self._closed, True
            if not was_closed and self._held:
                self._script.problem(
                    f"{len(self._held)} replies were held back, to be reordered when {self._hold} more commands come"
                )
        if self._server is not None and not self._server.close():
            self._script.problem("a function that was to give a response has not returned")
        return was_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._end()

    def __repr__(self) -> str:
        return f"<MockPort {self.name}, {len(self.history())} commands received>"

    # In the thread of the connections ----------------------------------------------------------------------------

    def _received(self, link: Link, data: bytes) -> None:
        decoder = link.decoder = link.decoder or self._wire.decoder()
        try:
            messages = decoder.feed(data)
        except ProtocolViolation as error:
            with self._lock:
                self._script.problem(f"the client broke the protocol: {error}")
            link.close()
            return
        for message in messages:
            self._take(link, message)

    def _take(self, link: Link, message: Mapping[str, Any]) -> None:
        wire = self._wire
        received = Received(str(message.get(wire.command)), message.get(wire.args), message.get(wire.id), message, link)
        answer = self._answer(received)
        with self._lock:
            if self._hold and answer.is_reply:
                self._hold_back(link, answer)
            else:
                self._send(link, answer)

    def _answer(self, received: Received) -> Answer:
        with self._lock:
            expected = self._script.take(received)
        if expected is None:
            return self._refusal(received, f"{self.name} did not expect {received.command!r}")
        try:
            answer = expected.respond(received)  # Not under the lock: it may be a function of the test's.
        except Exception as error:  # noqa: BLE001 - of the test's function; the client must not wait for ever
            with self._lock:
                self._script.problem(f"the response to {received.command!r} raised {error!r}")
            return self._refusal(received, f"the response of {self.name} raised {error!r}")
        received.answer = answer.words
        return answer

    def _refusal(self, received: Received, why: str) -> Answer:
        received.answer = "refused"
        return Answer(received.answer, self._wire.encode(self._wire.failure_of(received.id, why)))

    def _hold_back(self, link: Link, answer: Answer) -> None:
        self._held.append((link, answer))
        self._hold -= 1
        if self._hold:
            return
        held, self._held = self._held, []
        if self._order == "reversed":
            held.reverse()
        else:
            self._random.shuffle(held)
        for each in held:
            self._send(*each)

    def _send(self, link: Link, answer: Answer) -> None:
        data, server = answer.data, self._server
        if data is None or server is None:
            return
        send = partial(link.send, data, closes_after=answer.closes_after)
        if answer.delay:
            server.call_later(answer.delay, send)
        else:
            server.call(send)
