"""Which test makes another one fail, or keeps it from failing: ``--bisect TEST``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest
from supertester.runner.loading import Loaded
from supertester.runner.options import Options
from supertester.runner.outcomes import FAILING, RunReport, TestOutcome
from supertester.runner.running import run

__all__ = ["BisectReport", "bisect", "find_test", "smallest"]

Tests = tuple[DeclaredTest, ...]
Say = Callable[[str], object]
Record = Callable[[Sequence[DeclaredTest]], Mapping[str, Sequence[str]]]

_BAD: Final = FAILING | {"lost", "contaminated"}
_LOST_WORKER: Final = frozenset({"crashed", "timeout"})
"""After these the next test has a fresh process, and nothing can be said about what came before."""
_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class BisectReport:
    """What was found about a test that depends on others.

    Attributes:
        test: The id of the test.
        kind: ``polluter``: the culprits make it fail. ``setter``: without the culprits it fails. ``alone``: it fails
            whatever came before. ``never``: it failed neither alone nor after others.
        culprits: The ids of the fewest tests, in order, that make the difference.
        changes: What the culprits change in the process, as far as that is known.
        message: What the test fails with, when it does.
        runs: How many times tests were run for this.
    """

    test: str
    kind: str
    culprits: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    message: str = ""
    runs: int = 0

    @property
    def ok(self) -> bool:
        """Whether the question has an answer: a polluter or a setter was found."""
        return bool(self.culprits)

    @property
    def command(self) -> str:
        """How to see it again."""
        return " ".join(("python -m unittest", *self.culprits, self.test))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {**vars(self), "culprits": list(self.culprits), "changes": list(self.changes), "ok": self.ok}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        if self.kind == "alone":
            yield f"{self.test} fails also when it is the only test that runs; no other test is to blame"
        elif self.kind == "never":
            yield f"{self.test} passed alone and after all the others; their order is not what makes it fail"
            yield "  it may be flaky by itself: run it with --until-fail, or the suite with --shuffle"
        elif self.kind == "polluter":
            yield f"{self.test} passes alone, and fails after"
        else:
            yield f"{self.test} fails alone, and passes after"
        yield from (f"    {culprit}" for culprit in self.culprits)
        if self.message:
            yield f"  it fails with {self.message}"
        yield from (f"  changed before it: {change}" for change in self.changes[:_SHOWN])
        if len(self.changes) > _SHOWN:
            yield f"  and {len(self.changes) - _SHOWN} more changes"
        if self.culprits:
            yield f"  see it again: {self.command}"


def find_test(tests: Sequence[DeclaredTest], name: str) -> DeclaredTest:
    """Return the test that is called *name*, or whose name ends with it.

    Raises:
        UsageError: There is none, or several.
    """
    found = [test for test in tests if test.test_id == name]
    found = found or [test for test in tests if test.test_id.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} tests are called {name!r}, e.g. {found[0].test_id} and {found[1].test_id}")
    close = difflib.get_close_matches(name, [test.test_id for test in tests], n=1)
    raise UsageError(f"there is no test {name!r}" + (f"; did you mean {close[0]}?" if close else ""))


def bisect(
    loaded: Loaded, name: str, options: Options, *, say: Say = str, record: Record | None = None, run: Any = run
) -> BisectReport:
    """Find the tests on which the test *name* depends, in either direction.

    It runs alone, and after all the tests that come before it; if those are no different, after all others. Where one
    fails and the other passes, the tests that were seen to change the process are tried first, one by one, the last
    one first; then the tests before it are cut down by delta debugging (Zeller and Hildebrandt, IEEE TSE 28, 2002).
    Each try is a fresh process.

    Args:
        loaded: The tests, in the order in which they run.
        name: The id of the test, or its end.
        options: How to run tests.
        say: Is told what goes on.
        record: Returns what each of some tests changes in the process, by id, if it changes anything.
        run: Runs tests; another one for tests of this function.

    Raises:
        UsageError: There is no such test, or several.
    """
    victim = find_test(loaded.tests, name)
    return _Search(loaded, victim, options, say, run).report(record)


class _Search:
    """Runs one test after others, and counts how often."""

    def __init__(self, loaded: Loaded, victim: DeclaredTest, options: Options, say: Say, run: Any) -> None:
        self._loaded = loaded
        self._victim = victim
        # Everything in one fresh process, in this order.
        self._options = replace(options, jobs=1, threads=1, keep_order=True, failfast=False, history=None)
        self._say = say
        self._run = run
        self._message = ""
        self._known: dict[tuple[int, ...], TestOutcome | None] = {}
        self.runs = 0

    def report(self, record: Record | None) -> BisectReport:
        is_bad_alone = self._fails_after(())
        self._say(f"{self._victim.test_id} {'fails' if is_bad_alone else 'passes'} alone")
        before = self._before_that_differ(is_bad_alone)
        if before is None:
            return self._made("alone" if is_bad_alone else "never")
        wanted = not is_bad_alone  # What it is to be after the culprits.
        recorded = record(before) if record is not None else {}
        self._say(f"{len(recorded)} of {len(before)} tests were seen to change the process")
        culprits = self._of_the_record(before, recorded, wanted=wanted) or smallest(
            before, lambda part: self._fails_after(part) == wanted, say=self._say
        )
        self._fails_after(culprits if wanted else ())  # For what it fails with.
        changes = [change for each in culprits for change in recorded.get(each.test_id, ())]
        return self._made("polluter" if wanted else "setter", culprits, changes)

    def _before_that_differ(self, is_bad_alone: bool) -> Tests | None:  # noqa: FBT001
        """Return the tests after which it is not what it is alone: those before it, or else all others."""
        tests = self._loaded.tests
        place = tests.index(self._victim)
        for before in (tests[:place], tests[:place] + tests[place + 1 :]):
            sound = self._without_crashes(before)
            if sound and self._fails_after(sound) != is_bad_alone:
                return sound
        return None

    def _without_crashes(self, before: Tests) -> Tests:
        """Return those of *before* that leave the process alive for the tests after them."""
        while before:
            report = self._after(before)
            lost = {each.test_id for each in report.tests if each.outcome in _LOST_WORKER} - {self._victim.test_id}
            if not lost:
                break
            self._say(f"left out, because they end their process: {', '.join(sorted(lost))}")
            before = tuple(test for test in before if test.test_id not in lost)
        return before

    def _of_the_record(self, before: Tests, recorded: Mapping[str, object], *, wanted: bool) -> Tests:
        for test in reversed(before):
            if test.test_id in recorded and self._fails_after((test,)) == wanted:
                return (test,)
        return ()

    def _made(self, kind: str, culprits: Tests = (), changes: Sequence[str] = ()) -> BisectReport:
        return BisectReport(
            test=self._victim.test_id,
            kind=kind,
            culprits=tuple(each.test_id for each in culprits),
            changes=tuple(changes),
            message="" if kind == "never" else self._message,
            runs=self.runs,
        )

    # Running -----------------------------------------------------------------------------------------------------

    def _fails_after(self, before: Tests) -> bool:
        place = tuple(test.index for test in before)
        if place not in self._known:
            self._after(before)
        outcome = self._known[place]
        if outcome is None or outcome.outcome in _BAD:
            self._message = outcome.message if outcome is not None else "no outcome at all"
            return True
        return False

    def _after(self, before: Tests) -> RunReport:
        self.runs += 1
        found: RunReport = self._run(self._loaded.choose([*before, self._victim]), self._options, [])
        if found.interrupted:
            raise KeyboardInterrupt  # What did not run says nothing.
        self._known[tuple(test.index for test in before)] = self._outcome(found)
        return found

    def _outcome(self, report: RunReport) -> TestOutcome | None:
        found = [each for each in report.tests if each.declared is not None and each.test_id == self._victim.test_id]
        return found[-1] if found else None


def smallest(tests: Tests, holds: Callable[[Tests], bool], *, say: Say = str) -> Tests:
    """Return a part of *tests*, in order, for which *holds* and of which nothing can be left out.

    Delta debugging: halves are tried first, then ever smaller parts, and what is left without each of them.

    Args:
        tests: A whole for which *holds*.
        holds: Says whether a part does what the whole does.
        say: Is told how many are left.

    >>> smallest(tuple("abcdefgh"), lambda part: "c" in part and "f" in part)  # type: ignore[arg-type]
    ('c', 'f')
    """
    pieces = 2
    while len(tests) > 1:
        size = -(-len(tests) // pieces)
        parts = [tests[at : at + size] for at in range(0, len(tests), size)]
        rests = [sum(parts[:at] + parts[at + 1 :], ()) for at in range(len(parts))] if len(parts) > 2 else []
        if (part := next(filter(holds, parts), None)) is not None:
            tests, pieces = part, 2
        elif (rest := next(filter(holds, rests), None)) is not None:
            tests, pieces = rest, max(pieces - 1, 2)
        elif pieces >= len(tests):
            break
        else:
            pieces = min(pieces * 2, len(tests))
            continue
        say(f"{len(tests)} left that make the difference")
    return tests
