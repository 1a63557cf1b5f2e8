"""Whether tokens replay, wherever: ``python -m benchmarks.replay --python python3.11 --python python3.13``.

Failing schedules of the bug programs are found and shrunk here; some have a bar for how many switches may be left. Each
of their tokens is then replayed many times, in new processes of each Python, with a random hash seed in each: every
replay has to end with the same failure, by the same lines in the same order.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.bugs import locks, memory, protocols, stealing
from benchmarks.bugs.program import KNOWN, programs
from supertester.schedule import FailingSchedule, explore_schedules, replay_schedule

__all__ = ["main"]

ROOT: Final = Path(__file__).parents[1]
MODULES: Final = (locks, memory, protocols, stealing)
"""They enter their programs when they are imported."""
BARS: Final = {"ab-ba": 1, "philosophers-5": 3, "two-phase-commit": 1, "raft": 1}
"""Forced switches that may be left after shrinking."""
PROCESSES: Final = 5


def _what_happened(failing: FailingSchedule | None) -> str:
    """Return a text that is the same for the same failure by the same way."""
    if failing is None:
        return "it passed"
    way = hashlib.sha256("\n".join(failing.swimlane).encode()).hexdigest()[:12]
    return f"{failing.sentence} by {way}"


def found() -> dict[str, tuple[str, str]]:
    """Return the token of a failing schedule of each program, and what happens in it; print how it was shrunk."""
    result = {}
    for bug in programs(KNOWN):
        failing = explore_schedules(bug.wrong.start, schedules=20_000, seed=1, database=False).failing
        if failing is None:
            raise RuntimeError(f"no schedule of {bug.name} failed")
        result[bug.name] = (failing.token, _what_happened(failing))
        bar = BARS.get(bug.name)
        print(
            f"{bug.name:<20} schedule {failing.found_at:>5}, {failing.switches_found:>3} forced switches "
            f"-> {failing.switches:>2} in {failing.replays:>4} replays"
            + ("" if bar is None else f", bar {bar}: {'met' if failing.switches <= bar else 'MISSED'}"),
            flush=True,
        )
        if bar is not None and failing.switches > bar:
            raise SystemExit(1)
    return result


def replayed(tokens: dict[str, str], times: int) -> dict[str, dict[str, int]]:
    """Return, for each program, how often what happened in *times* replays."""
    starts = {bug.name: bug.wrong.start for bug in programs(KNOWN)}
    counts: dict[str, dict[str, int]] = {}
    for name, token in tokens.items():
        seen = counts[name] = {}
        for _ in range(times):
            outcome = _what_happened(replay_schedule(starts[name], token).failing)
            seen[outcome] = seen.get(outcome, 0) + 1
    return counts


def _in_process(python: str, tokens: dict[str, str], times: int) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [python, "-m", "benchmarks.replay", "--child", str(times)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"},
        input=json.dumps(tokens),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{python} failed:\n{done.stderr}")
    result: dict[str, dict[str, int]] = json.loads(done.stdout)
    return result


def check(python: str, expected: dict[str, tuple[str, str]], times: int) -> bool:
    """Replay all tokens with *python*, print how often that led to what was expected, and say whether always."""
    tokens = {name: token for name, (token, _) in expected.items()}
    runs = [_in_process(python, tokens, times // PROCESSES) for _ in range(PROCESSES)]
    total = times // PROCESSES * PROCESSES
    ok = True
    for name, (_, outcome) in expected.items():
        right = sum(run[name].get(outcome, 0) for run in runs)
        ok = ok and right == total
        others = {each for run in runs for each in run[name]} - {outcome}
        print(f"{python}  {name:<20} {right} of {total}" + "".join(f"\n    not {each}" for each in others))
    return ok


def main(arguments: Sequence[str]) -> int:
    """Replay, and return 0 if every replay was right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--python", action="append", metavar="PATH", help="an interpreter to replay with (this one)")
    parser.add_argument("--times", type=int, default=100, metavar="N", help="replays of each token (100)")
    parser.add_argument("--child", type=int, metavar="N", help=argparse.SUPPRESS)
    options: Any = parser.parse_args(arguments)
    if options.child is not None:
        json.dump(replayed(json.load(sys.stdin), options.child), sys.stdout)
        return 0
    expected = found()
    results = [check(python, expected, options.times) for python in options.python or [sys.executable]]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
