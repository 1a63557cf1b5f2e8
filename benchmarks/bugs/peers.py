"""The same programs under other explorers of asyncio, with their own settings. What is not installed is left out."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from benchmarks.bugs.program import Program
from benchmarks.bugs.search import Search

__all__ = ["peers"]


def _detangle(strategy: str) -> Search:
    def run(program: Program, seed: int, cap: int) -> int | None:
        import detangle

        try:
            detangle.explore(program.start, runs=cap, strategy=strategy, seed=seed, shrink=False, database=False)
        except detangle.BugFound as found:
            is_bug = found.report.failure.kind in {"exception", "deadlock"}
            return int(found.report.runs) if is_bug else None
        return None

    return run


def _simloom(scheduler: str) -> Search:
    def run(program: Program, seed: int, cap: int) -> int | None:
        import simloom

        found: Any = simloom.explore(program.start, runs=cap, start_seed=seed * cap, scheduler=scheduler)
        is_bug = bool(found.failures) and found.failures[0].error != "SimLivelockError"
        return int(found.runs) if is_bug else None

    return run


def _simloop(policy: str) -> Search:
    def run(program: Program, seed: int, cap: int) -> int | None:
        import simloop

        async def main(*_: object) -> None:
            await program.start()

        found = simloop.explore(main, range(seed * cap, (seed + 1) * cap), policy=policy)
        is_bug = found is not None and isinstance(found.exception, (AssertionError, simloop.SimulationDeadlockError))
        return int(found.seed) - seed * cap + 1 if is_bug else None

    return run


_PEERS = {
    "detangle": {"detangle auto": _detangle("auto")},
    "simloom": {"simloom random": _simloom("random"), "simloom pct": _simloom("pct:auto")},
    "simloop": {"simloop random": _simloop("random"), "simloop pct": _simloop("pct")},
}


def peers() -> dict[str, Search]:
    """Return the searches of those that are installed, by the names of their columns."""
    return {name: look for module, made in _PEERS.items() if find_spec(module) for name, look in made.items()}
