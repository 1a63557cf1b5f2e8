"""Pools of one's own: what has a method ``workers()`` is a target, and so are the processes that this returns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from supertester._core.evidence import shown
from supertester.errors import UsageError
from supertester.otp.reasons import NORMAL
from supertester.targets.os_process import ProcessTarget
from supertester.targets.target import Identity, Target, serial_of

__all__ = ["Pool", "PoolTarget", "WorkerRef"]


class WorkerRef(Protocol):
    """What a pool knows of a worker, which is a process.

    Attributes:
        id: What it is called; whoever takes its place has the same.
        pid: The operating system's number of the process.
        generation: One more for whoever takes its place.
    """

    @property
    def id(self) -> Any: ...
    @property
    def pid(self) -> int: ...
    @property
    def generation(self) -> int: ...

    def alive(self) -> bool:
        """Say whether it can be given something to do."""
        ...


class Pool(Protocol):
    """What a pool has to have for the tools of this library: its workers.

    It may have a ``name``, and a method ``is_alive()``.

    >>> from types import SimpleNamespace
    >>> from supertester.targets import target_of
    >>> class Mine:
    ...     def workers(self):
    ...         return [SimpleNamespace(id="me", pid=os.getpid(), generation=1, alive=lambda: True)]
    >>> [(worker.identity.id, worker.identity.generation) for worker in target_of(Mine()).workers()]
    [('me', 1)]
    """

    def workers(self) -> Iterable[WorkerRef]:
        """Return the workers as they are now."""
        ...


class WorkerTarget(ProcessTarget):
    """A worker of a pool: a process, called as the pool calls it."""

    lacks = {**ProcessTarget.lacks, "workers": "a worker of a pool has none of its own"}  # noqa: RUF012

    def __init__(self, ref: WorkerRef) -> None:
        super().__init__(ref.pid)
        self.ref = ref
        self._identity = _identity_of(ref)

    def workers(self) -> Sequence[Target]:
        """Raise `Unsupported`."""
        raise self.unsupported("workers")


class PoolTarget(Target):
    """A pool of one's own, see `Pool`; it can be asked for its workers, and is as alive as it says."""

    lacks = dict.fromkeys(("kill", "stop", "suspend", "resume"), "only the pool itself knows how; do it to its workers")

    def __init__(self, pool: Pool) -> None:
        self.pool: Any = pool
        self._known: dict[Identity, WorkerTarget] = {}
        name = getattr(pool, "name", None)
        self._identity = Identity(str(name or type(pool).__name__), os.getpid(), serial_of(pool))

    @property
    def identity(self) -> Identity:
        """Its name or that of its class, the number of this process, and a number of its own."""
        return self._identity

    @property
    def exit_reason(self) -> Any:
        """`NORMAL` when its ``is_alive()``, if it has one, is false."""
        is_alive = getattr(self.pool, "is_alive", None)
        return None if is_alive is None or is_alive() else NORMAL

    def workers(self) -> Sequence[Target]:
        """Return the workers that the pool says to be alive and whose processes are.

        Raises:
            TypeError: What the pool returns are neither references to workers nor targets.
        """
        known, self._known = self._known, {}
        found: list[Target] = []
        for ref in list(self.pool.workers()):
            if isinstance(ref, Target):
                found += [ref] if ref.is_alive() else []
            elif (target := self._adapted(ref, known)) is not None:
                self._known[target.identity] = target
                found.append(target)
        return found

    def roll_call(self) -> Sequence[tuple[Identity, str]]:
        """Return the workers that the pool knows with their states, those that have ended included."""
        alive = {worker.identity: worker.state for worker in self.workers()}
        known = [_identity_of(ref) for ref in list(self.pool.workers())]
        return [(identity, alive.get(identity, "gone")) for identity in known]

    def _adapted(self, ref: Any, known: dict[Identity, WorkerTarget]) -> WorkerTarget | None:
        lacking = [name for name in ("id", "pid", "generation", "alive") if not hasattr(ref, name)]
        if lacking:
            raise TypeError(f"{self!r} has a worker without {', '.join(lacking)}: {shown(ref)}")
        if ref.pid is None or not ref.alive():
            return None
        target = known.get(_identity_of(ref))
        if target is None:
            with suppress(UsageError):  # Its process has ended, and the pool has not noticed yet.
                target = WorkerTarget(ref)
        return target if target is not None and target.is_alive() else None


def _identity_of(ref: Any) -> Identity:
    return ref.identity if isinstance(ref, Target) else Identity(str(ref.id), ref.pid, ref.generation)
