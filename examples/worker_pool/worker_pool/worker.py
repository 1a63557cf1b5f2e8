"""One worker process, as the pool sees it: started, asked, watched, and gone for good when it is stopped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from worker_pool import wire
from worker_pool.errors import WorkerStartError
from worker_pool.stream import Stream

COMMAND = (sys.executable, "-m", "worker_pool")
_SHOWN = 2_000
"""Bytes of its errors that a worker that does not start is shown with."""
# A worker that computes does so with its own threads, not with as many as there are processors for each library.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Worker:
    """A process that lives until `stop`, or until it dies; what follows it has the same id and the next generation.

    Attributes:
        started_at: When it was started, by the monotonic clock.
        exit_status: How it ended, negative for a signal; `None` until it has been stopped.
    """

    def __init__(
        self,
        id: str,
        generation: int,
        *,
        run_id: str,
        threads: int = 4,
        command: Sequence[str] = COMMAND,
        dial: Callable[[Worker], str] | None = None,
        interceptors: Sequence[Any] = (),
    ) -> None:
        self.id = id
        self.generation = generation
        self.run_id = run_id
        self.port = 0
        self.started_at = time.monotonic()
        self.exit_status: int | None = None
        self._dial = dial or (lambda worker: f"127.0.0.1:{worker.port}")
        self._interceptors = interceptors
        self._channel: Any = None
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker is
        self._nudge, self._answered = (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2))
        self._spawn([*command, "--id", id, "--run-id", run_id, "--threads", str(threads)])

    def _spawn(self, command: list[str]) -> None:
        self._ready, ready = os.pipe()
        life, self._lifeline = os.pipe()
        home = str(Path(__file__).parent.parent)
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        try:
            self._process = subprocess.Popen(
                [*command, "--ready-fd", str(ready), "--life-fd", str(life)],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env={**_ONE_THREAD, **os.environ, "PYTHONPATH": path},
                pass_fds=(ready, life),
                start_new_session=True,
            )
        except OSError as error:
            self._close(self._ready, self._lifeline, self._nudge, self._answered)
            self._errors.close()
            raise WorkerStartError(f"worker {self.id} cannot be started: {error}") from error
        finally:
            self._close(ready, life)
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)

    def await_ready(self, timeout: float) -> None:
        """Return once it serves: it has said so, its channel is connected, and its health service agrees.

        Raises:
            WorkerStartError: It ended before, or took longer than *timeout* seconds.
        """
        deadline = time.monotonic() + timeout
        said = b""
        while not said.endswith(b"\n"):
            happened = self._wait((self._ready, self._pidfd), deadline - time.monotonic())
            said += (data := os.read(self._ready, 1024) if self._ready in happened else b"")
            if not data:
                # The pipe of one that ends is closed a little earlier than it is dead.
                self._gone(1.0 if self._ready in happened else 0.0)
                raise self._not_started(f"was not ready within {timeout:g} s")
        self.port = wire.unpacked(said)["port"]
        channel = grpc.insecure_channel(self._dial(self), options=wire.CLIENT_OPTIONS)
        channel = grpc.intercept_channel(channel, *self._interceptors) if self._interceptors else channel
        self._execute = channel.unary_unary(wire.EXECUTE)
        self._stream = channel.unary_stream(wire.STREAM)
        self._health = health_pb2_grpc.HealthStub(channel)
        with self._lock:
            self._channel = channel
        if not self.is_healthy(max(deadline - time.monotonic(), 0.0)):
            raise self._not_started("said that it was ready, and is not healthy")

    def _not_started(self, how: str) -> WorkerStartError:
        if self._gone(0):
            how = f"ended with status {self._status()}"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(size - _SHOWN, 0))
        words = self._errors.read().decode(errors="replace").strip()
        return WorkerStartError(f"worker {self.id} (pid {self.pid}) {how}; it said: {words or '(nothing)'}")

    def call(self, body: bytes, timeout: float) -> Any:
        """Return what the tool returns.

        Raises:
            WorkerLost: The worker, or the way to it, broke.
            CallTimeout: It took longer than *timeout* seconds.
            ToolError: It was refused, or failed.
        """
        try:
            return wire.unpacked(self._execute(body, timeout=timeout))
        except (grpc.RpcError, ValueError) as error:
            raise wire.translated(error, self) from error

    def stream(self, body: bytes, timeout: float) -> Stream:
        """Return the chunks of a tool that streams; taking them raises what `call` does."""
        try:
            return Stream(self._stream(body, timeout=timeout), self)
        except ValueError as error:
            raise wire.translated(error, self) from error

    def is_healthy(self, timeout: float) -> bool:
        """Say whether its health service answers within *timeout* seconds that it serves; at once if it is dead."""
        deadline = time.monotonic() + timeout
        try:
            answer = self._health.Check.future(health_pb2.HealthCheckRequest(), timeout=timeout, wait_for_ready=True)
        except ValueError:  # The channel is closed.
            return False
        answer.add_done_callback(lambda _: self._ring(self._answered))
        while not answer.done():
            left = deadline - time.monotonic()
            if left < 0 or self._pidfd in self._wait((self._pidfd, self._answered), left):
                answer.cancel()
                return False
            self._silence(self._answered)
        good: bool = answer.code() is grpc.StatusCode.OK and answer.result().status == 1
        return good

    def alive(self) -> bool:
        with self._lock:
            return self.exit_status is None and not self._gone(0)

    def has_ended(self, timeout: float | None) -> bool:
        """Wait for its end, for a nudge, or for *timeout* seconds, and say whether it has ended."""
        happened = self._wait((self._pidfd, self._nudge), timeout)
        self._silence(self._nudge)
        return self._pidfd in happened

    def nudge(self) -> None:
        """Let who waits in `has_ended` have a look."""
        self._ring(self._nudge)

    def _ring(self, bell: int) -> None:
        with self._lock:
            if self.exit_status is None:
                os.eventfd_write(bell, 1)

    @staticmethod
    def _silence(bell: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(bell)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to its process group, unless it has been stopped."""
        with self._lock, suppress(ProcessLookupError):
            if self.exit_status is None:
                os.killpg(self.pid, number)

    def stop(self, grace: float) -> int:
        """End it: by the end of its lifeline, by SIGTERM, and by SIGKILL with all that it has started; return how."""
        if self.exit_status is not None:
            return self.exit_status
        self._close(self._lifeline)
        self.kill(signal.SIGCONT)  # One that stands still cannot hear that it is to end.
        if not self._gone(grace):
            self.kill(signal.SIGTERM)
            self._gone(grace)
        self.kill()  # Also if it has ended: its group may not have.
        self._gone(None)
        with self._lock:
            self.exit_status = self._process.wait()
            self._close(self._ready, self._pidfd, self._nudge, self._answered)
        self._errors.close()
        if self._channel is not None:
            self._channel.close()
        return self.exit_status

    def _gone(self, timeout: float | None) -> bool:
        return bool(self._wait((self._pidfd,), timeout))

    def _status(self) -> int:
        """Return how it ended, without burying it, so that its number stays its own."""
        found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        assert found is not None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    @staticmethod
    def _wait(descriptors: Sequence[int], timeout: float | None) -> set[int]:
        poll = select.poll()
        for each in descriptors:
            poll.register(each, select.POLLIN)
        return {found for found, _ in poll.poll(None if timeout is None else max(timeout, 0) * 1000)}

    @staticmethod
    def _close(*descriptors: int) -> None:
        for each in descriptors:
            os.close(each)

    def __repr__(self) -> str:
        return f"<Worker {self.id}, generation {self.generation}, pid {self.pid}>"
