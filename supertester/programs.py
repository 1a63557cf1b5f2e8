"""Programs of concurrent operations: what callers do to a subject, alone and at once, checked against a model.

A `Program` has steps before, branches that run at the same time, and steps after. `run_program` runs it as a scenario
on a fresh subject, writes down when each operation was called and what it returned, and has `supertester.linear` decide
whether the model, a plain class used by one caller at a time, could have answered the same.

`supertester.state_machines.ConcurrentStateMachine` makes a test case of it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from supertester._core.evidence import shown
from supertester._core.lazy import lazy_import
from supertester._core.mismatch import Mismatch
from supertester.errors import CallExit, UsageError
from supertester.linear import History, Operation, check_linearizable
from supertester.linear.picture import drawn
from supertester.scenarios import Scenario, ScenarioReport, run_scenario

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Machine", "Program", "ProgramReport", "Step", "programs", "rule", "run_program"]

_RULE = "_supertester_rule"
_LATEST = 3
"""Turns of the event loop by which a step is put off at most."""


def rule(**arguments: SearchStrategy[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method of a `Machine` one of its operations.

    The method takes the subject and then the arguments, for each of which there is a strategy of Hypothesis. What it
    returns is compared with what the model's method of the same name returns for the same arguments; what it raises,
    with what that raises, by class.

    Raises:
        TypeError: The method does not take these arguments, or one has no strategy.
    """

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(method).parameters)[2:]
        if set(names) != set(arguments):
            raise TypeError(
                f"rule {method.__qualname__}() takes {names or 'no arguments'} after self and the subject, "
                f"and there are strategies for {list(arguments) or 'none'}"
            )
        setattr(method, _RULE, {name: arguments[name] for name in names})
        return method

    return mark


class Machine:
    """A subject, its operations and its model; to be subclassed.

    Attributes:
        model: What the subject does for one caller at a time: a class that has a method for each rule, or anything else
            that `supertester.linear.check_linearizable` takes.
        max_before: Operations before the branches, at most.
        max_branches: How many branches run at once, at most; two at least.
        max_steps: Operations in a branch, at most.
        max_after: Operations after the branches, at most.
        timeout_ms: Milliseconds for a whole program.
        unanswered: Whether an operation whose server died or did not answer in time is a failure (``"fail"``), or may
            have had its effect or not (``"pending"``), as where faults are injected.
        budget: What the checker may look at before it is undecided.
    """

    model: ClassVar[Any] = None
    max_before: ClassVar[int] = 2
    max_branches: ClassVar[int] = 3
    max_steps: ClassVar[int] = 3
    max_after: ClassVar[int] = 1
    timeout_ms: ClassVar[float] = 5000
    unanswered: ClassVar[str] = "fail"
    budget: ClassVar[int] = 1_000_000

    def setup(self) -> Any:
        """Return a new subject; plain or async."""
        raise UsageError(f"{type(self).__qualname__} must define setup(), which returns a new subject")

    teardown: Callable[[Any], Any] | None = None
    """Called with the subject at the end, plain or async; without one, a process is stopped."""

    @classmethod
    def rules(cls) -> dict[str, Mapping[str, SearchStrategy[Any]]]:
        """Return the operations by name, with the strategies of their arguments, in the order of their definition.

        Raises:
            UsageError: There is none, there is no model, or the model has no such operation.
        """
        found = {
            name: getattr(method, _RULE)
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            if hasattr(method, _RULE)
        }
        if not found:
            raise UsageError(f"{cls.__qualname__} has no rules; mark its operations with @rule()")
        if cls.model is None:
            raise UsageError(f"{cls.__qualname__} must say model = ..., what its subject does for one caller at a time")
        for name in found:
            if isinstance(cls.model, type) and not callable(getattr(cls.model, name, None)):
                raise UsageError(f"the model {cls.model.__qualname__} of {cls.__qualname__} has no method {name}()")
        if cls.max_branches < 2:
            raise UsageError(f"max_branches must be 2 or more, got max_branches={cls.max_branches!r}")
        if cls.unanswered not in ("fail", "pending"):
            raise UsageError(f"unanswered must be 'fail' or 'pending', got unanswered={cls.unanswered!r}")
        return found


@dataclass(frozen=True)
class Step:
    """One operation: the name of the rule, its arguments, and by how many turns of the event loop it is put off."""

    rule: str
    args: tuple[Any, ...] = ()
    after: int = field(default=0, kw_only=True)

    def __repr__(self) -> str:
        parts = [repr(self.rule)] + [repr(self.args)] * bool(self.args) + [f"after={self.after}"] * bool(self.after)
        return f"Step({', '.join(parts)})"

    def __str__(self) -> str:
        put_off = f" after {self.after} turn{'s' * (self.after > 1)}" if self.after else ""
        return f"{self.rule}({', '.join(map(shown, self.args))}){put_off}"


@dataclass(frozen=True)
class Program:
    """What is done to a subject of *machine*: the steps *before*, the *branches* at once, the steps *after*."""

    machine: type[Machine]
    before: Sequence[Step] = field(default=(), kw_only=True)
    branches: Sequence[Sequence[Step]] = field(default=(), kw_only=True)
    after: Sequence[Step] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for name, steps in (("before", self.before), ("branches", map(tuple, self.branches)), ("after", self.after)):
            object.__setattr__(self, name, tuple(steps))
        known = self.machine.rules()
        for step in [*self.before, *(step for branch in self.branches for step in branch), *self.after]:
            if step.rule not in known:
                raise UsageError(
                    f"{self.machine.__qualname__} has no rule {step.rule!r}; its rules are {', '.join(known)}"
                )
        if not self.branches:
            raise UsageError("a program needs at least one branch, got branches=()")

    def __repr__(self) -> str:
        parts = [f"before={list(self.before)!r}"] * bool(self.before)
        parts.append(f"branches={[list(branch) for branch in self.branches]!r}")
        parts += [f"after={list(self.after)!r}"] * bool(self.after)
        return f"Program({self.machine.__qualname__}, {', '.join(parts)})"

    def __str__(self) -> str:
        scripts = {"before": self.before}
        scripts |= {f"branch {number}": branch for number, branch in enumerate(self.branches, 1)}
        scripts |= {"after": self.after}
        return "\n".join(f"{name}: {', '.join(map(str, steps))}" for name, steps in scripts.items() if steps)


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
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
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
        yield f"see it again with: await run_program({self.program!r})"

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


def programs(machine: type[Machine]) -> SearchStrategy[Program]:
    """Return a strategy of programs for *machine*, for ``@given``.

    They shrink towards fewer and simpler steps that begin at once.

    Raises:
        UsageError: The machine has no rules or no fitting model.
        TypeError: It is no `Machine`.
    """
    given: Any = machine
    if not (isinstance(given, type) and issubclass(given, Machine)):
        raise TypeError(f"programs() takes a subclass of Machine, got {given!r}")
    st = lazy_import("hypothesis.strategies", purpose="supertester.programs")
    late = st.integers(0, _LATEST)
    alone = st.one_of([_steps(st, name, each, st.just(0)) for name, each in machine.rules().items()])
    at_once = st.one_of([_steps(st, name, each, late) for name, each in machine.rules().items()])
    branch = st.lists(at_once, min_size=1, max_size=machine.max_steps)
    parts = st.tuples(
        st.lists(alone, max_size=machine.max_before),
        st.lists(branch, min_size=2, max_size=machine.max_branches),
        st.lists(alone, max_size=machine.max_after),
    )
    # Hypothesis shows what `map` made as its `repr`, which can be run; of `builds` it would show the call.
    strategy: SearchStrategy[Program] = parts.map(
        lambda parts: Program(machine, before=parts[0], branches=parts[1], after=parts[2])
    )
    return strategy


def _steps(st: Any, name: str, arguments: Mapping[str, SearchStrategy[Any]], after: SearchStrategy[int]) -> Any:
    return st.tuples(st.tuples(*arguments.values()), after).map(lambda drawn: Step(name, drawn[0], after=drawn[1]))


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
    return await _Run(program).run()


class _Run:
    """One run of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.machine = program.machine()
        self.history = History()
        self.unanswered: list[str] = []

    async def run(self) -> ProgramReport:
        program, machine = self.program, self.machine
        teardown = machine.teardown
        scenario = Scenario(
            self._set_up,
            [self._script(f"branch {number}", steps) for number, steps in enumerate(program.branches, 1)],
            invariant=self._finish,
            cleanup=None if teardown is None else lambda subject, _context: teardown(subject),
            timeout_ms=machine.timeout_ms,
        )
        report = await run_scenario(scenario)
        found = check_linearizable(self.history, machine.model, budget=machine.budget)
        return ProgramReport(
            program=program,
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
        for step in self.program.before:
            await self._perform("before", step, subject)
        return subject

    async def _finish(self, subject: Any, _context: Any) -> None:
        for step in self.program.after:
            await self._perform("after", step, subject)

    def _script(self, process: str, steps: Sequence[Step]) -> list[tuple[str, Any]]:
        return [("custom", partial(self._perform, process, step)) for step in steps]

    async def _perform(self, process: str, step: Step, subject: Any) -> None:
        for _ in range(step.after):
            await asyncio.sleep(0)
        call = self.history.invoke(process, step.rule, *step.args)
        try:
            result = await _called(getattr(self.machine, step.rule), subject, *step.args)
        except (CallExit, TimeoutError) as error:
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
