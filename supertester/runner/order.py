"""In which order tests run, how often, and which of them failed last: from declared tests to declared tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest

__all__ = ["failed_first", "only_failed", "repeated", "shuffled"]


def shuffled(tests: Sequence[DeclaredTest], seed: int) -> list[DeclaredTest]:
    """Return *tests* in the random order that *seed* stands for.

    Where a test stands depends on its name and the seed alone. So the order of any two is the same in a part of the
    suite as in the whole, and one that fails together with others can be looked for with ever fewer. Tests that share a
    class or module fixture stay together.

    >>> def test(name, fixture=None):
    ...     return DeclaredTest(index=0, test_id=name, module="m", class_name="C", method=name, fixture=fixture)
    >>> [each.test_id for each in shuffled([test(name) for name in "abcdef"], 7341)]
    ['c', 'a', 'e', 'b', 'd', 'f']
    >>> [each.test_id for each in shuffled([test(name) for name in "abc"], 7341)]
    ['c', 'a', 'b']
    """
    place = _hash_with(seed)

    def key(test: DeclaredTest) -> tuple[str, ...]:
        own = place(f"{test.test_id} {test.attempt}")
        if test.fixture is None:
            return (own,)
        return (place(f"{test.fixture} {test.attempt}"), place(test.class_id), own)

    return sorted(tests, key=key)


def _hash_with(seed: int) -> Callable[[str], str]:
    def hashed(text: str) -> str:
        return hashlib.blake2b(f"{seed} {text}".encode(errors="surrogatepass"), digest_size=8).hexdigest()

    return hashed


def repeated(tests: Sequence[DeclaredTest], times: int) -> list[DeclaredTest]:
    """Return all *tests* once, then all of them again, and so on.

    Raises:
        UsageError: *times* is less than 1.
    """
    if times < 1:
        raise UsageError(f"tests run at least once, got times={times}")
    return [replace(test, attempt=attempt) for attempt in range(1, times + 1) for test in tests]


def only_failed(tests: Sequence[DeclaredTest], failed: Collection[str]) -> list[DeclaredTest]:
    """Return those of *tests* whose id is among *failed*.

    Raises:
        UsageError: There are none.
    """
    found = [test for test in tests if test.test_id in failed]
    if not found:
        what = "those that did are none of these tests" if failed else "as far as is remembered, no test did"
        raise UsageError(f"there is no test that failed last time: {what}; run without --last-failed")
    return found


def failed_first(tests: Sequence[DeclaredTest], failed: Collection[str]) -> list[DeclaredTest]:
    """Return *tests* with those whose id is among *failed* before the others.

    Tests that share a class or module fixture stay together; a fixture with a failed test comes first as a whole.
    """
    bad = {_group(test) for test in tests if test.test_id in failed}
    return sorted(tests, key=lambda test: (_group(test) not in bad, test.attempt))


def _group(test: DeclaredTest) -> str:
    return test.fixture or test.test_id
