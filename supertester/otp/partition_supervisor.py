"""`PartitionSupervisor`: the same child several times, chosen by key, so that none is a bottleneck (rule 32)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from zlib import crc32

from supertester.errors import UsageError
from supertester.otp.child_spec import ChildSpec, SupervisorSpec
from supertester.otp.pid import Pid
from supertester.otp.supervision import server_of
from supertester.otp.supervisor import Supervisor

__all__ = ["PartitionSupervisor"]


class PartitionSupervisor(Supervisor):
    """Starts *partitions* copies of one child, with the ids 0, 1, 2, ...

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec
    >>> async def main():
    ...     parts = await PartitionSupervisor.start_link(ChildSpec("any", Agent, args=(0,)), partitions=4)
    ...     return PartitionSupervisor.whereis(parts, "alice") is PartitionSupervisor.whereis(parts, "alice")
    >>> asyncio.run(main())
    True
    """

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Return the `SupervisorSpec` of one `ChildSpec` and ``partitions=``, by default one per core."""
        return _spec_of(*args, **kwargs)

    @classmethod
    def _otp_check(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if cls.init is PartitionSupervisor.init:
            _spec_of(*args, **kwargs)
        return args

    @staticmethod
    def whereis(supervisor: Any, key: Any) -> Pid | None:
        """Return the partition for *key*: an integer counts modulo the partitions, anything else by a stable hash.

        ``None`` while that partition does not run.
        """
        server = server_of(supervisor, "PartitionSupervisor.whereis")
        if not isinstance(server, PartitionSupervisor):
            raise UsageError(f"{supervisor!r} is no PartitionSupervisor")
        number = key if isinstance(key, int) else crc32(repr(key).encode())
        child = server.children.get(number % PartitionSupervisor.partitions(supervisor))
        return None if child is None else child.process

    @staticmethod
    def partitions(supervisor: Any) -> int:
        """Return how many partitions there are."""
        server = server_of(supervisor, "PartitionSupervisor.partitions")
        return len(server.spec.children)  # type: ignore[arg-type]


def _spec_of(child: Any, /, *, partitions: int | None = None, **options: Any) -> SupervisorSpec:
    if not isinstance(child, ChildSpec):
        raise TypeError(f"PartitionSupervisor takes one ChildSpec, got {child!r}")
    count = os.cpu_count() or 1 if partitions is None else partitions
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:  # type: ignore[redundant-expr]
        raise UsageError(f"partitions must be an integer of 1 or more, got partitions={partitions!r}")
    if "name" in child.kwargs:
        raise UsageError("the partitions cannot all have one name; leave name out of the ChildSpec's kwargs")
    return SupervisorSpec([replace(child, id=number) for number in range(count)], **options)
