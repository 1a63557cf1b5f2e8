"""``--shard I/N``: parts of a suite for several machines, which take about equally long."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from statistics import median

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest

__all__ = ["fingerprint", "shard_of"]


def shard_of(
    tests: Sequence[DeclaredTest], shard: tuple[int, int], durations: Mapping[str, float]
) -> list[DeclaredTest]:
    """Return the tests of part *i* of *n*, for *shard* ``(i, n)``, in their order.

    Tests of one fixture stay together. The longest are dealt out first, each to the part that has the least so far;
    what has no duration counts as the median. The parts fit together as long as all machines know the same tests and
    the same durations: see `fingerprint`.

    Raises:
        UsageError: Nothing is left for this part.

    >>> tests = [DeclaredTest(index=i, test_id=name, module="m", class_name="C", method=name)
    ...          for i, name in enumerate("abcd")]
    >>> [each.test_id for each in shard_of(tests, (1, 2), {"a": 3.0, "b": 1.0, "c": 1.0, "d": 1.0})]
    ['a']
    >>> [each.test_id for each in shard_of(tests, (2, 2), {"a": 3.0, "b": 1.0, "c": 1.0, "d": 1.0})]
    ['b', 'c', 'd']
    """
    number, parts = shard
    usual = median(durations.values()) if durations else 1.0
    groups: dict[str, list[DeclaredTest]] = {}
    for test in tests:
        groups.setdefault(test.fixture or f"{test.test_id} {test.index}", []).append(test)
    lengths = {name: sum(durations.get(test.test_id, usual) for test in group) for name, group in groups.items()}
    loads = [(0.0, part) for part in range(1, parts + 1)]
    chosen: set[int] = set()
    for name in sorted(groups, key=lambda each: (-lengths[each], each)):
        least = min(loads)
        loads[least[1] - 1] = (least[0] + lengths[name], least[1])
        if least[1] == number:
            chosen.update(test.index for test in groups[name])
    if not chosen:
        raise UsageError(f"shard {number}/{parts} has no test: only {len(groups)} can be told apart; use fewer shards")
    return [test for test in tests if test.index in chosen]


def fingerprint(tests: Sequence[DeclaredTest], durations: Mapping[str, float]) -> str:
    """Return what has to be the same on all machines for their shards to fit together."""
    known = "".join(f"{test.test_id} {durations.get(test.test_id)}\n" for test in tests)
    return f"{zlib.crc32(known.encode('utf-8', 'surrogatepass')):08x}"
