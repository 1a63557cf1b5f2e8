"""Tries the adapter of Ray's actors, in a process of its own: a Ray that is on loopback, small, and gone at the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import services

from supertester.chaos import probe_recovery
from supertester.errors import Unsupported, UsageError
from supertester.targets import check_target_contract, target_of


@ray.remote(num_cpus=0, max_restarts=-1)
class Counter:
    """An actor with something to lose."""

    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        """Count one more."""
        self.value += 1
        return self.value


@contextmanager
def small_ray() -> Iterator[None]:
    """Run Ray for the body, with one processor, and nothing that listens beyond this machine."""
    services.resolve_ip_for_localhost = lambda host: host  # It would take the address of a network card instead.
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=80 * 1024 * 1024,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=sys.argv[1],
    )
    try:
        yield
    finally:
        ray.shutdown()


async def started() -> Any:
    """Return an actor that is alive."""
    actor = Counter.remote()
    await actor.add.remote()
    return actor


async def main() -> None:
    """Print what is found out, a line each."""
    print("contract:", await check_target_contract(started, supports=["kill", "stop", "suspend", "resume", "sync"]))
    actor = await started()
    first = target_of(actor)
    print("loopback:", ray._private.state.actors(actor._actor_id.hex())["Address"]["IPAddress"])

    async def counts_anew() -> bool:
        return bool(await actor.add.remote() == 1)

    recovery = await probe_recovery(actor, within=60, probe=counts_anew)
    print("recovery:", recovery.mismatch, [life.generation for life in recovery.begun], list(recovery.ended.values()))
    second = target_of(actor)
    print("lives:", first.identity.id == second.identity.id, first.is_alive(), second.is_alive())
    try:
        second.queue_len()
    except Unsupported as error:
        print("unsupported:", error)
    await second.stop(30)
    try:
        target_of(actor)
    except UsageError as error:
        print("stopped:", "not ALIVE" in str(error))


if __name__ == "__main__":
    with small_ray():
        asyncio.run(main())
