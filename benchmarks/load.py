"""Figures on load: what an operation costs the generator when there is always one due."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, perf_counter_ns

from benchmarks.measure import Compared, Figure, Subject
from supertester.performance.load import Histogram
from supertester.performance.load.plan import LoadPlan
from supertester.performance.load.recorder import Recorder
from supertester.performance.load.users import TaskUsers

__all__ = ["USERS", "bare_loop", "figures", "generator", "locust", "molotov"]

USERS = 50
PEER_SECONDS = 3


async def nothing(_: int = 0) -> None: ...


def bare_loop(units: int) -> float:
    """Let tasks do nothing, and note when it began and ended in a histogram: what no generator can do without."""

    async def main() -> float:
        latency = Histogram()

        async def user(number: int) -> None:
            for _ in range(max(units // USERS, 1)):
                began = perf_counter_ns()
                await nothing(number)
                latency.record(perf_counter_ns() - began)
                await asyncio.sleep(0)

        begun = perf_counter()
        await asyncio.gather(*(user(number) for number in range(USERS)))
        return (perf_counter() - begun) / latency.count

    return asyncio.run(main())


def generator(units: int) -> float:
    """Return the seconds per operation when all are due at once."""

    async def main() -> float:
        plan = LoadPlan(users=USERS, rate=max(units / USERS, 1) * 1_000, duration=0.001)
        recorder = Recorder()
        recorder.began_ns = perf_counter_ns()
        begun = perf_counter()
        await TaskUsers(plan, nothing, recorder).run(3_600)
        return (perf_counter() - begun) / recorder.totals().operations

    return asyncio.run(main())


LOCUSTFILE = """
from locust import User, constant, task

class Nothing(User):
    wait_time = constant(0)

    @task
    def nothing(self):
        self.environment.events.request.fire(
            request_type="", name="nothing", response_time=0, response_length=0, exception=None, context={}
        )
"""
MOLOTOVFILE = """
from molotov import scenario

@scenario(weight=100)
async def nothing(session): ...
"""


def locust(_: int) -> float:
    """Return the same for locust, in a process of its own because it changes the standard library."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locustfile.py"
        path.write_text(LOCUSTFILE, encoding="utf-8")
        users = [f"--users={USERS}", f"--spawn-rate={USERS}"]
        output = _output("locust", "-f", str(path), "--headless", *users, f"--run-time={PEER_SECONDS}s", "--json")
        stats = json.loads(output[output.index("[") :])
        return 1 / sum(row["num_requests"] / max(row["last_request_timestamp"] - row["start_time"], 1) for row in stats)


def molotov(_: int) -> float:
    """Return the same for molotov."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loadtest.py"
        path.write_text(MOLOTOVFILE, encoding="utf-8")
        output = _output("molotov", "-w", str(USERS), "-d", str(PEER_SECONDS), str(path))
        found = re.search(r"SUCCESSES:\s*(\d+)", output)
        if found is None:
            raise RuntimeError(f"molotov does not say how much it did:\n{output}")
        return PEER_SECONDS / int(found[1])


def _output(*command: str) -> str:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def figures() -> list[Figure]:
    reference = "tasks that take the times themselves"
    return [
        Figure(
            name="load",
            title=f"an operation that does nothing, {USERS} users, always due",
            unit="operation",
            reference=reference,
            compared=Compared.COST,
            subjects=[
                Subject(name=reference, run=bare_loop, units=50_000),
                Subject(name="run_load", run=generator, units=50_000),
            ],
        )
    ]
