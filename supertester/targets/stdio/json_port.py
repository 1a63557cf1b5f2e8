"""`JsonPort`: calls to a program over its standard input and output, each answer given to whoever asked for it."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from supertester._core.waiting import checked_seconds
from supertester.context import current_context
from supertester.errors import WaitTimeout
from supertester.targets.external import ExternalProcess, start_process
from supertester.targets.stdio.errors import PortClosed, PortError, PortTimeout, ProtocolViolation, RemoteError
from supertester.targets.stdio.wire import Wire
from supertester.targets.system import need_posix

__all__ = ["JsonPort", "start_json_port"]

_CHUNK: Final = 1 << 16
_OBITUARY: Final = 1.0
"""Seconds in which a program that has closed its output has to end, for the error to tell how it did."""


async def start_json_port(
    argv: Sequence[str | os.PathLike[str]], *, wire: Wire | None = None, **options: Any
) -> JsonPort:
    """Start a program that speaks JSON over its standard input and output, and return the port to it.

    What it writes to its standard error is kept, and shown when the test fails. Port and program end with the test.

    Args:
        argv: The program and its arguments.
        wire: What was agreed on with it; by default frames with a length of four bytes.
        options: Those of `start_process`.

    Raises:
        StartFailed: It cannot be started, or ends before it is ready.
        WaitTimeout: It is not ready in time.

    Example::

        port = await start_json_port([sys.executable, "worker.py"], wire=Wire(framing="lines"))
        assert await port.call("add", {"a": 1, "b": 2}) == 3
    """
    reading, writing = os.pipe()
    try:
        process = await start_process(argv, stdout=writing, **options)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return JsonPort(reading, os.dup(process.stdin.fileno()), wire, process=process)


class JsonPort:
    """The client's side of two pipes over which JSON is spoken; many calls may be under way at once.

    Args:
        reading: The descriptor that answers come from. The port closes it.
        writing: The descriptor that requests go to. The port closes it.
        wire: What was agreed on with the other side; by default frames with a length of four bytes.
        process: The program on the other side, for messages; it is stopped with the port.

    Attributes:
        process: The program on the other side, if there is one.
        late_replies: How many answers came when nobody waited for them any more; they are dropped.
    """

    def __init__(
        self, reading: int, writing: int, wire: Wire | None = None, *, process: ExternalProcess | None = None
    ) -> None:
        need_posix("A JsonPort", "pipes that an event loop can wait for")
        self.process = process
        self.late_replies = 0
        self._wire = wire or Wire()
        self._decoder = self._wire.decoder()
        self._reading, self._writing = reading, writing
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._last = 0
        self._outgoing = bytearray()
        self._lost: PortError | None = None
        self._loop = asyncio.get_running_loop()
        for each in (reading, writing):
            os.set_blocking(each, False)
        self._loop.add_reader(reading, self._read)
        context = current_context.get()
        if context is not None and not context.closed:
            context.add_cleanup(self.close)

    @property
    def calls_under_way(self) -> int:
        """How many calls wait for their answer."""
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be called any more."""
        return self._lost is not None

    async def call(self, command: str, args: Any = None, *, timeout: float = 5.0, **fields: Any) -> Any:
        """Let the other side do something, and return the result.

        Args:
            command: What to do.
            args: What JSON can express; ``None`` stands for no arguments, ``{}``.
            timeout: Seconds.
            fields: More fields of the request, such as ``session="s-1"``.

        Raises:
            PortTimeout: There is no answer in time.
            RemoteError: It answered with an error.
            PortClosed: The other side is gone.
            ProtocolViolation: What came could not be understood.
        """
        checked_seconds("timeout", timeout)
        if self._lost is not None:
            raise await self._obituary(self._lost)
        number = self._last = next(self._numbers)
        frame = self._wire.encode(self._wire.request(number, command, {} if args is None else args, fields))
        answer = self._waiting[number] = self._loop.create_future()
        try:
            self._send(frame)
            async with asyncio.timeout(timeout):
                reply = await answer
        except TimeoutError:
            raise PortTimeout(self._timed_out(command, timeout)) from None
        except PortClosed as lost:
            raise await self._obituary(lost) from None
        finally:
            self._waiting.pop(number, None)
        if not self._wire.succeeded(reply):
            raise RemoteError(command, reply.get(self._wire.error))
        return reply.get(self._wire.result)

    def _timed_out(self, command: str, timeout: float) -> str:
        state = "" if self.process is None else f"\n{self.process.report()}"
        return f"no answer to {command!r} within {timeout:g} s{state}"

    async def _obituary(self, lost: PortError) -> PortError:
        """Return *lost* with how the program ended, as far as that is known by now."""
        if self.process is None or not isinstance(lost, PortClosed):
            return type(lost)(*lost.args)
        with suppress(WaitTimeout):
            await self.process.wait(_OBITUARY)
        return PortClosed(f"{lost}\n{self.process.report()}")

    # Pipes -------------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        is_idle = not self._outgoing
        self._outgoing += frame
        if is_idle:
            self._write()

    def _write(self) -> None:
        """Write as much as the pipe takes; the rest when it takes more."""
        try:
            sent = os.write(self._writing, self._outgoing)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            while self._read():  # It may have answered before it ended.
                pass
            self._lose(PortClosed(f"the other side reads no more: {error}"))
            return
        del self._outgoing[:sent]
        if self._outgoing:
            self._loop.add_writer(self._writing, self._write)
        else:
            self._loop.remove_writer(self._writing)

    def _read(self) -> bool:
        """Take in what has come; say whether there may be more."""
        if self._lost is not None:
            return False
        try:
            data = os.read(self._reading, _CHUNK)
            if not data:
                self._lose(PortClosed(self._ended()))
            for message in self._decoder.feed(data):
                self._take(message)
        except BlockingIOError:
            return False
        except ProtocolViolation as error:
            self._lose(error)
        except OSError as error:
            self._lose(PortClosed(f"cannot read from the other side: {error}"))
        return True

    def _ended(self) -> str:
        cut = f" in the middle of a frame, after {self._decoder.pending} bytes of it" if self._decoder.pending else ""
        return f"the other side has ended{cut}"

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get(self._wire.id)
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        elif isinstance(number, int) and 0 < number <= self._last:
            self.late_replies += 1
        else:
            raise ProtocolViolation(f"an answer to {number!r}, which nobody has asked: {message!r}")

    def _lose(self, error: PortError) -> None:
        """Be closed, and let all calls that are under way fail with *error*."""
        if self._lost is not None:
            return
        self._lost = error
        self._loop.remove_reader(self._reading)
        self._loop.remove_writer(self._writing)
        os.close(self._reading)
        os.close(self._writing)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(type(error)(*error.args))

    # The end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close both pipes and stop the program, if there is one; calls that are under way fail."""
        self._lose(PortClosed("the port was closed"))
        if self.process is not None:
            await self.process.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        what = self.process.name if self.process is not None else f"{self._reading}, {self._writing}"
        return f"<JsonPort {what}, {'closed' if self.is_closed else f'{self.calls_under_way} calls under way'}>"
