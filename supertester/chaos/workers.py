"""`kill_random_worker`: one worker of a pool ends, whichever."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from supertester.chaos.crash import Injection, inject_crash
from supertester.chaos.journal import chosen_seed
from supertester.errors import UsageError
from supertester.otp.reasons import KILL
from supertester.otp.refs import Reference
from supertester.targets.adapting import foreign_target
from supertester.targets.embedded import EmbeddedTarget, running_children
from supertester.targets.target import Target
from supertester.telemetry.emission import spanned
from supertester.trees import supervisor_of

__all__ = ["kill_random_worker"]


@spanned("chaos.kill_worker")
async def kill_random_worker(pool: Reference | Target, *, reason: Any = KILL, seed: int | None = None) -> Injection:
    """Kill one worker of *pool*, drawn by chance, and return who it was and what became of it.

    Args:
        pool: A supervisor; the workers are its children that run and are no supervisors. Or what else
            `supertester.targets.target_of` makes a target of that has workers: the master process of a server, a
            ``ProcessPoolExecutor``, a pool of your own.
        reason: The exit reason of the signal; a worker that traps exits may survive any but ``KILL``. What other
            workers know besides ``KILL`` says `supertester.targets.Target.kill`.
        seed: Of the choice; by default that of the running test.

    Raises:
        UsageError: The pool is dead or unknown, is no supervisor, or has no worker that runs.
        Unsupported: It has no workers, or they cannot be killed, as threads cannot.

    >>> import asyncio
    >>> from supertester.otp import Agent, ChildSpec, Supervisor
    >>> async def main():
    ...     pool = await Supervisor.start_link([ChildSpec(name, Agent, args=(0,)) for name in "abc"])
    ...     return (await kill_random_worker(pool)).died
    >>> asyncio.run(main())
    True
    """
    workers = _workers(pool)
    chosen = chosen_seed(seed, "kill_random_worker")
    injection = await inject_crash(random.Random(chosen).choice(workers), "immediate", reason=reason)
    injection.seed = chosen
    return injection


def _workers(pool: Any) -> Sequence[Any]:
    target = foreign_target(pool)
    if target is None or isinstance(target, EmbeddedTarget):
        supervisor = supervisor_of(pool if target is None else target.process, "kill_random_worker")
        workers: Sequence[Any] = [each for child, each in running_children(supervisor) if child.spec.type == "worker"]
        named: Any = supervisor
    else:
        workers, named = target.workers(), target
    if not workers:
        raise UsageError(f"kill_random_worker: {named!r} has no worker that runs")
    return workers
