"""The inside of a worker process: what it reads and writes, and running it as a real program."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import reduce
from typing import Any, Protocol

from supertester.errors import UsageError

__all__ = ["Stdio", "Worker", "address_of", "run_worker"]


class Worker(Protocol):
    """An async function that is a worker's whole program; what it returns is the exit code, ``None`` for 0."""

    def __call__(self, stdio: Stdio, /, *args: Any) -> Coroutine[Any, Any, int | None]: ...


class Stdio:
    """The standard streams of a worker, from within.

    Iterate over it for the lines of the input, without their ends.

    Attributes:
        stdin: The input, as asyncio's ``StreamReader``.
    """

    def __init__(
        self, stdin: asyncio.StreamReader, write: Callable[[bytes], object], write_error: Callable[[bytes], object]
    ) -> None:
        self.stdin = stdin
        self._write = write
        self._write_error = write_error

    async def read_line(self) -> str | None:
        """Return the next line of the input without its end; ``None`` when the input has ended."""
        line = await self.stdin.readline()
        return line.decode().rstrip("\n") if line else None

    async def write_line(self, text: str) -> None:
        """Write a line to the output; others may go on meanwhile."""
        self.write(f"{text}\n".encode())
        await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Write *data* to the output, in one piece."""
        self._write(data)

    def log_line(self, text: str) -> None:
        """Write a line to the error output."""
        self._write_error(f"{text}\n".encode())

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self.read_line()) is not None:
            yield line


def address_of(worker: Worker) -> str:
    """Return where a program of its own finds *worker*: ``package.module:function``.

    Raises:
        UsageError: It is no function of a module that can be imported.
    """
    module, name = getattr(worker, "__module__", None), getattr(worker, "__qualname__", "")
    if not module or module == "__main__" or not name or "<" in name:
        raise UsageError(
            f"{worker!r} cannot be run in a process of its own, because it is no function of an importable module; "
            "move it to one, or give argv=[...] of a program that does the same"
        )
    return f"{module}:{name}"


def run_worker(worker: Worker | str, *args: Any) -> None:
    """Be the program of *worker*: connect it with the real standard streams, and exit with what it returns.

    Args:
        worker: The function, or where to find it: ``"package.module:function"``.
        args: Passed to it after the streams.

    Raises:
        SystemExit: At its end, with its exit code.

    Example, as the last lines of a module that is started as a program::

        if __name__ == "__main__":
            run_worker(doubler)
    """
    if isinstance(worker, str):
        module, _, name = worker.partition(":")
        worker = reduce(getattr, name.split("."), importlib.import_module(module))
    sys.exit(asyncio.run(_serve(worker, args)) or 0)


async def _serve(worker: Worker, args: tuple[Any, ...]) -> int | None:
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin.buffer)
    return await worker(Stdio(stdin, _writing_to(sys.stdout.buffer), _writing_to(sys.stderr.buffer)), *args)


def _writing_to(file: Any) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        file.write(data)
        file.flush()

    return write
