"""Whether another process leaks: memory, descriptors, or threads, the more often it is asked for something.

As for one's own memory (`probe_memory_leak`), a growth is looked at again with twice as many runs, and again. Memory of
another process is seen in pages of some kilobytes, so what is to be found has to leak that much in a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from supertester.performance.leak import ROUNDS, SECONDS, LeakReport, LeakRound, Limits, Trend, repeat, steady
from supertester.performance.process_usage import ProcessUsage, ProcessWatch

__all__ = ["look_at"]

_KINDS: Final = {"process memory": "memory_bytes", "process descriptors": "descriptors", "process threads": "threads"}


async def look_at(watch: ProcessWatch, fn: Callable[[], Any], warmup: int, calls: int, limits: Limits) -> LeakReport:
    """Run *fn* again and again, and return whether the process that is watched leaks.

    Raises:
        UsageError: It has ended.
    """
    deadline = time.monotonic() + SECONDS
    await repeat(fn, warmup)
    search = _Search(watch, fn, limits)
    await search.round(calls)
    while search.suspects() and not search.sure() and (search.is_early() or time.monotonic() < deadline):
        calls *= 2
        await search.round(calls)
    return search.report()


class _Search:
    """The rounds of a search."""

    def __init__(self, watch: ProcessWatch, fn: Callable[[], Any], limits: Limits) -> None:
        self._watch = watch
        self._fn = fn
        # One descriptor in each round is a leak, however many there are.
        few = replace(limits, threshold=0.0, least=ROUNDS)
        self._limits = {kind: limits if kind == "process memory" else few for kind in _KINDS}
        self._before = watch.usage()
        self._rounds: dict[str, list[LeakRound]] = {kind: [] for kind in _KINDS}

    async def round(self, calls: int) -> None:
        """Run the operation *calls* times, and look at the process now and then."""
        looks = self._limits["process memory"].samples
        taken: list[ProcessUsage] = [self._watch.usage()]
        for number in range(1, looks + 1):
            await repeat(self._fn, calls * number // looks - calls * (number - 1) // looks)
            taken.append(self._watch.usage())
        for kind, attribute in _KINDS.items():
            samples = [getattr(usage, attribute) for usage in taken]
            trend = Trend.of(samples)
            growth = LeakRound(calls, samples[-1] - samples[0], trend.slope / (calls / looks), trend.rising)
            self._rounds[kind].append(growth)

    def suspects(self) -> bool:
        """Say whether something has grown in all rounds, and with each run as much as at first."""
        return any(steady(rounds) for rounds in self._rounds.values())

    def sure(self) -> bool:
        """Say whether enough has been seen of a leak."""
        return any(self._is_sure(kind) for kind in _KINDS)

    def is_early(self) -> bool:
        """Say whether too few rounds have been seen to tell a leak by its lasting alone."""
        return len(self._rounds["process memory"]) <= ROUNDS

    def _is_sure(self, kind: str) -> bool:
        rounds = self._rounds[kind]
        growth = sum(each.growth_bytes for each in rounds)
        enough = self._limits[kind].reached(growth, getattr(self._before, _KINDS[kind]))
        return len(rounds) >= ROUNDS and enough and steady(rounds)

    def report(self) -> LeakReport:
        """Say what came of it; what is sure goes first, then descriptors and threads, which are counted exactly."""
        suspects = [kind for kind in reversed(_KINDS) if steady(self._rounds[kind])]
        kind = max(suspects, key=self._is_sure, default="process memory")
        lasting = bool(suspects) and not self.is_early()
        return LeakReport(self._is_sure(kind) or lasting, kind, tuple(self._rounds[kind]))
