"""One seed per run, derived per test, so that every random choice can be made again."""

from __future__ import annotations

import os

from supertester.errors import UsageError

__all__ = ["VARIABLE", "adopt_seed", "derive_seed", "run_seed"]

VARIABLE = "SUPERTESTER_SEED"
"""The environment variable that holds the seed to run with again."""

_drawn: list[int] = []


def run_seed() -> int:
    """Return the seed of this run: that of ``SUPERTESTER_SEED``, or else one drawn once per process.

    Raises:
        UsageError: The variable holds something else than an integer of 0 or more.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if not given.strip().isdecimal():
            raise UsageError(f"{VARIABLE} must be an integer of 0 or more, got {VARIABLE}={given!r}")
        return int(given)
    if not _drawn:
        _drawn.append(int.from_bytes(os.urandom(4), "big"))
    return _drawn[0]


def adopt_seed(seed: int) -> None:
    """Be a process of the run with *seed*, unless ``SUPERTESTER_SEED`` says something else."""
    _drawn[:] = [seed]


def derive_seed(seed: int, name: str) -> int:
    """Return the seed of *name* in the run with *seed*; the same in every process and Python version.

    >>> derive_seed(1, "test_a") == derive_seed(1, "test_a"), derive_seed(1, "test_a") == derive_seed(2, "test_a")
    (True, False)
    """
    from hashlib import blake2b  # Who only needs the seed of the run does not need that.

    return int.from_bytes(blake2b(f"{seed}:{name}".encode(), digest_size=6).digest(), "big")
