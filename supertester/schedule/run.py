"""`run_schedule`: a program run once, by one schedule, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from supertester._core.origin import is_foreign, is_standard, show_line
from supertester.errors import UsageError
from supertester.schedule.exploring_loop import ExploringLoop, Livelock
from supertester.schedule.lanes import Lane
from supertester.schedule.loop.escapes import REFUSED
from supertester.schedule.strategies.fifo import Fifo
from supertester.schedule.virtual_loop import Deadlock
from supertester.schedule.wait_graph import Wait, label_of, waits_of

if TYPE_CHECKING:
    from supertester.schedule.strategies import Strategy

__all__ = [
    "AsyncProgram",
    "Failure",
    "InvariantViolated",
    "Leaked",
    "Misfit",
    "Program",
    "Run",
    "end_schedule",
    "end_tasks",
    "failure_of",
    "note_failure",
    "run_schedule",
    "user_line",
]


_ENDED: Final = Fifo()
_ENDING: Final = 10_000
"""Steps that tasks get to end in once they are cancelled."""


class Program(Protocol):
    """What is explored: called with a loop, it runs one schedule from its beginning to its end."""

    def __call__(self, loop: ExploringLoop, /) -> object:
        """Run on *loop*; what this raises is the failure."""


class InvariantViolated(AssertionError):
    """What has to hold after every step does not; ``name`` is that of the invariant."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class Leaked(AssertionError):
    """A schedule ended while tasks that it had started were still running."""


class Failure:
    """How a schedule failed.

    Attributes:
        exception: What was raised.
        kind: ``"exception"``, ``"deadlock"``, ``"livelock"``, ``"invariant"`` or ``"leak"``.
        signature: What is equal for two failures of the same bug: the type, the innermost line of the user's code, the
            name of the invariant.
        waits: Where each task stood, if they wait for ever.
    """

    __slots__ = ("exception", "kind", "signature", "waits")

    def __init__(self, exception: BaseException, waits: Sequence[Wait] = ()) -> None:
        self.exception = exception
        self.kind = next((kind for type_, kind in _KINDS if isinstance(exception, type_)), "exception")
        self.waits = waits
        self.signature = _signature(exception, self.kind, waits)

    def __repr__(self) -> str:
        return f"<Failure {self.kind}: {self.exception!r}>"


_KINDS: Final = (
    (Deadlock, "deadlock"),
    (Livelock, "livelock"),
    (InvariantViolated, "invariant"),
    (Leaked, "leak"),
)


class Run:
    """One schedule and what came of it.

    Attributes:
        number: Which schedule of the exploration it is, from 0.
        strategy: The name of the strategy that chose it.
        seed: What the random numbers of the program came from.
        choices: The number of lanes to choose from and the lane chosen, for each choice.
        steps: How many steps it took.
        failure: How it failed, or ``None``.
        loop: The loop that it ran in, closed.
    """

    __slots__ = ("choices", "failure", "loop", "number", "seed", "steps", "strategy")

    def __init__(  # noqa: PLR0917 - one is made per schedule, and keywords cost
        self,
        loop: ExploringLoop,
        strategy: Strategy,
        choices: list[tuple[int, Lane]],
        number: int,
        seed: int,
        failure: Failure | None,
    ) -> None:
        self.loop = loop
        self.strategy = strategy.name
        self.choices = choices
        self.number = number
        self.seed = seed
        self.steps = loop.steps
        self.failure = failure

    @property
    def outcome(self) -> Failure | None:
        """The same as ``failure``."""
        return self.failure


def run_schedule(
    program: Program,
    loop: ExploringLoop,
    *,
    number: int = 0,
    seed: int = 0,
    through: tuple[type[BaseException], ...] = (),
) -> Run:
    """Run *program* once on a new *loop*, and return what came of it.

    Args:
        program: Runs on the loop that it is given.
        loop: Has a strategy that has begun the schedule already.
        number: Which schedule it is.
        seed: What the random numbers of the program come from.
        through: Exceptions that are no failures and are raised from here, such as ``SkipTest``.
    """
    strategy, choices = loop.strategy, loop.choices
    failure: Failure | None = None
    try:
        program(loop)
    except through:
        raise
    except Misfit:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, UsageError) and error.reason == REFUSED:
            raise
        failure = failure_of(error, loop)
    return Run(loop, strategy, choices, number, seed, failure)


class AsyncProgram:
    """An async function without arguments, as a program.

    Args:
        function: Is called anew for each schedule.
        leaks: Whether tasks that it leaves running are a failure: ``"fail"`` or ``"ignore"``.
        judge: Is called with the result when the schedule is over; what it raises is a failure.
    """

    def __init__(
        self,
        function: Callable[[], Coroutine[Any, Any, Any]],
        *,
        leaks: str = "fail",
        judge: Callable[[Any], object] | None = None,
    ) -> None:
        self._function = function
        self._leaks = leaks
        self._judge = judge

    def __call__(self, loop: ExploringLoop, /) -> None:
        """Run one schedule."""
        coroutine = self._function()
        # The first look is the quick one; functions that Cython compiled return others.
        if coroutine.__class__ is not CoroutineType and not isinstance(coroutine, Coroutine):
            raise NotAsync(self._function, coroutine)
        try:
            result = loop.run_until_complete(coroutine)
            self._check_end(loop)
            if self._judge is not None:
                self._judge(result)
        except (Exception, asyncio.CancelledError) as error:
            note_failure(loop, error)
            raise
        finally:
            loop.close()

    def _check_end(self, loop: ExploringLoop) -> None:
        """Raise what a task or callback raised that nobody looked after, and complain of tasks that are left."""
        for task in loop.tasks:
            if not task.done():
                if self._leaks == "fail":
                    raise Leaked(_leaked(loop))
            elif task._log_traceback:
                error = task.exception()
                raise _noted(error, f"in the background task {label_of(task)}, whose result nobody asked for")
        if loop.unhandled:
            raise _unhandled(loop.unhandled[0])


class Misfit(TypeError):
    """A function that exploring was given is of the wrong kind; that is no failure of a schedule."""


class NotAsync(Misfit):
    """What is to be explored is no async function."""

    def __init__(self, function: object, result: object) -> None:
        super().__init__(f"schedules are explored of an async function, got {function!r}, which returned {result!r}")


def _noted(error: BaseException | None, note: str) -> BaseException:
    assert error is not None
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error


def _unhandled(event: dict[str, Any]) -> BaseException:
    error = event.get("exception")
    message = str(event.get("message") or "the event loop reports an error")
    return AssertionError(message) if error is None else _noted(error, message)


def _leaked(loop: ExploringLoop) -> str:
    lines = [f"  {wait.label} waits for {wait.text}{wait.where}" for wait in waits_of(loop)]
    return "\n".join([f"the schedule ended, and {len(lines)} of its tasks had not:", *lines])


def end_tasks(loop: ExploringLoop) -> None:
    """Cancel the tasks of *loop* that are left, without those of processes, and let them end, whatever they do."""
    end_schedule(loop)
    left = [task for task in loop.pending() if not hasattr(task, "supertester_pid")]
    for task in left:
        task.cancel()
    if left:
        with contextlib.suppress(Exception):  # The schedule has failed already.
            loop.run_until_complete(asyncio.wait(left))


def end_schedule(loop: ExploringLoop) -> None:
    """Let what is still to run go in asyncio's order; that is no part of the schedule any more."""
    loop.strategy = _ENDED
    loop.choices = []
    loop.before_step = loop.after_step = None
    loop.step_limit = loop.steps + _ENDING


def note_failure(loop: ExploringLoop, error: BaseException) -> None:
    """Let the schedule end here, with *error*, if it has not failed before."""
    if loop.first_failure is None:
        loop.first_failure = failure_of(error, loop)
        end_schedule(loop)


def failure_of(error: BaseException, loop: ExploringLoop) -> Failure:
    """Return the failure that *error* is, with where the tasks of *loop* stood if it is a deadlock."""
    noted: Failure | None = loop.first_failure
    if noted is not None and noted.exception is error:
        return noted
    stands = isinstance(error, (Deadlock, Livelock, Leaked))
    return Failure(error, waits_of(loop) if stands else ())


# Signatures ----------------------------------------------------------------------------------------------------------


def _signature(error: BaseException, kind: str, waits: Sequence[Wait]) -> tuple[Any, ...]:
    leaf = _leaf(error)
    if (own := getattr(leaf, "schedule_signature", None)) is not None:
        return (kind, own)
    if kind == "invariant":
        return (kind, getattr(leaf, "name", ""))
    if kind == "deadlock":
        # Who waits for a lock is part of the cycle; who waits besides may be so by chance.
        locks = [wait for wait in waits if wait.is_for_lock]
        return (kind, frozenset((wait.filename, wait.number) for wait in locks or waits))
    if kind in ("livelock", "leak"):
        return (kind,)
    return (kind, f"{type(leaf).__module__}.{type(leaf).__qualname__}", user_line(leaf.__traceback__))


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def user_line(trace: TracebackType | None) -> str | None:
    """Return the innermost line of the user's code in a traceback."""
    found = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if not (is_foreign(code.co_filename) or is_standard(code.co_filename)):
            found = show_line(code.co_filename, trace.tb_lineno, code.co_name)
        trace = trace.tb_next
    return found
