"""What the tests share: pools that are closed, workers that can be held up, and what is left of them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

from session_pool import PythonPort, SessionPool

from supertester import IsolatedTestCase
from supertester.targets.stdio import MockPort

POOL_SIZE = int(os.environ.get("SUPERTESTER_POOL_SIZE", "4"))
TROUBLE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("trouble_worker.py")))
SIMPLE = {"inputs": ["value"], "outputs": ["value"]}
PATIENCE = 20.0
"""Seconds that a test waits for what has to come; nobody waits that long unless something is wrong."""


class Gate:
    """Where workers wait that were sent there with the command ``hold``, until they are let go."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._inside: list[socket.socket] = []
        self.args = {"port": self._listener.getsockname()[1]}

    def wait_for(self, count: int = 1, *, timeout: float = PATIENCE) -> list[int]:
        """Return the numbers of *count* processes once they are here.

        Raises:
            AssertionError: They do not come.
        """
        self._listener.settimeout(timeout)
        pids = []
        for _ in range(count):
            try:
                connection, _address = self._listener.accept()
            except TimeoutError:
                raise AssertionError(f"{len(pids)} workers are here at the same time, expected {count}") from None
            self._inside.append(connection)
            with connection.makefile("rb") as lines:
                pids.append(int(lines.readline()))
        return pids

    def open(self) -> None:
        """Let go who is here."""
        while self._inside:
            self._inside.pop().close()

    def close(self) -> None:
        """Let go who is here, and whoever comes."""
        self.open()
        self._listener.close()


class PoolCase(IsolatedTestCase):
    """Starts pools whose workers know the commands of `trouble_worker`, and looks that nothing is left of them."""

    def start_pool(
        self,
        size: int = POOL_SIZE,
        *,
        kind: type[SessionPool] = SessionPool,
        without: Sequence[str] = (),
        wrap: Any = None,
        **options: Any,
    ) -> SessionPool:
        run_id = f"run-{os.getpid()}-{id(self):x}-{size}"
        argv = (*TROUBLE, *(f"--without-{each}" for each in without))
        options.setdefault("port_factory", partial(PythonPort.spawn, run_id, argv=argv, wrap=wrap))
        pool = kind(size, run_id=run_id, **options)
        self.addCleanup(self._close, pool)
        return pool

    def _close(self, pool: SessionPool) -> None:
        pids = [worker.pid for worker in pool.workers()]
        pool.close()
        self.assertEqual([pid for pid in pids if pid and is_there(pid)], [], "the pool is closed, and these are there")

    def gate(self) -> Gate:
        gate = Gate()
        self.addCleanup(gate.close)
        return gate

    def mock_port(self, **options: Any) -> tuple[MockPort, PythonPort]:
        """Return a double of a worker, and a port that has it at the other end."""
        mock = MockPort(**options)
        port = PythonPort(*mock.pipes())
        self.addCleanup(port.close)
        return mock, port

    def in_threads(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """Call *function* with each argument, all at once, and return what each gives: a result or an exception."""
        barrier = Barrier(len(arguments))

        def one(argument: Any) -> Any:
            barrier.wait(PATIENCE)
            return function(argument)

        with ThreadPoolExecutor(len(arguments)) as threads:
            futures = [threads.submit(one, argument) for argument in arguments]
        return [future.exception() or future.result() for future in futures]

    def begin(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Call *function* in a thread of its own."""
        threads = ThreadPoolExecutor(1)
        future = threads.submit(function, *args, **options)
        threads.shutdown(wait=False)
        self.addCleanup(threads.shutdown)
        return future

    @contextmanager
    def saturated(self, pool: SessionPool, count: int | None = None) -> Any:
        """Keep all workers of *pool* busy in the body; they were seen to be."""
        gate = self.gate()
        count = pool.pool_size if count is None else count
        held = [self.begin(pool.execute_anonymous, "hold", gate.args) for _ in range(count)]
        gate.wait_for(count)
        try:
            yield gate
        finally:
            gate.open()
            for each in held:
                each.exception(PATIENCE)

    def await_restarts(self, pool: SessionPool, count: int, timeout: float = PATIENCE) -> None:
        """Wait until *count* workers have been replaced since the pool was started."""
        found = pool.await_status(lambda status: status["metrics"].get("restarts", 0) >= count, timeout)
        self.assertTrue(found, f"{count} restarts were expected: {pool.status()}")
        self.assertEqual(pool.status()["metrics"].get("restarts", 0), count)

    def assert_raised(self, kind: type[Exception], future: Future[Any]) -> Exception:
        with self.assertRaises(kind) as caught:
            future.result(PATIENCE)
        return caught.exception


def is_there(pid: int) -> bool:
    """Say whether there is such a process, also one that has ended and that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def processes_of(run_id: str) -> dict[int, str]:
    """Return the state of each process that has *run_id* in its command line, as ``/proc`` has it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if run_id.encode() in (folder / "cmdline").read_bytes():
                found[int(folder.name)] = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            continue
    return found
