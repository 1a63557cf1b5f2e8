"""Random failures of real workers: who is called dies, stands still, or hangs up, exactly as often as asked for."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import Any, Final, Self

from supertester._core.clock import LoopClock
from supertester._core.waiting import pause
from supertester.chaos.deck import FailureDeck
from supertester.chaos.journal import ChaosEvent, noting_here
from supertester.chaos.network import NetworkProxy
from supertester.chaos.undoing import at_end_of_test
from supertester.errors import Unsupported, UsageError
from supertester.targets.adapting import foreign_target
from supertester.targets.os_process import ProcessTarget
from supertester.targets.pools import WorkerTarget
from supertester.targets.reaper import reaper
from supertester.targets.target import Target
from supertester.telemetry.emission import told

__all__ = ["FailingWorkers"]

Evidence = Callable[[], dict[str, Any] | None]
"""Returns what became of a failure, or ``None`` if it hit nobody."""
_IN_THE_LOOP: Final = 10.0
"""Seconds that the event loop may take to put a toxic on, for an attempt in another thread."""


class FailingWorkers:
    """Failures of attempts at the workers of a pool, which are on; see `inject_random_failures`.

    Attributes:
        target: The pool, or the process, as a target.
        deck: Which attempts fail, and how.
    """

    def __init__(
        self,
        target: Target,
        failure_rate: float,
        failure_types: Iterable[str],
        *,
        seed: int | None,
        proxy_of: Callable[[Any], NetworkProxy] | None,
        hold: float,
    ) -> None:
        types = tuple(failure_types)
        if "disconnect" in types and proxy_of is None:
            raise Unsupported(
                "inject_random_failures: a connection is reset by the network_proxy that it goes through; give "
                "proxy_of=, a function of a worker that returns his, or leave 'disconnect' out of failure_types"
            )
        self.target = target
        self.deck = FailureDeck(failure_rate, types, seed=seed)
        self._random = random.Random(self.deck.seed)
        self._proxy_of = proxy_of
        self._hold = hold
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._note = noting_here()
        self._lock = threading.Lock()
        self._on: set[Callable[[], object]] = set()
        self._over = False
        self._forget = at_end_of_test(self.cleanup)
        self._span = ExitStack()
        tell = self._span.enter_context(told("chaos.failing_workers", {"target": target}, current=False))
        self._span.callback(tell, self)

    @property
    def seed(self) -> int:
        """What decides which attempts fail, and how."""
        return self.deck.seed

    @property
    def hits(self) -> list[ChaosEvent]:
        """The failures that were delivered, oldest first: whom they hit, and what became of him."""
        return self.deck.hits

    @property
    def delivered(self) -> Counter[str]:
        """How many failures of each kind were delivered."""
        return self.deck.delivered

    # Attempts ----------------------------------------------------------------------------------------------------

    @contextmanager
    def attempt(self, worker: Any = None) -> Iterator[str | None]:
        """Let the attempt in the body fail if it is its turn; it may run in any thread, and has a deadline of its own.

        Args:
            worker: To whom it goes: a process or a reference to a worker; by default one is drawn, as for a failure
                that comes from elsewhere.

        Yields:
            How it fails: ``"exit"``, ``"timeout"``, ``"disconnect"`` or ``None``.
        """
        kind = None if self._over else self.deck.draw()
        if kind is None:
            yield None
            return
        with ExitStack() as fault:
            victim, evidence = self._begin(kind, worker, fault)
            try:
                yield kind
            finally:
                fault.close()
                details = evidence()
                if victim is not None and details is not None:
                    self._take_note(kind, victim, details)

    async def strike(self, worker: Any = None) -> str | None:
        """Let an attempt fail that nobody makes, if it is its turn: for systems that have no place for `attempt`.

        Who stands still, or has a bad network, does so for as long as `hold` says.

        Args:
            worker: As for `attempt`.

        Returns:
            How it failed, or ``None``.
        """
        with self.attempt(worker) as kind:
            if kind in ("timeout", "disconnect"):
                await pause(LoopClock(self._loop), self._hold)
        return kind

    async def strike_every(self, seconds: float) -> None:
        """Strike again and again, each time after so many seconds, until this is cancelled."""
        while True:
            await self.strike()
            await pause(LoopClock(self._loop), seconds)

    def _begin(self, kind: str, worker: Any, fault: ExitStack) -> tuple[Target | None, Evidence]:
        worker = self._drawn() if worker is None else worker
        victim = None if worker is None else _process_of(worker)
        if victim is None:  # There is none just now, or he has ended: what cannot be hit is not hit.
            return None, lambda: None
        if kind == "exit":
            victim.kill_now()
            return victim, lambda: {"exit_reason": victim.exit_reason}
        if self._proxy_of is None:
            return victim, fault.enter_context(self._standing_still(victim))
        proxy = self._proxy_of(getattr(worker, "ref", worker))
        return victim, fault.enter_context(self._bad_network(proxy, kind))

    def _drawn(self) -> Target | None:
        """Return a worker, drawn among those that live; a process without workers stands for itself."""
        found: list[Target] = []
        with suppress(Unsupported):
            found = list(self.target.workers())
        if not found and isinstance(self.target, ProcessTarget) and self.target.is_alive():
            found = [self.target]
        with self._lock:
            return self._random.choice(found) if found else None

    def _take_note(self, kind: str, victim: Target, details: dict[str, Any]) -> None:
        identity = victim.identity
        details = {"pid": identity.pid, "generation": identity.generation, **details}
        self.deck.hit(kind, identity.id, details)
        self._note("random_failure", identity.id, {"kind": kind, **details})

    # Faults ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _standing_still(self, victim: ProcessTarget) -> Iterator[Evidence]:
        reaper.stopped(victim.pid, victim.started)
        stands_still = victim.suspend_now()
        once = threading.Event()

        def go_on() -> None:
            if not once.is_set():
                once.set()
                victim.kill(signal.SIGCONT)
                reaper.resumed(victim.pid, victim.started)

        timer = threading.Timer(self._hold, go_on)  # Whoever waits for this one without a deadline waits no longer.
        timer.daemon = True
        timer.start()
        with self._undone(go_on):
            try:
                yield lambda: {"exit_reason": victim.exit_reason} if stands_still else None
            finally:
                timer.cancel()
                timer.join()

    @contextmanager
    def _bad_network(self, proxy: NetworkProxy, kind: str) -> Iterator[Evidence]:
        put_on = proxy.partition if kind == "timeout" else partial(proxy.reset_peer, direction="both")
        toxic = self._in_loop(put_on)
        with self._undone(lambda: self._in_loop(toxic.remove)):
            # Without a connection there is nobody whom it has hit.
            yield lambda: {"toxic": toxic.name, "links": toxic.hits} if toxic.hits else None

    @contextmanager
    def _undone(self, undo: Callable[[], object]) -> Iterator[None]:
        """Undo a fault at the end of the body, or with all others."""
        with self._lock:
            self._on.add(undo)
        try:
            yield
        finally:
            with self._lock:
                due = undo in self._on
                self._on.discard(undo)
            if due:
                undo()

    def _in_loop(self, function: Callable[[], Any]) -> Any:
        """Call *function* in the thread of the event loop, where toxics live, and return its result."""
        if get_ident() == self._thread:
            return function()

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(_IN_THE_LOOP)

    # The end -----------------------------------------------------------------------------------------------------

    def cleanup(self) -> None:
        """Let no attempt fail any more, and undo what is on: nobody stands still, no toxic is left."""
        self._over = True
        self._forget()
        with self._lock:
            due, self._on = self._on, set()
        with self._span:
            for undo in due:
                undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "target": repr(self.target),
            "seed": self.seed,
            "delivered": dict(self.delivered),
            "hits": [hit.to_dict() for hit in self.hits],
        }

    def __repr__(self) -> str:
        return f"<random failures of {self.target!r}: {dict(self.delivered)}, seed {self.seed}>"


def _process_of(worker: Any) -> ProcessTarget | None:
    """Return the live process of a worker, or ``None`` if it has ended.

    Raises:
        Unsupported: It is no process.
    """
    is_ref = all(hasattr(worker, name) for name in ("id", "pid", "generation", "alive"))
    try:
        found = WorkerTarget(worker) if is_ref and not isinstance(worker, Target) else foreign_target(worker)
    except UsageError:
        return None
    if not isinstance(found, ProcessTarget):
        raise Unsupported(f"inject_random_failures: {worker!r} is no process: it can neither be killed nor stand still")
    return found if found.is_alive() else None
