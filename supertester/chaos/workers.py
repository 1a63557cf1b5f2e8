"""`kill_random_worker`: one worker of a pool ends, whichever."""

from __future__ import annotations

import random
from typing import Any

from supertester.chaos.children import running_children
from supertester.chaos.crash import Injection, inject_crash
from supertester.chaos.journal import chosen_seed
from supertester.chaos.targets import check_embedded
from supertester.errors import UsageError
from supertester.otp.reasons import KILL
from supertester.otp.refs import Reference
from supertester.trees import supervisor_of

__all__ = ["kill_random_worker"]


async def kill_random_worker(pool: Reference, *, reason: Any = KILL, seed: int | None = None) -> Injection:
    """Kill one worker of *pool*, drawn by chance, and return who it was and what became of it.

    Args:
        pool: A supervisor; the workers are its children that run and are no supervisors.
        reason: The exit reason of the signal; a worker that traps exits may survive any but ``KILL``.
        seed: Of the choice; by default that of the running test.

    Raises:
        UsageError: The pool is dead or unknown, is no supervisor, or has no worker that runs.
        Unsupported: It is a pool of threads or of processes of the operating system.

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec, Supervisor
    >>> async def main():
    ...     pool = await Supervisor.start_link([ChildSpec(name, Agent, args=(0,)) for name in "abc"])
    ...     return (await kill_random_worker(pool)).died
    >>> asyncio.run(main())
    True
    """
    check_embedded(pool, "kill_random_worker")
    supervisor = supervisor_of(pool, "kill_random_worker")
    workers = [process for child, process in running_children(supervisor) if child.spec.type == "worker"]
    if not workers:
        raise UsageError(f"kill_random_worker: {supervisor!r} has no worker that runs")
    chosen = chosen_seed(seed, "kill_random_worker")
    injection = await inject_crash(random.Random(chosen).choice(workers), "immediate", reason=reason)
    injection.seed = chosen
    return injection
