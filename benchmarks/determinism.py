"""Whether a schedule is the same in every process: ``python -m benchmarks.determinism``.

The same seed runs in many processes whose memory and string hashes differ; what asyncio orders by addresses has to come
out the same in all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import uuid
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from supertester.schedule.entropy import controlled_entropy
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.strategies import Strategy

__all__ = ["PROGRAMS", "main", "outcomes", "run_once"]

_TOP = Path(__file__).resolve().parents[1]
_SEED = 5


class _Anyhow(Strategy):
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, runnable: list[Any], _current: Any) -> int:
        return self._random.randrange(len(runnable))


async def _as_completed() -> list[int]:
    async def child(number: int) -> int:
        await asyncio.sleep(0)
        return number

    return [await each for each in asyncio.as_completed([child(number) for number in range(8)])]


async def _task_group() -> list[int]:
    log: list[int] = []

    async def child(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append(number)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(child(number))
            await asyncio.sleep(0)
            raise LookupError
    except* LookupError:
        log.append(-1)
    return log


async def _set_of_tasks() -> list[str]:
    tasks = {asyncio.create_task(asyncio.sleep(0)) for _ in range(8)}
    done, _ = await asyncio.wait(tasks)
    return [task.get_name() for task in [*tasks, *done, *asyncio.all_tasks()]]


async def _chance() -> list[str]:
    return [repr(random.random()), str(uuid.uuid4()), os.urandom(4).hex(), *map(str, await _as_completed())]


PROGRAMS: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "as_completed": _as_completed,
    "task_group": _task_group,
    "set_of_tasks": _set_of_tasks,
    "chance": _chance,
}


def run_once(name: str) -> str:
    """Return what comes of the program called *name* in this process."""
    kept = [object() for _ in range(random.SystemRandom().randrange(10_000))]  # Other addresses in every process.
    with controlled_entropy():
        loop = ExploringLoop(_Anyhow(_SEED), seed=_SEED)
        found = loop.run(PROGRAMS[name]())
    del kept
    return f"{found} {[lane.path for _, lane in loop.choices]}"


def outcomes(processes: int) -> dict[str, set[str]]:
    """Return what comes of each program in so many processes."""
    found: dict[str, set[str]] = {name: set() for name in PROGRAMS}
    for number in range(processes):
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(_TOP)}
        command = [sys.executable, "-m", "benchmarks.determinism", "--once"]
        done = subprocess.run(command, env=environment, cwd=_TOP, capture_output=True, text=True, check=True)
        for name, outcome in json.loads(done.stdout).items():
            found[name].add(outcome)
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.determinism", description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=20, metavar="N", help="how many processes (20)")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.once:
        print(json.dumps({name: run_once(name) for name in PROGRAMS}))
        return 0
    different = {name: len(found) for name, found in outcomes(options.processes).items()}
    for name, count in different.items():
        print(f"Python {platform.python_version()}: {name}: {count} outcome{'s'[: count > 1]} in {options.processes}")
    return max(different.values()) > 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
