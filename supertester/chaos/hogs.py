"""What takes a resource away, and gives it back: one class for each resource."""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from supertester.chaos.limits import MB
from supertester.context import current_context
from supertester.otp.genserver import GenServer
from supertester.otp.process import Process
from supertester.otp.reasons import NORMAL

__all__ = ["Descriptors", "Disk", "Hog", "Memory", "Processes", "Tables", "Tasks", "Threads", "temporary_folder"]


class Hog(Protocol):
    """Takes a resource away."""

    unit: str
    """What is counted."""

    async def take(self, count: int | None) -> tuple[int, bool]:
        """Take *count*, or all there is; return how many it got, and whether there were no more."""
        ...

    async def release(self) -> None:
        """Give all of it back; when this returns, that is done."""
        ...

    def evidence(self) -> dict[str, Any]:
        """Return what else shows that it was really taken, as it stands now."""
        return {}


class Tasks(Hog):
    """Tasks of the running event loop that wait."""

    unit = "tasks"

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        loop = asyncio.get_running_loop()
        gate = asyncio.Event()
        self._tasks = [loop.create_task(_wait(gate), name="supertester chaos") for _ in range(count)]
        await asyncio.sleep(0)  # So that each has begun.
        return count, False

    async def release(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _wait(gate: asyncio.Event) -> None:
    await gate.wait()


class Threads(Hog):
    """Threads that wait."""

    unit = "threads"

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._gate = threading.Event()

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        for _ in range(count):
            thread = threading.Thread(target=self._gate.wait, name="supertester chaos", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # The system has no more.
                return len(self._threads), True
            self._threads.append(thread)
        return count, False

    async def release(self) -> None:
        self._gate.set()
        for thread in self._threads:
            thread.join()


class Idle(GenServer):
    """A server that nobody needs."""


class Processes(Hog):
    """Processes of the embedded runtime that nobody talks to."""

    unit = "processes"

    def __init__(self) -> None:
        self._processes: list[Process] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        for _ in range(count):
            process = await Idle.start()
            assert isinstance(process, Process)
            self._processes.append(process)
        return count, False

    async def release(self) -> None:
        if not self._processes:
            return
        deaths = self._processes[0].runtime.deaths
        before = list(deaths)
        for process in self._processes:
            process.die(NORMAL)
        deaths.clear()  # They would push out the deaths that matter to whoever looks for the cause of a failure.
        deaths.extend(before)


class Tables(Hog):
    """Tables of the running test, or plain dictionaries where no test has any."""

    unit = "tables"

    def __init__(self) -> None:
        self._held = ExitStack()
        self._plain: list[dict[Any, Any]] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        context = current_context.get()
        if context is not None and context.has_feature is not None and context.has_feature("tables"):
            tables = context.feature("tables")
            for _ in range(count):
                self._held.enter_context(tables.with_table("dict"))
        else:
            self._plain = [{} for _ in range(count)]
        return count, False

    async def release(self) -> None:
        self._plain = []
        self._held.close()


class Memory(Hog):
    """Memory of this process that is really there: each page of it has been written."""

    unit = "bytes"

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        taken = 0
        while taken < count:
            size = min(16 * MB, count - taken)
            try:
                # Unlike an object of Python's, it is given back to the system when it is closed.
                block = mmap.mmap(-1, size)
            except (OSError, MemoryError):
                return taken, True
            self._blocks.append(block)
            for page in range(0, size, mmap.PAGESIZE):
                block[page] = 1
            taken += size
            await asyncio.sleep(0)
        return taken, False

    async def release(self) -> None:
        while self._blocks:
            self._blocks.pop().close()


class Descriptors(Hog):
    """File descriptors of this process, all of the same empty file."""

    unit = "file descriptors"

    def __init__(self) -> None:
        self._held: list[int] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        try:
            self._held.append(os.open(os.devnull, os.O_RDONLY))
            while count is None or len(self._held) < count:
                self._held.append(os.dup(self._held[0]))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            return len(self._held), True
        return len(self._held), False

    async def release(self) -> None:
        while self._held:
            os.close(self._held.pop())


def temporary_folder(prefix: str) -> Path:
    """Make a folder below the temporary one of the test, if it has one."""
    context = current_context.get()
    above = None
    if context is not None and context.has_feature is not None and context.has_feature("environment"):
        above = context.feature("environment").tmp_path
    return Path(tempfile.mkdtemp(prefix=prefix, dir=above))


class Disk(Hog):
    """A folder with a file in it that takes space, and with files that are full."""

    unit = "bytes"
    folder: Path | None = None

    def choose_folder(self) -> Path:
        """Return where the space is to be taken."""
        self.folder = temporary_folder("full-")
        return self.folder

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None and self.folder is not None
        taken = 0
        block = os.urandom(MB)  # What a file system that compresses cannot make small.
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            while taken < count:
                try:
                    taken += file.write(block[: count - taken])
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                        raise
                    return taken, True
                await asyncio.sleep(0)
        return taken, False

    async def release(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder)
