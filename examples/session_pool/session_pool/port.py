"""A port: requests to one worker process, from any number of threads, and its answers."""

from __future__ import annotations

import copy
import json
import os
import select
import selectors
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from typing import Any, Self

from session_pool.child import Child
from session_pool.errors import PortClosed, PortError, PortTimeout, ProtocolViolation, RemoteError, WorkerInitFailed

__all__ = ["MAX_FRAME", "WORKER", "PythonPort", "Wrap"]

WORKER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("bridge_worker.py")))
MAX_FRAME = 16 << 20
_HEADER = struct.Struct(">I")
_LAST_WORDS = 0.2
"""Seconds that a process may take to end after it has closed its output."""

Wrap = Callable[[int, int], tuple[int, int]]


class PythonPort:
    """Speaks frames over two pipes; see `bridge_worker`. Answers may come in any order, and each finds its caller.

    Args:
        reading: The pipe that the answers come from; the port closes it.
        writing: The pipe that the requests go to.
        child: The process at the other end, if it is ours: it ends with the port.
    """

    def __init__(self, reading: int, writing: int, *, child: Child | None = None) -> None:
        self.child = child
        self.late = 0
        """Answers that came when nobody waited for them any more."""
        self._reading, self._writing = reading, writing
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._buffer = bytearray()
        self._ids = count(1)
        self._last = 0
        self._pending: dict[int, Future[dict[str, Any]]] = {}
        self._failure: PortError | None = None
        self._ended = Event()
        self._callbacks: list[Callable[[], object]] = []
        self._lock = Lock()
        self._write_lock = Lock()
        self._thread = Thread(target=self._run, name=f"port-{self.pid}", daemon=True)
        self._thread.start()

    @classmethod
    def spawn(
        cls, run_id: str = "", *, argv: Sequence[str] = WORKER, wrap: Wrap | None = None, timeout: float = 10.0
    ) -> Self:
        """Start a worker process, and return its port once it has answered a ping.

        Args:
            run_id: Stands in its command line.
            argv: The program.
            wrap: May put something between the two: it gets both pipes, and returns those to use.
            timeout: Seconds that the answer may take.

        Raises:
            WorkerInitFailed: It cannot be started, or does not answer; the message has its last words.
        """
        try:
            child = Child([*argv, "--run-id", run_id])
        except OSError as error:
            raise WorkerInitFailed(f"{argv[0]} cannot be started: {error}") from error
        pipes = child.stdout, child.stdin
        port = cls(*(pipes if wrap is None else wrap(*pipes)), child=child)
        try:
            port.call("ping", timeout=timeout)
        except PortError as error:
            port.kill()
            port.close()
            said = f"; it said:\n{child.last_words}" if child.last_words else ""
            raise WorkerInitFailed(f"{argv[0]} is not ready: {error}{said}") from error
        return port

    @property
    def pid(self) -> int | None:
        return None if self.child is None else self.child.pid

    @property
    def alive(self) -> bool:
        """Whether it may be called; false from the moment on when something went wrong."""
        return self._failure is None

    def call(
        self, command: str, args: dict[str, Any] | None = None, *, session: str | None = None, timeout: float = 30.0
    ) -> Any:
        """Send a request, wait for its answer, and return the result.

        Raises:
            RemoteError: The command has failed.
            PortTimeout: There is no answer within *timeout* seconds; if one comes later it is dropped and counted.
            PortClosed: The process has ended.
            ProtocolViolation: It has sent what is no answer.
        """
        deadline = time.monotonic() + timeout
        answer: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._failure is not None:
                raise copy.copy(self._failure)
            number = self._last = next(self._ids)
            self._pending[number] = answer
        try:
            body = json.dumps({"id": number, "command": command, "args": args or {}, "session": session}).encode()
            self._write(_HEADER.pack(len(body)) + body, deadline)
            reply = answer.result(max(deadline - time.monotonic(), 0))
        except TimeoutError:
            raise PortTimeout(f"{command} was not answered within {timeout:.3g} s") from None
        finally:
            with self._lock:
                self._pending.pop(number, None)
        if reply["success"]:
            return reply.get("result")
        raise RemoteError(reply["error"]["kind"], reply["error"]["message"])

    def _write(self, frame: bytes, deadline: float) -> None:
        if not self._write_lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimeoutError
        left = memoryview(frame)
        try:
            while left and self._writing >= 0:
                try:
                    left = left[os.write(self._writing, left) :]
                except BlockingIOError:
                    self._await_room(deadline)
        except BrokenPipeError:
            pass  # It has ended, and whoever reads from it tells the caller so.
        except TimeoutError:
            if len(left) < len(frame):
                self.kill()  # Half a request would make nonsense of all that follow.
            raise
        finally:
            self._write_lock.release()

    def _await_room(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._writing, select.POLLOUT)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError

    # Ending ------------------------------------------------------------------------------------------------------

    def when_ended(self, tell: Callable[[], object]) -> None:
        """Call *tell* once when the port has ended, or at once if it has."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(tell)
                return
        tell()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process and its group; after one that kills, no more calls are taken."""
        if self.child is not None and number == signal.SIGKILL:
            with self._lock:
                self._failure = self._failure or PortClosed("the worker was killed by its owner", -number)
        if self.child is not None:
            self.child.signal_group(number)

    def end_input(self) -> None:
        """Let the process come to its end: it reads no more."""
        if self._write_lock.acquire(timeout=1.0):
            with suppress(OSError):
                os.close(self._writing)
            self._writing = -1
            self._write_lock.release()

    def close(self, grace: float = 1.0) -> int | None:
        """End the process: it is asked, then told, then killed. Return its exit status; nothing is left of it.

        Raises:
            PortError: What is at the other end is none of our processes, and does not close the pipe.
        """
        self.end_input()
        for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGKILL):
            if self._ended.wait(grace if number != signal.SIGCONT else 0):
                break
            self.kill(number)
        if self.child is None and not self._ended.wait(1.0):
            raise PortError("the other end of the port does not close it")
        self._ended.wait()
        if current_thread() is not self._thread:
            self._thread.join()
        return None if self.child is None else self.child.status

    # In the thread that reads --------------------------------------------------------------------------------------

    def _run(self) -> None:
        failure: PortError | None = None
        try:
            self._read_until_it_ends()
        except ProtocolViolation as error:
            failure = error
        finally:
            self._end(failure)

    def _read_until_it_ends(self) -> None:
        with selectors.PollSelector() as selector:
            selector.register(self._reading, selectors.EVENT_READ)
            if self.child is not None:
                selector.register(self.child.stderr, selectors.EVENT_READ)
                selector.register(self.child.ended_fd, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self.child is not None and self.child.stderr in ready:
                    self._read_errors(selector)
                if ready & {self._reading, self.child.ended_fd if self.child else -1} and not self._read_answers():
                    return
                if self.child is not None and self.child.ended_fd in ready:
                    return

    def _read_errors(self, selector: selectors.BaseSelector) -> None:
        assert self.child is not None
        if not self.child.read_errors():
            selector.unregister(self.child.stderr)

    def _read_answers(self) -> bool:
        """Handle what has come; say whether more may come."""
        try:
            while data := os.read(self._reading, 1 << 16):
                self._buffer += data
                self._take_frames()
        except BlockingIOError:
            return True
        return False

    def _take_frames(self) -> None:
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise ProtocolViolation(f"a frame of {length} bytes; {MAX_FRAME} are allowed")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            self._take(body)

    def _take(self, body: bytes) -> None:
        try:
            reply = json.loads(body)
            number, good = reply["id"], reply["success"]
            if not good:
                reply["error"]["kind"], reply["error"]["message"]
        except (ValueError, TypeError, KeyError) as error:
            raise ProtocolViolation(f"{body[:80]!r} is no answer: {error!r}") from None
        with self._lock:
            answer = self._pending.pop(number, None) if isinstance(number, int) else None
            if answer is not None:
                answer.set_result(reply)
            elif isinstance(number, int) and 0 < number <= self._last:
                self.late += 1
            else:
                raise ProtocolViolation(f"{body[:80]!r} answers the request {number!r}, which nobody has made")

    def _end(self, failure: PortError | None) -> None:
        failure = self._reap(failure)
        with self._lock:
            self._failure = self._failure or failure
            pending, self._pending = self._pending, {}
        with self._write_lock:
            with suppress(OSError):
                os.close(self._writing)
            self._writing = -1
        os.close(self._reading)
        for answer in pending.values():
            answer.set_exception(copy.copy(self._failure))
        with self._lock:
            self._ended.set()
            callbacks = self._callbacks
        for tell in callbacks:
            tell()

    def _reap(self, failure: PortError | None) -> PortError:
        """Let nothing be left of the process, and return why the port has ended."""
        cut = ProtocolViolation(f"the answers ended {len(self._buffer)} bytes into a frame")
        if self.child is None:
            return failure or (cut if self._buffer else PortClosed("the other end has closed the pipe"))
        poll = select.poll()
        poll.register(self.child.ended_fd, select.POLLIN)
        by_itself = failure is None and poll.poll(_LAST_WORDS * 1000)
        status = self.child.reap()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return failure or (PortClosed(f"the worker ended with {how}", status) if by_itself else cut)
