"""What takes resources away with processes of the operating system: from one, by its limits, or from all, by hogs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from supertester._core.waiting import wait_until
from supertester.chaos import limits
from supertester.chaos.cgroups import MemoryGroup
from supertester.chaos.hogs import Hog
from supertester.chaos.limits import MB
from supertester.chaos.rlimits import (
    LimitedProcess,
    address_space,
    check_linux,
    free_of,
    open_descriptors,
    tasks_of_user,
)
from supertester.errors import Unsupported
from supertester.targets.external import ExternalProcess, start_process
from supertester.targets.os_process import ProcessTarget
from supertester.targets.readiness import LineReady
from supertester.targets.tree import descendants, living

__all__ = ["Group", "Machine", "OfProcess", "OsProcesses", "Processors", "processors"]

_PROGRAM: Final = Path(__file__).with_name("hog_program.py")
_STEP: Final = 256 * MB
_STARTING: Final = 30.0
"""Seconds that hogs may take to be there; the machine is busy then."""
_FILLING: Final = 300.0
"""Seconds that the memory of a machine may take to be filled."""


def _free_memory(process: ProcessTarget) -> int | None:
    return limits.least(free_of(process, "RLIMIT_AS", address_space(process)), limits.free_memory())


def _free_descriptors(process: ProcessTarget) -> int | None:
    return free_of(process, "RLIMIT_NOFILE", len(open_descriptors(process)))


def _free_tasks(process: ProcessTarget) -> int | None:
    return free_of(process, "RLIMIT_NPROC", tasks_of_user(process))


_OF_PROCESS: Final[dict[str, tuple[str, str, int, Callable[[ProcessTarget], int | None]]]] = {
    "memory": ("memory_mb", "bytes", MB, _free_memory),
    "file_descriptors": ("file_descriptors", "file descriptors", 1, _free_descriptors),
    "process_limit": ("processes", "processes", 1, _free_tasks),
}


class OfProcess(Hog):
    """Takes away from one process, by its limits, what it could still have."""

    def __init__(self, process: ProcessTarget, resource: str, most: int | None = None) -> None:
        check_linux(f"taking {resource} away from another process")
        self._most = most
        self._option, self.unit, self._scale, self._free = _OF_PROCESS[resource]
        self._process = process
        self._limited: LimitedProcess | None = None

    def free(self) -> int | None:
        """Return how much more it could have; ``None`` if there is no limit that is known."""
        return limits.least(self._most, self._free(self._process))

    async def take(self, count: int | None) -> tuple[int, bool]:
        free = self.free()
        if count is None:
            left, taken = 0, 0 if free is None else free
        else:
            if free is None:
                raise Unsupported(f"it cannot be known how much more {self._process!r} could have; take all")
            taken = min(count, free)
            left = free - taken
        more = left / self._scale if self._scale > 1 else left
        self._limited = await LimitedProcess(self._process, {self._option: more}, tree=False)
        return taken, left == 0

    async def release(self) -> None:
        if self._limited is not None:
            await self._limited.cleanup()

    def evidence(self) -> dict[str, Any]:
        return {} if self._limited is None else self._limited.to_dict()


async def _hog(*arguments: object, name: str) -> ExternalProcess:
    argv = [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, arguments)]
    return await start_process(argv, ready=LineReady("^ready"), timeout=_STARTING, grace=0, name=name)


class Processors(Hog):
    """Processes that do nothing but compute."""

    unit = "processors"

    def __init__(self, nice: int) -> None:
        self._nice = nice
        self._hogs: list[ExternalProcess] = []

    async def take(self, count: int | None) -> tuple[int, bool]:
        wanted = processors() if count is None else count
        for number in range(wanted):
            self._hogs.append(await _hog("cpu", self._nice, name=f"processor hog {number + 1}"))
        return wanted, wanted >= processors()

    async def release(self) -> None:
        while self._hogs:
            await self._hogs.pop().stop(grace=0)

    def evidence(self) -> dict[str, Any]:
        times = [hog.measured().cpu_times() for hog in self._hogs if hog.is_alive()]
        return {
            "pids": [hog.pid for hog in self._hogs],
            "cpu_seconds": sum(each.user + each.system for each in times),
            "nice": self._nice,
        }


class OsProcesses(Hog):
    """Processes of the operating system that wait."""

    unit = "processes"

    def __init__(self) -> None:
        if not hasattr(os, "fork"):
            raise Unsupported(
                "processes of the operating system are taken with fork(), and there is none on this system"
            )
        self._hog: ExternalProcess | None = None

    async def take(self, count: int | None) -> tuple[int, bool]:
        self._hog = await _hog("processes", count, name="process hog")
        done = await self._hog.wait_for_output(r"^done (\d+)$", _STARTING)
        taken = int(done.group(1))
        return taken, count is not None and taken < count

    async def release(self) -> None:
        if self._hog is not None:
            started = descendants(self._hog.pid)
            await self._hog.stop(grace=0)
            await wait_until(lambda: not living(started), "the end of the process hog's processes", timeout=_STARTING)

    def evidence(self) -> dict[str, Any]:
        hog = self._hog
        return {} if hog is None else {"pid": hog.pid, "running": len(descendants(hog.pid)) if hog.is_alive() else 0}


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Machine(Hog):
    """A process that takes the machine's memory, and is the first to be ended when there is too little."""

    unit = "bytes"

    def __init__(self, floor: int) -> None:
        if limits.free_memory() is None:
            raise Unsupported("the machine's memory is taken as far as there is some, which nobody can tell here")
        self._floor = floor
        self._hog: ExternalProcess | None = None

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        self._hog = hog = await _hog("memory", count, self._floor, _STEP, name="memory hog")
        waits = {asyncio.ensure_future(wait(_FILLING)) for wait in (hog.wait, partial(hog.wait_for_output, "^done"))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self._held(), self._held() < count

    def _held(self) -> int:
        if self._hog is None or not self._hog.is_alive():
            return 0  # The system has ended it rather than anybody else.
        steps = re.findall(r"^held (\d+)$", self._hog.lines, re.MULTILINE)
        return int(steps[-1]) if steps else 0

    async def release(self) -> None:
        if self._hog is not None:
            await self._hog.stop(grace=0)

    def evidence(self) -> dict[str, Any]:
        hog = self._hog
        found = {} if hog is None else {"pid": hog.pid, "held": self._held(), "outcome": hog.outcome}
        return {"floor": self._floor, **found}


class Group(Hog):
    """Puts a process into a group that may have only so much memory; who asks for more is ended by the system."""

    unit = "bytes"

    def __init__(self, process: ProcessTarget, limit: int) -> None:
        self._group = MemoryGroup(process)
        self._limit = limit

    async def take(self, count: int | None) -> tuple[int, bool]:
        assert count is not None
        self._group.begin(self._limit - count)
        return count, count == self._limit

    async def release(self) -> None:
        await self._group.end()

    def evidence(self) -> dict[str, Any]:
        return self._group.evidence()
