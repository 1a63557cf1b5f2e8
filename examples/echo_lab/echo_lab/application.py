"""The supervision tree of EchoLab.

::

    EchoLab (rest_for_one)
    ├── rooms             the registry of the rooms
    ├── room_supervisor   starts rooms when they are opened
    ├── counter
    ├── echo
    ├── shards            four counters, chosen by key
    └── workers (one_for_one)
        ├── worker_a
        └── worker_b
"""

from __future__ import annotations

from typing import Any

from echo_lab import rooms
from echo_lab.counter import Counter
from echo_lab.echo import Echo
from echo_lab.worker import Worker
from supertester.otp import (
    ChildSpec,
    DynamicSupervisor,
    PartitionSupervisor,
    Reference,
    Registry,
    Supervisor,
    SupervisorSpec,
)

__all__ = ["EchoLab", "WorkerSupervisor"]


class WorkerSupervisor(Supervisor):
    """Two workers, ``worker_a`` and ``worker_b``, registered under these names."""

    def init(self, strategy: str = "one_for_one", journal: Reference | None = None) -> SupervisorSpec:
        return SupervisorSpec([worker("worker_a", journal), worker("worker_b", journal)], strategy=strategy)


class EchoLab(Supervisor):
    """The whole application; *start* is what its counter starts with."""

    def init(self, start: int = 0) -> SupervisorSpec:
        shard = ChildSpec("shard", Counter)
        children = [
            named(rooms.REGISTRY, Registry, "unique"),
            named(rooms.SUPERVISOR, DynamicSupervisor),
            named("counter", Counter, start),
            named("echo", Echo),
            ChildSpec("shards", PartitionSupervisor, args=(shard,), kwargs={"name": "shards", "partitions": 4}),
            named("workers", WorkerSupervisor),
        ]
        # Rooms register in the registry: if that restarts, whatever comes after it starts afresh too.
        return SupervisorSpec(children, strategy="rest_for_one")


def named(name: str, start: Any, *args: Any) -> ChildSpec:
    return ChildSpec(name, start, args=args, kwargs={"name": name})


def worker(name: str, journal: Reference | None) -> ChildSpec:
    return ChildSpec(name, Worker, args=(name, journal), kwargs={"name": name})
