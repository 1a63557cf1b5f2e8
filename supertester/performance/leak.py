"""Whether an operation leaks memory: does what it keeps go on growing the more often it runs?

Escalating, as psleak does it for C extensions: a growth is looked at again with twice as many runs, and again. Noise
and caches fade; what leaks grows with the runs.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import statistics
import time
import tracemalloc
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from typing import Any, Final

from supertester._core.mismatch import Mismatch
from supertester._core.origin import is_foreign, is_standard
from supertester.errors import UsageError
from supertester.performance.measurement import check_callable
from supertester.performance.memory import traced
from supertester.performance.process_usage import ProcessWatch
from supertester.telemetry.emission import spanned

__all__ = [
    "ROUNDS",
    "SECONDS",
    "LeakReport",
    "LeakRound",
    "Limits",
    "Trend",
    "probe_memory_leak",
    "repeat",
    "steady",
]

_FRAMES: Final = 8
_SITES: Final = 3
ROUNDS: Final = 3
"""Rounds in a row that have to grow before anything is called a leak."""
_SHARE: Final = 0.3
"""Of the first round's growth with each run, what is left of it in the others. Less than noise has in the third."""
SECONDS: Final = 30.0
"""After which time a growth that has outlasted those rounds is called a leak although it is still small."""


@dataclass(frozen=True)
class Trend:
    """How a series of samples of memory develops.

    ``slope`` is by how much a step changes it, the median over all pairs (Theil and Sen), which single jumps do not
    move; ``order`` is between -1, always falling, and 1, always rising (Kendall's tau).
    """

    slope: float
    order: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Trend:
        """Find the trend of *samples* taken at equal distances.

        >>> Trend.of([1, 2, 3, 4])
        Trend(slope=1.0, order=1.0)
        """
        pairs = list(combinations(enumerate(samples), 2))
        slope = statistics.median((later - sooner) / (j - i) for (i, sooner), (j, later) in pairs)
        order = sum((later > sooner) - (later < sooner) for (_, sooner), (_, later) in pairs) / len(pairs)
        return cls(slope, order)

    @property
    def rising(self) -> bool:
        """Whether it clearly goes up."""
        return self.slope > 0 and self.order >= 0.5


def _shown(size: float) -> str:
    return f"{size:.0f}" if size >= 100 else f"{size:.3g}"


@dataclass(frozen=True)
class LeakRound:
    """One round: how often the operation ran, how the memory grew, and by how many bytes with each run."""

    calls: int
    growth_bytes: int
    bytes_per_call: float
    rising: bool

    def __str__(self) -> str:
        return f"{self.calls} runs kept {self.growth_bytes} bytes, {_shown(self.bytes_per_call)} each"


@dataclass(frozen=True)
class LeakReport:
    """What came of looking for a leak.

    Attributes:
        leaking: Whether there is one.
        kind: ``"python"`` for memory from Python's allocators, ``"native"`` for memory of C libraries; of another
            process ``"process memory"``, ``"process descriptors"`` or ``"process threads"``.
        rounds: The rounds in which it was looked for, each with twice as many runs as the one before.
        sites: The lines that allocated most of what was kept, if Python leaks.
    """

    leaking: bool
    kind: str
    rounds: tuple[LeakRound, ...]
    sites: tuple[str, ...] = ()

    @property
    def mismatch(self) -> Mismatch | None:
        """What to fail with, if there is a leak."""
        if not self.leaking:
            return None
        last = self.rounds[-1]
        whose = {"python": "memory", "native": "native memory"}.get(self.kind, self.kind)
        message = (
            f"{whose} leak detected: {_shown(last.bytes_per_call)} {self.unit} a run, "
            f"growing over {len(self.rounds)} rounds"
        )
        return Mismatch(message, [*(str(each).replace("bytes", self.unit) for each in self.rounds), *self.sites])

    @property
    def unit(self) -> str:
        """What leaks: ``"bytes"``, or of another process also ``"descriptors"`` or ``"threads"``."""
        last = self.kind.rpartition(" ")[2]
        return last if last in ("descriptors", "threads") else "bytes"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {**asdict(self), "sites": list(self.sites), "rounds": [asdict(each) for each in self.rounds]}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From when on a growth is great enough to be called a leak."""

    threshold: float
    least: float
    samples: int

    def reached(self, growth: float, before: float) -> bool:
        """Say whether a *growth* is great enough to be called a leak."""
        return growth >= self.least and growth > self.threshold * before


@spanned("performance.probe_memory_leak", current=False, quiet=True)
async def probe_memory_leak(
    iterations: int,
    fn: Callable[[], Any],
    *,
    threshold: float = 0.1,
    sample_count: int = 12,
    warmup_iterations: int | None = None,
    min_absolute_growth_bytes: int = 256_000,
    own_process: bool = False,
    process: Any = None,
) -> LeakReport:
    """Run *fn*, plain or async, again and again, and return whether it leaks memory.

    After the warm-up it runs *iterations* times. If the memory has risen, it runs twice as many times, then four times
    as many, for as long as the growth of each run stays what it was. It is a leak once the growth is as great as asked
    for and has lasted for three rounds. What does not leak is done after the first round.

    Memory of C libraries is watched too, where psutil can (``psutil.heap_info``, since 7.2, not in every system).

    Args:
        iterations: Runs of the first round and of its warm-up, at least 3.
        fn: The operation.
        threshold: The share of what was in use after the warm-up by which it has to grow.
        sample_count: How often in a round to look, at least 3.
        warmup_iterations: Runs before; by default a tenth of *iterations*.
        min_absolute_growth_bytes: By how much it has to grow.
        own_process: Look in a new process, where nobody else allocates. *fn* must be a function of a module.
        process: Look at this process of the operating system instead, with all that it has started, e.g. at the server
            to which *fn* sends a request: at its memory, its descriptors and its threads. See `process_usage`.

    Raises:
        UsageError: There are too few iterations or samples, a number is negative, or the process has ended.
        TypeError: *fn* cannot be called, or a number is none.

    >>> kept = []
    >>> print(asyncio.run(probe_memory_leak(100, lambda: kept.append(object()))).leaking)
    True
    >>> print(asyncio.run(probe_memory_leak(100, lambda: object())).leaking)
    False
    """
    _whole("iterations", iterations, 3)
    _whole("sample_count", sample_count, 3)
    check_callable(fn)
    warmup = iterations // 10 if warmup_iterations is None else _whole("warmup_iterations", warmup_iterations, 0)
    warmup = min(warmup, iterations - 3)
    limits = Limits(
        threshold=_number("threshold", threshold),
        least=_number("min_absolute_growth_bytes", min_absolute_growth_bytes),
        samples=sample_count,
    )
    if process is not None:
        if own_process:
            raise UsageError("probe_memory_leak: it looks either at own_process=True, or at process=..., not at both")
        from supertester.performance.process_leak import look_at

        return await look_at(ProcessWatch(process), fn, warmup, iterations - warmup, limits)
    look = partial(_look, fn, warmup, iterations - warmup, limits)
    return await _elsewhere(look) if own_process else await look()


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {name}={value!r}")
    if value < least:
        raise UsageError(f"{name} must be {least} or more, got {name}={value!r}")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {name}={value!r}")
    if not value >= 0:
        raise UsageError(f"{name} must be 0 or more, got {name}={value!r}")
    return value


async def _elsewhere(look: Callable[[], Any]) -> LeakReport:
    """Look in a new process."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _run, look)


def _run(look: Callable[[], Any]) -> LeakReport:
    report: LeakReport = asyncio.run(look())
    return report


async def _look(fn: Callable[[], Any], warmup: int, calls: int, limits: Limits) -> LeakReport:
    deadline = time.monotonic() + SECONDS
    with traced(_FRAMES):
        at_first = _python_bytes()
        await repeat(fn, warmup)
        search = _Search(fn, limits, _python_bytes() - at_first)
        await search.round(calls)
        # However slow the machine is, time is no reason to find that nothing leaks.
        while search.suspects() and not search.sure() and (search.is_early() or time.monotonic() < deadline):
            calls *= 2
            await search.round(calls)
        return search.report()


async def repeat(fn: Callable[[], Any], times: int) -> None:
    """Run *fn* so many times, and keep nothing of it."""
    for _ in range(times):
        result = fn()
        if inspect.isawaitable(result):
            await result
        del result  # Or it would be counted as kept.


def _python_bytes() -> int:
    """Return what is in use of Python's allocators."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _native_bytes() -> int:
    """Return what is in use of the C library's heap; always the same where psutil cannot tell."""
    import psutil

    heap_info = getattr(psutil, "heap_info", None)
    if heap_info is None:
        return 0
    found = heap_info()
    return int(found.heap_used + found.mmap_used)


def steady(rounds: Sequence[LeakRound]) -> bool:
    """Say whether something has grown in all *rounds*, and with each run as much as at first."""
    return all(each.rising and each.bytes_per_call >= _SHARE * rounds[0].bytes_per_call for each in rounds)


class _Search:
    """The rounds of a search, for Python's memory and for that of C libraries."""

    def __init__(self, fn: Callable[[], Any], limits: Limits, before: int) -> None:
        self._fn = fn
        self._limits = limits
        self._before = {"python": max(before, 0), "native": _native_bytes()}
        self._rounds: dict[str, list[LeakRound]] = {"python": [], "native": []}
        self._sites: tuple[str, ...] = ()

    async def round(self, calls: int) -> None:
        """Run the operation *calls* times, and look at the memory now and then."""
        again = bool(self._rounds["python"])
        before = tracemalloc.take_snapshot() if again else None  # It is dear, and seldom needed.
        looks = self._limits.samples
        taken = {kind: array("q", bytes(8 * (looks + 1))) for kind in self._rounds}  # Looking must not allocate.
        taken["native"][0] = _native_bytes()
        taken["python"][0] = _python_bytes()
        for number in range(1, looks + 1):
            await repeat(self._fn, calls * number // looks - calls * (number - 1) // looks)
            taken["python"][number] = _python_bytes()
            taken["native"][number] = _native_bytes()
        step = calls / looks
        for kind, samples in taken.items():
            trend = Trend.of(samples)
            self._rounds[kind].append(LeakRound(calls, samples[-1] - samples[0], trend.slope / step, trend.rising))
        if before is not None:
            self._sites = _sites(before, tracemalloc.take_snapshot())

    def suspects(self) -> bool:
        """Say whether some memory has grown in all rounds, and with each run as much as at first."""
        return any(self._steady(kind) for kind in self._rounds)

    def _steady(self, kind: str) -> bool:
        return steady(self._rounds[kind])

    def sure(self) -> bool:
        """Say whether enough has been seen of a leak."""
        kind = self._kind()
        growth = sum(each.growth_bytes for each in self._rounds[kind])
        enough = len(self._rounds[kind]) >= ROUNDS and self._limits.reached(growth, self._before[kind])
        return enough and self._steady(kind)

    def is_early(self) -> bool:
        """Say whether too few rounds have been seen to tell a leak by its lasting alone."""
        return len(self._rounds["python"]) <= ROUNDS

    def _kind(self) -> str:
        """Return which memory is suspected: Python's if it can be, because some of it lies on the C library's heap."""
        return "native" if self._steady("native") and not self._steady("python") else "python"

    def report(self) -> LeakReport:
        """Say what came of it; a growth that time did not suffice for is a leak if it has outlasted some rounds."""
        kind = self._kind()
        rounds = tuple(self._rounds[kind])
        leaking = self.sure() or (self._steady(kind) and not self.is_early())
        return LeakReport(leaking, kind, rounds, self._sites if leaking and kind == "python" else ())


def _sites(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> tuple[str, ...]:
    """Name the lines of the user's code that kept most."""
    grown = [change for change in after.compare_to(before, "traceback") if change.size_diff > 0]
    found: dict[str, list[int]] = {}
    for change in grown:
        line = _line(change.traceback)
        if line is not None:
            size = found.setdefault(line, [0, 0])
            size[0] += change.size_diff
            size[1] += change.count_diff
    least = sum(size for size, _ in found.values()) / 20
    most = sorted((item for item in found.items() if item[1][0] >= least), key=lambda item: -item[1][0])[:_SITES]
    return tuple(f"{size} bytes ({count:+} blocks) kept from {line}" for line, (size, count) in most)


def _line(traceback: tracemalloc.Traceback) -> str | None:
    """Return the innermost line that is the user's, else the innermost; ``None`` for what measuring itself keeps."""
    frames = list(reversed(traceback))
    if frames[0].filename in (__file__, tracemalloc.__file__):
        return None
    chosen = next((each for each in frames if not is_foreign(each.filename) and not is_standard(each.filename)), None)
    return str(chosen or frames[0])
