"""`Explainer`: runs a schedule that fails once more, and puts into words what happens in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from supertester.schedule import diagnosis
from supertester.schedule.report import FailingSchedule
from supertester.schedule.report.conflict import conflicts_of
from supertester.schedule.report.explain import feasibility_text, needs_of, wait_lines
from supertester.schedule.report.swimlane import named, rows_of, swimlane
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.subject import Subject
from supertester.schedule.token import Switch

__all__ = ["Explainer"]


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """Explains the failures of one program.

    Attributes:
        subject: The program.
        seed: What its random numbers come from.
        again: Runs it.
        sampler: Returns a new strategy, by which schedules are looked for that asyncio itself can produce.
        random: What that draws from.
    """

    subject: Subject
    seed: int
    again: diagnosis.RunOnce
    sampler: Callable[[], Strategy]
    random: Random

    def explain(self, switches: tuple[Switch, ...], *, by: str, at: int) -> FailingSchedule:
        """Return the schedule with these *switches*, found *by* a strategy in a schedule *at* a number, explained.

        Raises:
            NotDeterministic: It does not fail this time.
        """
        traced = diagnosis.traced(switches, self.again)
        failure, tracer = traced.run.failure, traced.tracer
        if failure is None:
            raise diagnosis.NotDeterministic(diagnosis.blame("it failed before, and then passed"))
        names = named(tracer.names)
        conflicts = conflicts_of(tracer.steps, tracer.actors)
        rows = rows_of(tracer.steps, frozenset(line for each in conflicts for line in each.lines))
        feasible = diagnosis.feasibility(failure, self.again, self.sampler(), self.random)
        token = self.subject.token(traced.switches, traced.choices, self.seed)
        return FailingSchedule(
            error=failure.exception,
            kind=failure.kind,
            found_by=by,
            found_at=at,
            token=token,
            switches=len(traced.switches),
            switches_found=len(traced.switches),
            feasible=feasible.level,
            feasible_token=self._feasible_token(feasible),
            feasibility=feasibility_text(feasible),
            needs=needs_of(tracer.steps, names),
            conflicts=[each.text(names) for each in conflicts],
            waits=wait_lines(failure, tracer, names),
            rows=rows,
            lanes=names,
            swimlane=swimlane(rows, names),
            command=self.subject.command(token),
        )

    def _feasible_token(self, feasible: diagnosis.Feasibility) -> str | None:
        if feasible.run is None:
            return None
        switches, choices, difference = diagnosis.followed(feasible.run, self.again)
        return None if difference is not None else self.subject.token(switches, choices, self.seed)
