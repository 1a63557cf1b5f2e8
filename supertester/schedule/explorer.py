"""`Explorer`: runs a program under one schedule after another until one fails, and finds out why."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from supertester._core.seeds import derive_seed, run_seed
from supertester.errors import UsageError
from supertester.schedule import diagnosis
from supertester.schedule.coverage import Coverage, CoverageCounter
from supertester.schedule.database import Database
from supertester.schedule.entropy import controlled_entropy
from supertester.schedule.explainer import Explainer
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.invariants import watched_by
from supertester.schedule.report import ExplorationReport, FailingSchedule
from supertester.schedule.run import Run, run_schedule
from supertester.schedule.settings import Settings
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.fault_moments import FaultMoments
from supertester.schedule.strategies.io_level import IoLevel
from supertester.schedule.strategies.named import named_strategy
from supertester.schedule.strategies.replay import Replay
from supertester.schedule.subject import Subject
from supertester.schedule.token import Schedule, Switch

__all__ = ["Explorer"]

_AUDITED = 1
"""The schedule that is run twice: the second one, when the caches of the program are warm."""


@dataclass(frozen=True)
class _Found:
    """A schedule that failed, and how it was come upon."""

    run: Run
    by: str


class Explorer:
    """Explores one program.

    Args:
        subject: The program.
        settings: How.
        deadline: When time is over by `time.monotonic`, enough of it or not; ``None`` for no limit.
    """

    def __init__(self, subject: Subject, settings: Settings, *, deadline: float | None = None) -> None:
        self._subject = subject
        self._settings = settings
        self._began = time.monotonic()
        seed = settings.seed
        self._seed = derive_seed(run_seed(), subject.name) if seed is None else seed
        self._random = Random(self._seed)
        self._enough = math.inf if settings.seconds is None else self._began + settings.seconds
        self._deadline = math.inf if deadline is None else deadline
        self._out_of_time = False
        self._database = _database(subject.name, settings)
        self._watch = None if settings.invariant is None else watched_by(settings.invariant)
        self._count = 0
        self._exhausted = False
        self._has_offered = False
        self._untracked: list[str] = []
        self._bare: Strategy | None = None
        self._counter = CoverageCounter()

    # Running one -----------------------------------------------------------------------------------------------------

    def _run(self, strategy: Strategy, *, prepare: Callable[[ExploringLoop], object] | None = None) -> Run:
        """Run the program once; *strategy* has begun."""
        settings = self._settings
        kind: Any = _loop_with_accesses() if strategy.needs_accesses else ExploringLoop
        loop: ExploringLoop = kind(strategy, step_limit=settings.step_limit, seed=self._seed)
        if settings.faults is not None:
            loop.allow_faults(settings.faults)
        if self._watch is not None:
            loop.after_step = self._watch
        if prepare is not None:
            prepare(loop)
        subject = self._subject
        return run_schedule(subject.program, loop, number=self._count, seed=self._seed, through=subject.through)

    # Looking for a failure -------------------------------------------------------------------------------------------

    def explore(self, *, explains: bool = True) -> ExplorationReport:
        """Look for a schedule that fails, the saved ones first.

        Args:
            explains: Whether to shrink, explain and save it; else the report only says that there is one.
        """
        with controlled_entropy():
            try:
                found = self._saved() or self._hunt()
                if found is None:
                    if explains:
                        self._check_faults()
                    return self._report()
                return self._report(failing=self._diagnosed(found) if explains else self._named(found))
            except diagnosis.NotDeterministic as error:
                return self._report(divergence=str(error))

    def _check_faults(self) -> None:
        """Refuse faults that can hit nobody: a test that passes with those has shown nothing."""
        faults = self._settings.faults
        if faults is not None and not faults.timer_first and not self._has_offered:
            whom = "nobody was there" if faults.targets is None else f"there was no such target: {faults.targets!r}"
            raise UsageError(
                f"none of the faults {', '.join(faults.budgets())} could happen in any of {self._count} schedules, "
                f"because {whom}; faults hit servers of supertester.otp and SimProcess, targets= chooses among them"
            )

    def _saved(self) -> _Found | None:
        for token in self._database.tokens() if self._database is not None else ():
            schedule = Schedule.of_token(token)
            seed, self._seed = self._seed, schedule.seed
            run = self._replayed(Replay(schedule.switches))
            if run.failure is not None:
                return _Found(run, "saved")
            self._seed = seed
            assert self._database is not None
            self._database.drop(token)
        return None

    def _replayed(self, strategy: Strategy) -> Run:
        strategy.begin(self._random, 0)
        return self._run(strategy)

    def _hunt(self) -> _Found | None:
        strategy = self._strategy()
        bare, counter = self._bare or strategy, self._counter
        for number in range(self._settings.schedules):
            if not strategy.begin(self._random, number):
                self._exhausted = bare.exhausted
                self._untracked = sorted(getattr(bare, "untracked", ()))
                return None
            run = self._run(strategy)
            self._count = number + 1
            strategy.end(run)
            self._has_offered |= run.loop.has_offered
            counter.note(run.choices, strategy.accesses.steps if strategy.needs_accesses else None)
            if run.failure is not None:
                return _Found(run, strategy.name)
            if number == _AUDITED and (problem := diagnosis.diverging(run, self._run)) is not None:
                raise problem
            now = time.monotonic()
            if now > self._enough:
                return None
            if now > self._deadline and number + 1 < self._settings.schedules:
                self._out_of_time = True
                return None
        return None

    def _strategy(self) -> Strategy:
        settings = self._settings
        self._bare = strategy = settings.make_strategy()
        if settings.level != "io":
            return self._with_faults(strategy)
        if strategy.needs_accesses:
            raise UsageError(
                f"strategy={strategy.name!r} runs every order that can differ, which are those of level='await', got "
                "level='io'; leave level= out, or choose another strategy and leave complete= out"
            )
        return IoLevel(self._with_faults(strategy))

    def _with_faults(self, strategy: Strategy) -> Strategy:
        """Let faults happen all over a schedule, where there are any and the strategy does not try every order."""
        faults = self._settings.faults
        return strategy if faults is None or strategy.is_systematic else FaultMoments(strategy, faults.budgets())

    def _named(self, found: _Found) -> FailingSchedule:
        failure = found.run.failure
        assert failure is not None
        return FailingSchedule(
            error=failure.exception,
            kind=failure.kind,
            found_by=found.by,
            found_at=self._count,
            token="",
            switches=0,
            switches_found=0,
        )

    # Finding out why -------------------------------------------------------------------------------------------------

    def _diagnosed(self, found: _Found) -> FailingSchedule:
        run = found.run
        assert run.failure is not None
        switches, _, difference = diagnosis.followed(run, self._run)
        if difference is not None:
            raise diagnosis.NotDeterministic(
                f"{diagnosis.blame(difference)}\nthe first time it failed with {run.failure.exception!r}"
            )
        began = time.monotonic()
        least = diagnosis.shrunk(switches, run, self._run)
        failing = self._explained(least.switches, found.by)
        failing = replace(
            failing,
            switches_found=len(switches),
            replays=least.replays,
            shrink_seconds=time.monotonic() - began,
            is_least=least.is_least,
        )
        return self._kept(failing)

    def _explained(self, switches: tuple[Switch, ...], by: str) -> FailingSchedule:
        """Run the schedule of *switches* once more and say what happens in it."""
        return Explainer(
            subject=self._subject,
            seed=self._seed,
            again=self._run,
            sampler=partial(self._with_faults, named_strategy("auto")),
            random=self._random,
        ).explain(switches, by=by, at=self._count)

    def _kept(self, failing: FailingSchedule) -> FailingSchedule:
        if self._database is None:
            return failing
        facts = {"failure": failing.sentence, "command": failing.command}
        return replace(failing, saved=self._database.add(failing.token, facts))

    # Replaying -------------------------------------------------------------------------------------------------------

    def is_of(self, token: str) -> bool:
        """Say whether *token* was made for a program of this name."""
        return Schedule.of_token(token).program == self._subject.fingerprint

    def nothing(self) -> ExplorationReport:
        """Return the report of no schedule at all."""
        return self._report(limit=0)

    def replay(self, token: str) -> ExplorationReport:
        """Run the one schedule that *token* stands for.

        Raises:
            UsageError: It is no token, or the program goes another way than the token says.
        """
        with controlled_entropy():
            return self._replay(Schedule.of_token(token))

    def _replay(self, schedule: Schedule) -> ExplorationReport:
        self._seed = schedule.seed
        strategy = Replay(schedule.switches)
        run = self._replayed(strategy)
        self._count = 1
        difference = strategy.finish()
        is_other = schedule.program != self._subject.fingerprint
        if difference is not None or is_other:
            raise UsageError(self._other_program(difference, is_other=is_other))
        if run.failure is None:
            return self._report(limit=1)
        try:
            return self._report(failing=self._explained(schedule.switches, "replay"), limit=1)
        except diagnosis.NotDeterministic as error:
            return self._report(divergence=str(error), limit=1)

    def _other_program(self, difference: str | None, *, is_other: bool) -> str:
        changed = (
            "the program has changed since it was made, or depends on more than its schedule, such as the order of "
            "sets, which goes by PYTHONHASHSEED"
        )
        reasons = [difference, "it was made for another test" if is_other else changed]
        return f"the replay token does not fit {self._subject.name}: {'; '.join(filter(None, reasons))}"

    def _report(
        self, *, failing: FailingSchedule | None = None, divergence: str | None = None, limit: int | None = None
    ) -> ExplorationReport:
        settings = self._settings
        strategy = settings.strategy if isinstance(settings.strategy, str) else settings.strategy.name
        return ExplorationReport(
            name=self._subject.name,
            schedules=self._count,
            limit=settings.schedules if limit is None else limit,
            seconds=time.monotonic() - self._began,
            strategy=strategy,
            seed=self._seed,
            level=settings.level,
            exhausted=self._exhausted,
            untracked=self._untracked,
            out_of_time=self._out_of_time,
            complete=settings.complete and limit is None,
            failing=failing,
            divergence=divergence,
            coverage=self._coverage(),
        )

    def _coverage(self) -> Coverage | None:
        bare = self._bare
        if bare is None:
            return None  # There was nothing to look for: one schedule was replayed.
        return self._counter.coverage(preemptions=getattr(bare, "preemptions", None), systematic=bare.is_systematic)


def _loop_with_accesses() -> Any:
    from supertester.schedule.access_loop import AccessLoop  # Few explorations need it.

    return AccessLoop


def _database(name: str, settings: Settings) -> Database | None:
    given = settings.database
    if given is False:
        return None
    return Database(name, None if given is True else Path(given))
