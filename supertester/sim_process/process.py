"""`SimProcess`: a worker process that is simulated, with the outside of ``asyncio.subprocess.Process``."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from weakref import WeakKeyDictionary

from supertester._core.naming import describe
from supertester._core.waiting import checked_seconds
from supertester.errors import WaitTimeout
from supertester.sim_process.faults import faults_for
from supertester.sim_process.pipe import Pipe
from supertester.sim_process.worker import Stdio, Worker

__all__ = ["SimProcess", "Stdin"]

_KILL: Final = 9
_KILLED: Final = -_KILL
_TERMINATE: Final = 15
_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""The last pid of each loop: the same in every run of a schedule."""


class Stdin:
    """The input of a simulated process, seen from outside: what of asyncio's ``StreamWriter`` a pipe has."""

    def __init__(self, process: SimProcess, pipe: Pipe) -> None:
        self._process = process
        self._pipe = pipe
        self._is_closing = False

    def write(self, data: bytes) -> None:
        """Put *data* on its way to the process; one that has ended never reads it."""
        if self._is_closing:
            raise RuntimeError("the input is closed already")
        self._pipe.write(bytes(data))

    def writelines(self, data: Sequence[bytes]) -> None:
        """Write all of *data*."""
        self.write(b"".join(data))

    async def drain(self) -> None:
        """Let others go on.

        Raises:
            ConnectionResetError: The process has ended.
        """
        await asyncio.sleep(0)
        if not self._process.is_running():
            raise ConnectionResetError("Connection lost")

    def can_write_eof(self) -> bool:
        """Say that it can."""
        return True

    def write_eof(self) -> None:
        """Put the end of the input on its way."""
        self.close()

    def close(self) -> None:
        """Put the end of the input on its way, once."""
        if not self._is_closing:
            self._is_closing = True
            self._pipe.write_eof()

    def is_closing(self) -> bool:
        """Say whether it is closed."""
        return self._is_closing

    async def wait_closed(self) -> None:
        """Let others go on."""
        await asyncio.sleep(0)


class SimProcess:
    """A worker process of the operating system, simulated; with ``live=True`` a real one, used in the same way.

    The worker is an async function that is given its standard streams, a `Stdio`. Where schedules are explored, all
    that a real process leaves open is a choice: when it starts, when each piece of what it reads and writes arrives,
    whether its end is known before its last output or after. With `supertester.schedule.faults.Faults` it may also be
    killed or crash at any point (``kill``, ``crash``), be killed with half a line written (``kill``), start late or
    have late output (``delay``).

    Attributes:
        name: What it is called in reports, and by the targets of faults.
        pid: A number that no other simulated process of the loop has; negative, so that nobody takes it for a real one.
        stdin: Its input, with ``write``, ``drain`` and ``close`` of a ``StreamWriter``.
        stdout: Its output, a ``StreamReader``.
        stderr: Its error output, a ``StreamReader``.
        returncode: Its exit code once the end is known, else ``None``; negative for a signal.

    >>> async def doubler(stdio):
    ...     async for line in stdio:
    ...         await stdio.write_line(str(2 * int(line)))
    >>> async def main():
    ...     async with await SimProcess.start(doubler) as process:
    ...         await process.write_line("21")
    ...         return await process.read_line()
    >>> asyncio.run(main())
    '42'
    """

    slow_start: float = 0

    def __init__(self, worker: Worker, args: tuple[Any, ...], name: str) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.pid = _numbers[loop] = _numbers.get(loop, 0) - 1
        self.returncode: int | None = None
        self._code: int | None = None
        self._loop = loop
        self._faults = faults_for(self, loop)
        self._input = Pipe(f"{name} stdin", self._faults)
        self.output = Pipe(f"{name} stdout", self._faults)
        self._errors = Pipe(f"{name} stderr")
        self._signals = _Signals(self)
        self._exit = _Exit(self)
        self._ended: asyncio.Future[None] = loop.create_future()
        self.stdin: Any = Stdin(self, self._input)
        self.stdout: Any = self.output.reader
        self.stderr: Any = self._errors.reader
        self._task = loop.create_task(self._run(worker, args), name=name)
        self._task.add_done_callback(self._gone)
        if self._faults is not None:
            self._faults.begin()

    @classmethod
    async def start(
        cls,
        worker: Worker,
        *args: Any,
        live: bool = False,
        argv: Sequence[str] | None = None,
        name: str | None = None,
    ) -> SimProcess:
        """Start a worker process.

        Args:
            worker: Its program, an async function that is given a `Stdio` and *args*; what it returns is the exit code.
            args: Passed to it; for a real process they travel as JSON.
            live: Start a real process instead, which runs the same function, or *argv*.
            argv: The command line of a program that does what *worker* does; by default a Python that imports it.
            name: What to call it; by default the name of the function.

        Raises:
            UsageError: *live* asks for a function that no other process can import.
        """
        if not callable(worker):
            raise TypeError(f"a worker is an async function that takes a Stdio, got {worker!r}")
        name = name or describe(worker).rpartition(".")[2]
        if live:
            from supertester.sim_process.live import LiveProcess

            return await LiveProcess.begin(worker, args, name, argv)
        await asyncio.sleep(0)  # As it takes a while to start a real one, in which others go on.
        return cls(worker, args, name)

    # Inside ----------------------------------------------------------------------------------------------------------

    async def _run(self, worker: Worker, args: tuple[Any, ...]) -> None:
        if self.slow_start:
            await asyncio.sleep(self.slow_start)
        if self._faults is not None:
            self._faults.started()
        try:
            code = await worker(Stdio(self._input.reader, self._write, self._write_error), *args)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:  # noqa: BLE001  # As in a real program: told on the error output.
            self._write_error(traceback.format_exc().encode())
            code = 1
        self.end(code or 0)

    def _write(self, data: bytes) -> None:
        if self._code is None:
            self.output.write(data)

    def _write_error(self, data: bytes) -> None:
        if self._code is None:
            self._errors.write(data)

    def crash(self) -> None:
        """End as with an exception that nobody catches."""
        self._write_error(b"Traceback (most recent call last):\nRuntimeError: the schedule let it crash here\n")
        self.end(1)

    def end(self, code: int) -> None:
        """End now, with *code*; that this is known, and the rest of the output, are still to arrive."""
        if self._code is None:
            self._code = code
            if asyncio.current_task(self._loop) is not self._task:
                self._task.cancel()
            if self._faults is not None:
                self._faults.ended()
            self.output.write_eof()
            self._errors.write_eof()

    def _gone(self, task: asyncio.Task[None]) -> None:
        """Put the news of its end on their way, now that none of its code will run any more."""
        if not task.cancelled():
            task.exception()  # Of a worker that failed while it was being ended: nobody would hear of it.
        self.end(_KILLED)  # If somebody else has cancelled it, as the end of a program does.
        if not self._loop.is_closed():
            self._loop.call_soon(self._exit.known)

    def is_running(self) -> bool:
        """Say whether it has not ended, whether or not that is known outside."""
        return self._code is None

    # Outside ---------------------------------------------------------------------------------------------------------

    def send_signal(self, signal: int) -> None:
        """Send it a signal, which ends it as soon as it arrives: with exit code ``-signal``.

        Raises:
            ProcessLookupError: It is known to have ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError(f"{self!r} has ended")
        self._loop.call_soon(self._signals.arrive, int(signal))

    def kill(self) -> None:
        """Send it the signal that cannot be resisted."""
        self.send_signal(_KILL)

    def terminate(self) -> None:
        """Send it the signal that asks it to end; a simulated one obeys."""
        self.send_signal(_TERMINATE)

    async def wait(self) -> int:
        """Wait until its end is known, and return its exit code."""
        await asyncio.shield(self._ended)
        assert self.returncode is not None
        return self.returncode

    async def communicate(self, input: bytes | None = None) -> tuple[bytes, bytes]:
        """Write *input* and its end, and return all of the output and of the error output."""
        if input is not None:
            self.stdin.write(input)
        self.stdin.close()
        output, errors, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return output, errors

    # Lines -----------------------------------------------------------------------------------------------------------

    async def write_line(self, text: str) -> None:
        """Write *text* and the end of the line to its input.

        Raises:
            ConnectionResetError: It has ended.
        """
        self.stdin.write(f"{text}\n".encode())
        await self.stdin.drain()

    async def read_line(self, timeout: float = 5.0) -> str | None:
        """Return the next line of its output, without the end of the line; ``None`` when the output has ended.

        Raises:
            EOFError: The output ended in the middle of a line.
            WaitTimeout: No line came within *timeout* seconds.
        """
        try:
            async with asyncio.timeout(checked_seconds("timeout", timeout)):
                line: bytes = await self.stdout.readline()
        except TimeoutError:
            raise WaitTimeout(f"no line from {self.name} within {timeout} s") from None
        if line and not line.endswith(b"\n"):
            raise EOFError(f"the output of {self.name} ended in the middle of a line: {line.decode()!r}")
        return line.decode().rstrip("\n") if line else None

    # The end ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.returncode is None:
            self.kill()
            await self.wait()

    def __repr__(self) -> str:
        end = "" if self.returncode is None else f" ended with {self.returncode}"
        return f"<{type(self).__name__} {self.name}{end}>"


class _Signals:
    """Signals on their way to a process."""

    schedule_lane: ClassVar[str] = "delivery"

    def __init__(self, process: SimProcess) -> None:
        self._process = process
        self.schedule_label = f"{process.name} signals"

    def arrive(self, signal: int) -> None:
        self._process.end(-signal)


class _Exit:
    """The news of its end on their way to whoever started a process."""

    schedule_lane: ClassVar[str] = "delivery"

    def __init__(self, process: SimProcess) -> None:
        self._process = process
        self.schedule_label = f"{process.name} exit"

    def known(self) -> None:
        process = self._process
        process.returncode = process._code
        if not process._ended.done():
            process._ended.set_result(None)
