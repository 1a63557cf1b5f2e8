"""What may go wrong with a simulated process, offered to a loop that explores with faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supertester._core.evidence import shown
from supertester.sim_process.pipe import Pipe

if TYPE_CHECKING:
    from supertester.sim_process.process import SimProcess

__all__ = ["ProcessFaults", "faults_for"]

_KILLED = -9


def faults_for(process: SimProcess, loop: Any) -> ProcessFaults | None:
    """Return the faults that may hit *process* on this *loop*, if any may."""
    faults = getattr(loop, "faults", None)
    if faults is None:
        return None
    targets = faults.chosen()
    if targets is not None and not any(_is_meant(process, target) for target in targets):
        return None
    return ProcessFaults(process, loop, faults.seconds)


def _is_meant(process: SimProcess, target: Any) -> bool:
    if isinstance(target, type):
        return isinstance(process, target)
    return bool(target(process)) if callable(target) else bool(process.name == target)


class ProcessFaults:
    """Kill, crash, half a line, late output and a slow start."""

    def __init__(self, process: SimProcess, loop: Any, seconds: float) -> None:
        self._process = process
        self._loop = loop
        self._seconds = seconds
        self._start: list[Any] = []
        self._life: list[Any] = []
        self._cuts: list[Any] = []
        self._delays: dict[Pipe, list[Any]] = {}

    def begin(self) -> None:
        """Offer what may happen from the start on."""
        process = self._process
        self._offer(self._start, "delay", f"delay the start of {process.name}", self._start_late)
        self._offer(self._life, "kill", f"kill {process.name}", lambda: process.end(_KILLED))
        self._offer(self._life, "crash", f"crash {process.name}", process.crash)

    def _start_late(self) -> None:
        self._process.slow_start = self._seconds

    def started(self) -> None:
        """Take back what may happen only before the first step."""
        _withdraw(self._start)

    def ended(self) -> None:
        """Take back all that needs a living process; what it has written may still be late."""
        _withdraw(self._start)
        _withdraw(self._life)
        _withdraw(self._cuts)

    def under_way(self, pipe: Pipe) -> None:
        """Offer what may happen to the next piece in *pipe*."""
        offers = self._delays.setdefault(pipe, [])
        name, process = pipe.schedule_label, self._process
        self._offer(offers, "delay", lambda: f"delay {_described(pipe.first)} ({name})", self._late(pipe))
        if pipe is process.output and process.is_running():
            self._offer(
                self._cuts,
                "kill",
                lambda: f"kill {process.name} in the middle of writing {_described(pipe.last)}",
                lambda: self._cut(pipe),
            )

    def _late(self, pipe: Pipe) -> Callable[[], object]:
        return lambda: pipe.be_late(self._seconds)

    def _cut(self, pipe: Pipe) -> None:
        pipe.cut_last()
        self._process.end(_KILLED)

    def arrived(self, pipe: Pipe) -> None:
        """Take back what may happen to a piece that has arrived."""
        _withdraw(self._delays.get(pipe, []))
        if pipe is self._process.output:
            _withdraw(self._cuts)

    def _offer(self, offers: list[Any], kind: str, label: str | Callable[[], str], action: Any) -> None:
        if self._loop.fault_left(kind):
            offers.append(self._loop.offer_fault(label, action, kind=kind))


def _withdraw(offers: list[Any]) -> None:
    for lane in offers:
        lane.withdraw()
    offers.clear()


def _described(piece: bytes | None) -> str:
    return "the end" if piece is None else shown(piece.decode(errors="replace"))
