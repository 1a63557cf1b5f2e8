"""`run_program`: run a program as a scenario, and hold its history to the model."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester.errors import CallExit, WaitTimeout
from supertester.linear import History, Operation, check_linearizable
from supertester.linear.picture import drawn
from supertester.programs.program import Program, Step
from supertester.scenarios import Scenario, ScenarioReport, run_scenario

__all__ = ["ProgramReport", "ProgramRun", "run_program"]


@dataclass(frozen=True, kw_only=True)
class ProgramReport:
    """What came of a program.

    Attributes:
        program: The program.
        verdict: ``"linearizable"``, ``"not_linearizable"``, or ``"unknown"`` where the checker's budget was used up.
        error: What went wrong apart from that, as text: a timeout, an operation without an answer, a failing set-up.
        history: The operations, with when they were called and what they returned.
        explanation: Why the verdict is not ``"linearizable"``.
        scenario: The report of the scenario that the branches were.
    """

    program: Program
    verdict: str
    error: str | None
    history: tuple[Operation, ...]
    explanation: str
    scenario: ScenarioReport

    @property
    def ok(self) -> bool:
        """Whether all was well, and is known to be."""
        return self.verdict == "linearizable" and self.error is None

    @property
    def mismatch(self) -> Mismatch | None:
        """How the subject differs from its model, or ``None``."""
        return None if self.ok else Mismatch(str(self))

    def __str__(self) -> str:
        return "\n".join([*self.lines(), f"see it again with: await run_program({self.program!r})"])

    def lines(self) -> Iterator[str]:
        """Yield what came of the program, a line each, without how to see it again."""
        name = self.program.machine.__qualname__
        words = {"not_linearizable": "is not linearizable", "unknown": "may be linearizable or not"}
        yield f"{name} {words.get(self.verdict, 'is linearizable' if self.ok else 'failed')}"
        if self.error is not None:
            yield self.error
        yield from ("the program:", *(f"  {line}" for line in str(self.program).splitlines()))
        yield "what happened, from calls to returns:"
        yield from (f"  {line}" for line in (drawn(self.history) or "nothing").splitlines())
        if self.explanation:
            # The picture of the whole stands above already.
            yield from self.explanation.partition("\n\n")[0].splitlines()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "error": self.error,
            "program": repr(self.program),
            "history": [str(operation) for operation in self.history],
            "explanation": self.explanation,
        }


async def run_program(program: Program) -> ProgramReport:
    """Run *program* on a fresh subject and return what came of it.

    The branches start together, as tasks on the event loop, so a program on processes of `supertester.otp` runs the
    same each time.

    Raises:
        TypeError: *program* is no `Program`.
        UsageError: The model has no such operation.
    """
    if not isinstance(program, Program):
        raise TypeError(f"run_program() takes a Program, got {program!r}")
    run = ProgramRun(program)
    return run.judged(await run.run())


class _Branches(Scenario):
    def name_of_thread(self, number: int) -> str:
        return f"branch {number}"


class ProgramRun:
    """One run of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.machine = program.machine()
        self.history = History()
        self.unanswered: list[str] = []

    async def run(self) -> ScenarioReport:
        """Run the program, and write down what was done."""
        program, machine = self.program, self.machine
        scenario = _Branches(
            self._set_up,
            [self._script(f"branch {number}", steps) for number, steps in enumerate(program.branches, 1)],
            invariant=self._finish,
            cleanup=lambda subject, _context: machine.teardown(subject),
            timeout_ms=machine.timeout_ms,
            max_errors=0,
        )
        return await run_scenario(scenario)

    def judged(self, report: ScenarioReport) -> ProgramReport:
        """Hold what was written down to the model."""
        found = check_linearizable(self.history, self.machine.model, budget=self.machine.budget)
        return ProgramReport(
            program=self.program,
            verdict=found.verdict,
            error=self._error(report),
            history=tuple(self.history),
            explanation=found.explanation,
            scenario=report,
        )

    def _error(self, report: ScenarioReport) -> str | None:
        errors = [] if report.error is None else [" ".join(map(_text, report.error))]
        if self.machine.unanswered == "fail":
            errors += self.unanswered
        return "; ".join(errors) or None

    async def _set_up(self) -> Any:
        subject = await _called(self.machine.setup)
        try:
            for step in self.program.before:
                await self._perform("before", step, subject)
        except BaseException:
            await _called(self.machine.teardown, subject)  # The scenario does not know of it yet.
            raise
        return subject

    async def _finish(self, subject: Any, _context: Any) -> None:
        for step in self.program.after:
            await self._perform("after", step, subject)

    def _script(self, process: str, steps: Sequence[Step]) -> list[tuple[str, Any]]:
        return [("custom", self._operation(process, step)) for step in steps]

    def _operation(self, process: str, step: Step) -> Callable[[Any], Any]:
        async def perform(subject: Any) -> None:
            await self._perform(process, step, subject)

        perform.__qualname__ = str(step)  # As which the scenario shows it.
        return perform

    async def _perform(self, process: str, step: Step, subject: Any) -> None:
        for _ in range(step.after):
            await asyncio.sleep(0)
        call = self.history.invoke(process, step.rule, *step.args)
        try:
            result = await _called(getattr(self.machine, step.rule), subject, *step.args)
        except (CallExit, TimeoutError, WaitTimeout) as error:
            # Nobody knows whether it had its effect, so it stays open.
            self.unanswered.append(f"{process}: {step.rule} got no answer: {_text(error)}")
        except Exception as error:  # noqa: BLE001 - it is the operation's result
            self.history.complete(call, error)
        else:
            self.history.complete(call, result)


async def _called(function: Callable[..., Any], *args: Any) -> Any:
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


def _text(part: Any) -> str:
    return part if isinstance(part, str) else shown(part)
