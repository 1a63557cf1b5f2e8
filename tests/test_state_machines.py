"""Programs of concurrent operations and the test case made of them: what they find, and what they shrink it to."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from supertester import HarnessMixin, IsolatedTestCase
from supertester.errors import UsageError
from supertester.otp import SHUTDOWN, Agent, GenServer
from supertester.programs import Machine, Program, Step, programs, rule, run_program
from supertester.state_machines import ConcurrentStateMachine
from supertester.testing import failure_of, run_inner
from tests.alone import alone
from tests.planted import forever

quick = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
few = settings(quick, max_examples=25)


class Cell(GenServer):
    """Holds whatever its callers say."""

    def init(self, value: Any = 0) -> Any:
        return value

    def handle_call(self, request: Any, sender: Any) -> Any:
        match request:
            case "get":
                return self.state
            case ("set", value):
                self.state = value
            case ("add", n):
                self.state += n
                return self.state
            case "pop":
                return self.state.pop() if self.state else None
            case ("push", value):
                self.state.append(value)
            case "die":
                raise OSError("out of paper")
        return None


class Total:
    """A number that is added to, by one caller at a time."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, n: int) -> int:
        self.total += n
        return self.total

    def value(self) -> int:
        return self.total


class Adder(ConcurrentStateMachine):
    """A sound counter."""

    model = Total
    settings = few

    async def setup(self) -> Any:
        return await Cell.start_link()

    @rule(n=st.integers(1, 3))
    async def add(self, cell: Any, n: int) -> Any:
        return await cell.call(("add", n))

    @rule()
    async def value(self, cell: Any) -> Any:
        return await cell.call("get")


class LostUpdate(Adder):
    """Reads, and writes what it read plus some, whoever wrote in between."""

    settings = quick

    @rule(n=st.integers(1, 3))
    async def add(self, cell: Any, n: int) -> Any:
        total = await cell.call("get") + n
        await cell.call(("set", total))
        return total


class StaleRead(Machine):
    """A register with a cache that no write empties."""

    model = "register"
    caches = True

    async def setup(self) -> Any:
        self.cache: list[Any] = []
        return await Cell.start_link(None)

    @rule(value=st.integers(1, 3))
    async def write(self, cell: Any, value: int) -> None:
        await cell.call(("set", value))

    @rule()
    async def read(self, cell: Any) -> Any:
        if not self.cache:
            value = await cell.call("get")
            if not self.caches:
                return value
            self.cache.append(value)
        return self.cache[-1]


class Stack:
    def __init__(self) -> None:
        self.values = [1, 2]

    def pop(self) -> Any:
        return self.values.pop() if self.values else None

    def push(self, value: int) -> None:
        self.values.append(value)


class DoublePop(Machine):
    """Looks at the last one, lets others run, and takes it away."""

    model = Stack

    async def setup(self) -> Any:
        return await Agent.start_link([1, 2])

    @rule()
    async def pop(self, agent: Any) -> Any:
        values = await Agent.get(agent, list)
        if not values:
            return None
        await Agent.update(agent, lambda _: values[:-1])
        return values[-1]

    @rule(value=st.integers(3, 5))
    async def push(self, agent: Any, value: int) -> None:
        await Agent.update(agent, lambda values: [*values, value])


class SoundPop(DoublePop):
    @rule()
    async def pop(self, agent: Any) -> Any:
        return await Agent.get_and_update(agent, lambda values: (values[-1], values[:-1]) if values else (None, values))


def run(program: Program) -> Any:
    return asyncio.run(run_program(program))


def smallest(machine: type[Machine]) -> Program:
    return find(programs(machine), lambda program: not run(program).ok, settings=quick)


def size(program: Program) -> int:
    return len(program.before) + sum(map(len, program.branches)) + len(program.after)


class TestPlantedBugs(IsolatedTestCase, timeout=600.0):
    def test_a_lost_update_needs_two_adders_and_who_looks(self) -> None:
        program = smallest(LostUpdate)
        self.assertEqual([branch[0] for branch in program.branches], [Step("add", (1,))] * 2)
        self.assertEqual(size(program), 2)
        report = run(program)
        self.assertEqual(report.verdict, "not_linearizable")
        text = str(report.mismatch)
        self.assertIn("LostUpdate is not linearizable", text)
        self.assertIn("  branch 1: add(1)\n  branch 2: add(1)\n", text)
        self.assertIn("branch 1: add(1) -> 1", text)
        self.assertIn("but there it returns 2", text)
        self.assertIn(
            "await run_program(Program(LostUpdate, branches=[[Step('add', (1,))], [Step('add', (1,))]]))", text
        )

    def test_a_stale_read_needs_a_write_between_two_reads(self) -> None:
        program = smallest(StaleRead)
        self.assertEqual(size(program), 3)
        steps = [*program.before, *(step for branch in program.branches for step in branch), *program.after]
        self.assertEqual(sorted(map(str, steps)), ["read()", "read()", "write(1)"])
        self.assertIn("read() -> None saw what was there at the beginning, but was called after", str(run(program)))

    def test_a_double_pop_needs_two_poppers(self) -> None:
        program = smallest(DoublePop)
        self.assertEqual(program, Program(DoublePop, before=[], branches=[[Step("pop")], [Step("pop")]], after=[]))
        self.assertIn("pop() -> 2, but there it returns 1", str(run(program)))

    def test_sound_twins_have_no_such_program(self) -> None:
        class Fresh(StaleRead):
            caches = False

        for machine in (Adder, Fresh, SoundPop):
            with self.subTest(machine=machine), self.assertRaises(NoSuchExample):
                find(programs(machine), lambda program: not run(program).ok, settings=few)

    def test_the_program_of_a_report_runs_the_same_again(self) -> None:
        program = smallest(LostUpdate)
        again = eval(repr(program), {"Program": Program, "Step": Step, "LostUpdate": LostUpdate})
        self.assertEqual(again, program)
        self.assertEqual(str(run(again)), str(run(program)))


class TestVerdicts(unittest.TestCase):
    two_values = Program(Adder, branches=[[Step("value")], [Step("add", (1,), after=2)]])

    def test_a_sound_program_has_an_order(self) -> None:
        report = run(self.two_values)
        self.assertTrue(report.ok)
        self.assertIsNone(report.mismatch)
        self.assertEqual(report.verdict, "linearizable")
        self.assertIn("Adder is linearizable", str(report))
        self.assertIn("branch 2: add(1) after 2 turns", str(report))
        self.assertEqual(report.to_dict()["history"][0], "branch 1: value() -> 0")

    def test_what_cannot_be_decided_is_neither(self) -> None:
        class Hasty(Adder):
            budget = 1

        report = run(Program(Hasty, before=[Step("add", (1,))], branches=[[Step("value")], [Step("value")]]))
        self.assertEqual((report.verdict, report.ok), ("unknown", False))
        self.assertIn("Hasty may be linearizable or not", str(report))
        self.assertIn("undecided after 1 configurations; raise budget", str(report))

    def test_an_operation_without_an_answer_fails_or_stays_open(self) -> None:
        class Mortal(Adder):
            @rule()
            async def value(self, cell: Any) -> Any:
                return await cell.call("die")

        class MayDie(Mortal):
            unanswered = "pending"

        report = run(Program(Mortal, branches=[[Step("value")]]))
        self.assertEqual((report.verdict, report.ok), ("linearizable", False))
        self.assertIn("Mortal failed\nbranch 1: value got no answer: ", str(report))
        self.assertIn("out of paper", str(report))
        self.assertIn("value() never returned", str(report))
        self.assertTrue(run(Program(MayDie, branches=[[Step("value")]])).ok)

    def test_a_program_that_hangs_says_where(self) -> None:
        class Hanging(Adder):
            timeout_ms = 500

            @rule()
            async def value(self, cell: Any) -> Any:
                await asyncio.Event().wait()

        report = run(Program(Hanging, branches=[[Step("add", (1,))], [Step("value")]]))
        self.assertIn("thread_failure timeout thread 2 in step 1: custom(value())", report.error)
        self.assertIn("branch 2: value() never returned", str(report))

    def test_a_step_before_the_branches_that_hangs_leaves_nothing_behind(self) -> None:
        subjects: list[Any] = []

        class Hanging(Adder):
            timeout_ms = 500

            async def setup(self) -> Any:
                subjects.append(await super().setup())
                return subjects[0]

            @rule()
            async def value(self, cell: Any) -> Any:
                await asyncio.Event().wait()

        report = run(Program(Hanging, before=[Step("value")], branches=[[Step("add", (1,))]]))
        self.assertEqual(report.error, "setup_failed timeout")
        self.assertIn("before: value() never returned", str(report))
        self.assertEqual(subjects[0].exit_reason, SHUTDOWN)

    def test_an_operation_that_wants_to_exit_fails_the_program(self) -> None:
        for error in (SystemExit, asyncio.CancelledError):

            class Exiting(Adder):
                unanswered = "pending"
                raised = error

                @rule()
                async def value(self, cell: Any) -> Any:
                    raise self.raised

            with self.subTest(error=error):
                report = run(Program(Exiting, branches=[[Step("value")]]))
                self.assertIn("too_many_errors", report.error)

    def test_what_an_operation_raises_is_compared_by_class(self) -> None:
        class Empty:
            def take(self) -> None:
                raise IndexError

        class Taker(Machine):
            model = Empty
            error: ClassVar[type[Exception]] = IndexError

            def setup(self) -> object:
                return object()

            @rule()
            def take(self, _subject: Any) -> None:
                raise self.error("nothing there")

        class Wrong(Taker):
            error = KeyError

        self.assertTrue(run(Program(Taker, branches=[[Step("take")]])).ok)
        self.assertIn("KeyError", str(run(Program(Wrong, branches=[[Step("take")]])).mismatch))

    def test_a_set_up_that_fails_is_told(self) -> None:
        class Unbuilt(Adder):
            async def setup(self) -> Any:
                raise OSError("no bricks")

        report = run(Program(Unbuilt, branches=[[Step("value")]]))
        self.assertIn("setup_failed OSError('no bricks')", report.error)

    def test_the_subject_is_stopped_or_torn_down(self) -> None:
        seen: list[Any] = []

        class Kept(Adder):
            async def setup(self) -> Any:
                seen.append(await super().setup())
                return seen[-1]

        class Torn(Adder):
            async def teardown(self, cell: Any) -> None:
                seen.append("torn down")
                await cell.stop()

        run(Program(Kept, branches=[[Step("value")]]))
        self.assertFalse(seen.pop().is_alive())
        run(Program(Torn, branches=[[Step("value")]]))
        self.assertEqual(seen, ["torn down"])


class TestNonsense(unittest.TestCase):
    def test_machines_that_make_no_sense_are_refused(self) -> None:
        class NoRules(Machine):
            model = Total

        class NoModel(Adder):
            model = None

        class Stranger(Adder):
            @rule()
            async def shout(self, cell: Any) -> None: ...

        class Single(Adder):
            max_branches = 1

        class Odd(Adder):
            unanswered = "perhaps"

        class Idle(Adder):
            max_steps = 0

        class Backward(Adder):
            max_before = -1

        class Hasty(Adder):
            timeout_ms = -1

        cases = {
            NoRules: "has no rules; mark its operations with @rule",
            NoModel: "must say model = ",
            Stranger: r"the model Total of .*Stranger has no method shout\(\)",
            Single: "max_branches must be 2 or more, got max_branches=1",
            Idle: "max_steps must be 1 or more, got max_steps=0 in .*Idle",
            Backward: "max_before must be 0 or more, got max_before=-1 in .*Backward",
            Hasty: "timeout_ms must be more than 0 milliseconds, got timeout_ms=-1",
            Odd: "unanswered must be 'fail' or 'pending', got unanswered='perhaps'",
        }
        for machine, message in cases.items():
            with self.subTest(machine=machine), self.assertRaisesRegex(UsageError, message):
                programs(machine)

        class Half(Adder):
            max_after = 0.5  # type: ignore[assignment]

        with self.assertRaisesRegex(TypeError, "max_after of .*Half must be a whole number, got max_after=0.5"):
            programs(Half)

    def test_rules_need_their_parentheses(self) -> None:
        with self.assertRaisesRegex(TypeError, r"got <function .*add at .*>; write @rule\(\)$"):

            @rule
            def add(self: Any, subject: Any) -> None: ...

    def test_rules_need_a_strategy_for_each_argument(self) -> None:
        with self.assertRaisesRegex(TypeError, r"takes \['n'\] after self and the subject.* for none"):

            @rule()
            def add(self: Any, subject: Any, n: int) -> None: ...

    def test_programs_that_make_no_sense_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "Adder has no rule 'sub'; its rules are add, value"):
            Program(Adder, branches=[[Step("sub")]])
        with self.assertRaisesRegex(UsageError, "at least one branch"):
            Program(Adder, before=[Step("value")])
        with self.assertRaisesRegex(TypeError, "takes a subclass of Machine, got 3"):
            programs(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "takes a Program, got 3"):
            run(3)  # type: ignore[arg-type]
        report = run(Program(type("Bare", (Adder,), {"setup": Machine.setup}), branches=[[Step("value")]]))
        self.assertIn("Bare must define setup()", report.error)


AdderTest = Adder.TestCase


class TestTestCases(unittest.TestCase):
    def test_a_machine_has_one_test_case_of_its_own(self) -> None:
        self.assertIs(Adder.TestCase, AdderTest)
        self.assertIsNot(LostUpdate.TestCase, AdderTest)
        self.assertEqual(AdderTest("runTest").id(), "tests.test_state_machines.Adder.TestCase.runTest")
        self.assertEqual(run_inner(AdderTest).kinds, ["start", "success", "stop"])

    def test_a_failure_has_the_smallest_program_and_how_to_see_it_again(self) -> None:
        [(_, report)] = run_inner(LostUpdate.TestCase).failures
        self.assertIn("LostUpdate is not linearizable", report)
        self.assertIn("program=Program(LostUpdate, branches=[[Step('add', (1,))], [Step('add', (1,))]])", report)
        self.assertIn("SUPERTESTER_SEED=", report)

    @alone("Hypothesis looks at the random numbers of the process, which only full isolation keeps apart")
    def test_class_keywords_and_fixtures(self) -> None:
        seen: list[str] = []

        class Fixtures(IsolatedTestCase):
            def setUp(self) -> None:
                seen.append(self.isolation.mode)

        case = Adder.as_test_case(Fixtures, isolation="registry")
        result = run_inner(case)
        self.assertTrue(result.wasSuccessful(), result.report)
        self.assertEqual(set(seen), {"registry"})
        self.assertGreater(len(seen), 5)

    def test_what_an_example_leaves_running_fails_it(self) -> None:
        class Leaky(Adder):
            @rule()
            async def value(self, cell: Any) -> Any:
                self.task = asyncio.create_task(forever())
                return await super().value(cell)

        [(_, report)] = run_inner(Leaky.TestCase).failures
        self.assertIn("was left running", report)


class TestWithGiven(HarnessMixin, IsolatedTestCase):
    @few
    @given(program=programs(SoundPop))
    async def test_programs_are_arguments_like_others(self, program: Program) -> None:
        await self.assert_linearizable_program(program)

    def test_the_assertion_fails_with_the_report(self) -> None:
        async def body(case: Any) -> None:
            await case.assert_linearizable_program(
                Program(DoublePop, branches=[[Step("pop")], [Step("pop")]]), msg="two of them"
            )

        report = failure_of(body, HarnessMixin)
        self.assertIn("DoublePop is not linearizable", report)
        self.assertIn("two of them", report)
