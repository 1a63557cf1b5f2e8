"""`MockWorker`: behaves like a worker, and is no process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

from worker_pool import CallTimeout, PoolError, Stream, ToolError, WorkerLost, wire
from worker_pool.server import Call, Refused, Tools

_numbers = itertools.count(1)


class MockWorker:
    """A worker whose tools run in the thread of the caller; it can be killed and frozen like a real one."""

    def __init__(self, id: str, generation: int, *, run_id: str = "", **options: Any) -> None:
        self.id = id
        self.generation = generation
        self.run_id = run_id
        self.pid = -next(_numbers)  # That is nobody's.
        self.started_at = time.monotonic()
        self.exit_status: int | None = None
        self.frozen = threading.Event()
        self._tools = Tools(id)
        self._dead = threading.Event()
        self._wake = threading.Condition()
        self._nudged = False

    def await_ready(self, timeout: float) -> None:
        """Be ready, as it always is."""

    def call(self, body: bytes, timeout: float) -> Any:
        context = _Context(self, timeout)
        with _Failing():
            self._give_in(context)
            call = Call(body, context)
            call.abandoned = context.over
            tool = getattr(self._tools, f"do_{call.tool}", None)
            if tool is None:
                raise ToolError("UNIMPLEMENTED", f"there is no tool {call.tool!r}")
            with self._tools.counted(stream=False):
                found = tool(call)
            self._give_in(context)
            return found

    def stream(self, body: bytes, timeout: float) -> Stream:
        return Stream(_Chunks(self._chunks(body, timeout)), self)

    def _chunks(self, body: bytes, timeout: float) -> Iterator[bytes]:
        context = _Context(self, timeout)
        with _Failing():
            self._give_in(context)
            call = Call(body, context)
            call.abandoned = context.over
            tool = getattr(self._tools, f"stream_{call.tool}", None)
            if tool is None:
                raise ToolError("UNIMPLEMENTED", f"there is no tool {call.tool!r}")
            with self._tools.counted(stream=True):
                for chunk in tool(call):
                    self._give_in(context)
                    yield wire.packed(chunk)
            self._give_in(context)

    def is_healthy(self, timeout: float) -> bool:
        return not self._dead.is_set() and not self.frozen.is_set()

    def alive(self) -> bool:
        return not self._dead.is_set()

    def has_ended(self, timeout: float | None) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._nudged or self._dead.is_set(), timeout)
            self._nudged = False
        return self._dead.is_set()

    def nudge(self) -> None:
        with self._wake:
            self._nudged = True
            self._wake.notify_all()

    def kill(self, number: int = 9) -> None:
        self._dead.set()
        self.nudge()

    def stop(self, grace: float) -> int:
        if self.exit_status is None:
            self.exit_status = -9 if self._dead.is_set() else 0
            self.kill()
        return self.exit_status

    def _give_in(self, context: _Context) -> None:
        """Raise what a call hears whose worker is dead, or whose deadline has passed."""
        if self._dead.is_set():
            raise WorkerLost(f"{self} was lost during the call")
        if self.frozen.is_set():
            context.over.wait(float("inf"))
        if self._dead.is_set():
            raise WorkerLost(f"{self} was lost during the call")
        if context.over.is_set():
            raise CallTimeout(f"{self} did not answer in time")

    def __repr__(self) -> str:
        return f"<MockWorker {self.id}, generation {self.generation}>"


class _Chunks:
    """A generator that can be cancelled."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __next__(self) -> bytes:
        chunk: bytes = next(self._chunks)
        return chunk

    def cancel(self) -> None:
        self._chunks.close()


class _Failing:
    """Turns what a tool raises into what a caller over the network would get."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Refused):
            raise ToolError(error.code.name, str(error)) from error
        if isinstance(error, Exception) and not isinstance(error, PoolError):
            raise ToolError("INTERNAL", f"{type(error).__name__}: {error}") from error


class _Context:
    """What a tool sees of its call: whether anybody still waits for it."""

    def __init__(self, worker: MockWorker, timeout: float) -> None:
        self.over: Any = _Over(worker, time.monotonic() + timeout)

    def add_callback(self, callback: Any) -> None:
        """Forget it: the call itself tells."""


class _Over:
    """An event that is set by the deadline, or by the death of the worker."""

    def __init__(self, worker: MockWorker, deadline: float) -> None:
        self._worker = worker
        self._deadline = deadline

    def is_set(self) -> bool:
        return not self._worker.alive() or time.monotonic() >= self._deadline

    def wait(self, seconds: float) -> bool:
        left = max(self._deadline - time.monotonic(), 0.0)
        return self._worker._dead.wait(min(seconds, left)) or self.is_set()
