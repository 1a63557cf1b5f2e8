"""`ConcurrentStateMachine`: a state machine of Hypothesis whose rules run at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from supertester._core.lazy import lazy_import
from supertester.case import IsolatedTestCase
from supertester.programs import Machine, Program, programs, rule, run_program

if TYPE_CHECKING:
    import hypothesis

__all__ = ["ConcurrentStateMachine", "rule"]

__unittest = True  # `unittest` leaves frames of such modules out of the tracebacks that it shows.


class _TestCase:
    """Gives every machine a test case of its own, made once."""

    def __get__(self, instance: object, machine: type[ConcurrentStateMachine]) -> type[IsolatedTestCase]:
        if "_test_case" not in vars(machine):
            machine._test_case = machine.as_test_case()
        return machine._test_case


class ConcurrentStateMachine(Machine):
    """A subject whose rules several callers use at the same time, as a test case for ``unittest`` and pytest.

    Hypothesis draws programs: a few operations one after the other, then several branches at once, then another
    operation. Each runs on a fresh subject, in a test of its own, and is checked for linearizability: the operations
    must have returned what they could have returned one after the other, to a model that knows nothing of concurrency.
    What fails shrinks to the shortest program that does. An undecided program fails too, and says so.

    With ``explore = 30``, each program runs under so many schedules, which say who goes on wherever several could. If
    one fails, Hypothesis shrinks the program, and then its schedule is shrunk to the fewest forced switches, and
    explained.

    Example::

        class Total:  # the model
            def __init__(self):
                self.total = 0

            def add(self, n):
                self.total += n
                return self.total

        class CounterMachine(ConcurrentStateMachine):
            model = Total

            async def setup(self):
                return await Counter.start_link()

            @rule(n=st.integers(1, 3))
            async def add(self, counter, n):
                return await counter.call(("add", n))

        CounterTest = CounterMachine.TestCase
    """

    settings: ClassVar[hypothesis.settings | None] = None
    """Hypothesis' settings of the test; without any, its default ones but for deadline and explanation."""

    TestCase: ClassVar[Any] = _TestCase()
    """The machine as an `IsolatedTestCase`."""

    explore: ClassVar[int | Mapping[str, Any]] = 0
    """Under how many schedules to run each program; or the options of `supertester.programs.explore_program`."""

    _test_case: ClassVar[type[IsolatedTestCase]]

    @classmethod
    def as_test_case(cls, *bases: type, **options: Any) -> type[IsolatedTestCase]:
        """Return the machine as a test case with other *bases*, e.g. of fixtures, and class keywords.

        >>> ConcurrentStateMachine.as_test_case(isolation="registry")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
            ...
        supertester.errors.UsageError: ConcurrentStateMachine has no rules; mark its operations with @rule()
        """
        if not any(issubclass(base, IsolatedTestCase) for base in bases):
            bases = (*bases, IsolatedTestCase)
        members = {
            "runTest": _test_of(cls),
            "__module__": cls.__module__,
            "__qualname__": f"{cls.__qualname__}.TestCase",
        }
        made: Any = type("TestCase", bases, {**members, "__doc__": cls.__doc__}, **options)
        return made  # type: ignore[no-any-return]


def _test_of(machine: type[ConcurrentStateMachine]) -> Any:
    """Return the test of *machine*, as a method."""
    hypothesis = lazy_import("hypothesis", purpose="ConcurrentStateMachine")
    run_test = _explored(machine) if machine.explore else _run_once()
    test = hypothesis.given(program=programs(machine, put_off=not machine.explore))(run_test)
    # The tests of all machines have the same code, and must not share their examples in Hypothesis' database.
    test.hypothesis.inner_test._hypothesis_internal_add_digest = f"{machine.__module__}.{machine.__qualname__}".encode()
    return (machine.settings or _default_settings(hypothesis))(test)


def _run_once() -> Any:
    async def runTest(self: IsolatedTestCase, program: Program) -> None:  # noqa: N802 - unittest's name for the only test
        if (mismatch := (await run_program(program)).mismatch) is not None:
            self.fail(str(mismatch))

    return runTest


def _explored(machine: type[ConcurrentStateMachine]) -> Any:
    from supertester.programs.exploring import explore_program, told  # Few machines need them.
    from supertester.schedule.settings import Settings

    given = machine.explore
    options = given if isinstance(given, Mapping) else {"schedules": given}
    Settings.made_of(options, f"{machine.__qualname__}.explore")

    def runTest(self: IsolatedTestCase, program: Program) -> None:  # noqa: N802
        report = explore_program(program, **options)
        if not report.ok:
            self.fail(told(report))

    return runTest


def _default_settings(hypothesis: Any) -> Any:
    # The explanation names lines that only failing runs went through: of programs, those of the library.
    phases = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]
    return hypothesis.settings(deadline=None, phases=phases)
