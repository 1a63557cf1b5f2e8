"""`consume_memory`: a share of the memory is taken, of this process, another one, a group, or the machine."""

from __future__ import annotations

from typing import Any, Final

from supertester._core.waiting import checked_seconds
from supertester.chaos import limits
from supertester.chaos.exhaustion import Exhaustion, checked_share, checked_size, of_memory, share_of
from supertester.chaos.limits import MB
from supertester.chaos.os_signals import process_victim
from supertester.chaos.process_hogs import Group, Machine, OfProcess
from supertester.errors import UsageError

__all__ = ["consume_memory"]

_OWN_MB: Final = 256
_LEAST_FLOOR: Final = 512 * MB
"""Bytes that are left to the machine at the least."""


def consume_memory(
    fraction: float,
    *,
    limit_mb: float | None = None,
    cap_mb: float | None = None,
    target: Any = None,
    scope: str | None = None,
    floor_mb: float = 2048,
) -> Exhaustion:
    """Take a share of the memory, until the block ends, `Exhaustion.cleanup` is awaited, or the test ends.

    Whose memory, is the *scope*:

    - ``"own"``, the default: of the limit of this process, which takes it;
    - ``"worker"``, the default with a *target*: of what that process could still have. Beyond the rest its allocations
      fail, with a ``MemoryError`` in Python; see `limit_resources`;
    - ``"cgroup"``: of *limit_mb*. The *target* and what it has started may have no more than the rest on top of what
      they have; the system ends who takes more (``evidence["oom_kills"]``). That takes Linux and root, or a delegated
      group;
    - ``"machine"``: of all that there is. A process takes what is missing until so much is in use, step by step, leaves
      *floor_mb*, and is the first that the system ends. All that runs on the machine feels it: never the default.

    Args:
        fraction: More than 0 and at most 1.
        limit_mb: What it is a share of, for ``"own"``, ``"worker"`` and ``"cgroup"``; by default the limit that is set
            for this process, or the memory of the machine; or what the target could still have.
        cap_mb: For ``"own"``, 256 by default, and ``"machine"``, megabytes that are never exceeded, whatever the share
            would be; ``wanted`` says how much is taken.
        target: The process that it is taken away from.
        scope: One of these.
        floor_mb: Megabytes that are left to the machine, 512 at least.

    Returns:
        As `simulate_resource_exhaustion`; ``taken`` is what is really held.

    Raises:
        UsageError: A value makes no sense, or that much is not free.
        Unsupported: The system, or a lack of privileges, does not allow it; the message says why.

    >>> import asyncio
    >>> async def main():
    ...     async with consume_memory(0.5, limit_mb=8) as exhaustion:
    ...         return exhaustion.taken
    >>> asyncio.run(main())
    4194304
    """
    share = checked_share(fraction)
    assert share is not None
    scope = _checked_scope(scope, target)
    limit = None if limit_mb is None else checked_size(limit_mb)
    cap = None if cap_mb is None else checked_size(cap_mb)
    _check_amounts(scope, limit, cap)
    if scope == "own":
        most = limits.memory_limit() if limit is None else limit
        return of_memory(min(int(most * share), _OWN_MB * MB if cap is None else cap), most)
    if scope == "machine":
        return _of_machine(share, cap, checked_seconds("floor_mb", floor_mb))
    process = process_victim(target, "consume_memory")
    if scope == "cgroup":
        assert limit is not None
        return Exhaustion("memory", Group(process, limit), int(limit * share), limit)
    hog = OfProcess(process, "memory", limit)
    free = hog.free()
    return Exhaustion("memory", hog, share_of(free, share, "memory"), free)


_SCOPES = ("own", "worker", "cgroup", "machine")


def _checked_scope(scope: Any, target: Any) -> str:
    if scope is None:
        return "own" if target is None else "worker"
    if scope not in _SCOPES:
        raise UsageError(f"there is no scope {scope!r}; the scopes are {', '.join(_SCOPES)}")
    if (target is None) == (scope in ("worker", "cgroup")):
        verb = "needs a" if target is None else "has no"
        raise UsageError(f"consume_memory: scope={scope!r} {verb} target")
    return str(scope)


def _check_amounts(scope: str, limit: int | None, cap: int | None) -> None:
    if scope == "cgroup" and limit is None:
        raise UsageError("consume_memory: give limit_mb, what the group may have, for scope='cgroup'")
    if scope == "machine" and limit is not None:
        raise UsageError("consume_memory: the machine has what it has; leave limit_mb out, or give cap_mb")
    if scope in ("worker", "cgroup") and cap is not None:
        raise UsageError(f"consume_memory: cap_mb is for what is really taken, and not for scope={scope!r}")


def _of_machine(share: float, cap: int | None, floor_mb: float) -> Exhaustion:
    hog = Machine(int(max(floor_mb, _LEAST_FLOOR / MB) * MB))
    physical, free = limits.physical_memory(), limits.free_memory()
    assert physical is not None and free is not None
    wanted = int(physical * share) - (physical - free)
    if wanted <= 0:
        raise UsageError(
            f"{1 - free / physical:.0%} of the machine's memory are in use already, got fraction={share!r}"
        )
    return Exhaustion("memory", hog, wanted if cap is None else min(wanted, cap), physical)
