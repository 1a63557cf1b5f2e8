"""Workers of what is no supervisor: how many there are, whether all live, and who has taken whose place.

The helpers for supervisors and restarts come here with every target that has workers.
"""

from __future__ import annotations

from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.waiting import wait_until
from supertester.errors import UsageError, WaitTimeout
from supertester.targets.adapting import target_of
from supertester.targets.target import Target

__all__ = ["check_succeeded", "check_worker_count", "check_workers_alive", "wait_for_successor"]


def check_worker_count(pool: Target, expected: int) -> Mismatch | None:
    """Say that *pool* has not exactly *expected* workers that are alive, or return ``None``."""
    rows = pool.roll_call()
    alive = sum(state in ("running", "stopped") for _, state in rows)
    if alive == expected:
        return None
    return Mismatch(f"{pool!r} has {alive} workers, expected {expected}", [f"{who}: {state}" for who, state in rows])


def check_workers_alive(pool: Target) -> Mismatch | None:
    """Say which workers of *pool* are not alive, or that itself is not, or return ``None``.

    A pool that forgets workers which have ended has none of them; count them, too.
    """
    if not pool.is_alive():
        return Mismatch(f"{pool!r} is dead")
    rows = pool.roll_call()
    dead = [who.id for who, state in rows if state not in ("running", "stopped")]
    if not dead:
        return None
    table = [f"{who}: {state}" for who, state in rows]
    return Mismatch(f"not all workers of {pool!r} are alive: {', '.join(dead)}", table)


async def wait_for_successor(system: Any, original: Target, timeout: float) -> Target:
    """Wait until another than *original* has its place in *system*, and itself is gone; return the other.

    Args:
        system: A pool whose workers have ids of their own, or a function that returns the present one.
        original: The target that was to be replaced.
        timeout: Seconds; 0 looks once.

    Raises:
        WaitTimeout: There was none, or *original* has not ended, or its parent has not waited for it.
        UsageError: Several workers of *system* have one id, so that nobody could tell whose place is whose.
    """
    found: list[Target] = []

    def look() -> bool:
        found[:] = _successors(system, original)
        return bool(found) and original.state == "gone"

    def seen() -> str:
        return f"{original!r} is {original.state}, and {shown(found[0]) if found else 'nobody'} has its place"

    await wait_until(look, f"a successor of {original!r} in {shown(system)}", timeout=timeout, seen=seen)
    return found[0]


def _successors(system: Any, original: Target) -> list[Target]:
    try:
        present = target_of(system)
    except UsageError:
        return []  # There is none just now.
    if not present.supports("workers"):
        return [present] if present.is_alive() and present.identity != original.identity else []
    named = [each for each in present.workers() if each.identity.id == original.identity.id]
    if len(named) > 1:
        raise UsageError(
            f"{present!r} has {len(named)} workers called {original.identity.id!r}, so whose place is whose cannot be "
            "told; use assert_recovers"
        )
    return [each for each in named if each.identity.generation > original.identity.generation]


async def check_succeeded(system: Any, original: Target, within: float) -> Mismatch | None:
    """Say why nobody has taken the place of *original* in *system*, or return ``None``."""
    try:
        await wait_for_successor(system, original, within)
    except WaitTimeout as error:
        return Mismatch(str(error))
    return None
