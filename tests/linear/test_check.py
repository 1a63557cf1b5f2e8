"""The checker against a brute-force one, its models, and what it says."""

from __future__ import annotations

import itertools
import json
import random
import unittest
from typing import Any

from supertester.errors import UsageError
from supertester.linear import MODELS, PENDING, ClassModel, History, Model, Operation, check_linearizable
from supertester.linear.search import fits


def brute_force(history: list[Operation], model: Any, *, sequential: bool = False) -> bool:
    """Try every order of every choice of the pending operations."""
    completed = [each for each in history if not each.pending]
    pending = [each for each in history if each.pending]
    for count in range(len(pending) + 1):
        for chosen in itertools.combinations(pending, count):
            for order in itertools.permutations([*completed, *chosen]):
                if _keeps_time(order, sequential=sequential) and _is_legal(order, model):
                    return True
    return False


def _keeps_time(order: tuple[Operation, ...], *, sequential: bool) -> bool:
    for first, second in itertools.combinations(order, 2):
        same = first.process == second.process
        if (same and second.invoked < first.invoked) or (not sequential and second.returned < first.invoked):
            return False
    return True


def _is_legal(order: tuple[Operation, ...], model: Any) -> bool:
    states: dict[Any, Any] = {}
    for operation in order:
        key = model.key(operation)
        result, states[key] = model.step(states.get(key, model.initial()), operation)
        if not fits(operation, result):
            return False
    return True


CALLS: dict[str, list[tuple[str, tuple[Any, ...], list[Any]]]] = {
    "register": [
        ("read", (), [None, 1, 2]),
        ("write", (1,), [None]),
        ("write", (2,), [None]),
        ("cas", (1, 2), [True, False]),
    ],
    "counter": [("read", (), [0, 1, 2]), ("add", (1,), [None]), ("next", (), [1, 2])],
    "queue": [
        ("enqueue", (1,), [None]),
        ("enqueue", (2,), [None]),
        ("dequeue", (), [None, 1, 2]),
        ("size", (), [0, 1]),
    ],
    "stack": [("push", (1,), [None]), ("push", (2,), [None]), ("pop", (), [None, 1, 2])],
    "map": [
        ("put", ("x", 1), [None]),
        ("get", ("x",), [None, 1]),
        ("put", ("y", 1), [None]),
        ("delete", ("x",), [None]),
    ],
    "set": [("add", (1,), [True, False]), ("remove", (1,), [True, False]), ("contains", (2,), [True, False])],
    "lock": [("acquire", (), [True, False]), ("release", (), [True, False]), ("locked", (), [True, False])],
}


def random_history(choice: random.Random, calls: list[Any]) -> list[Operation]:
    """Return a history of up to 6 operations by up to 3 processes, some of them pending."""
    clock = itertools.count()
    open_calls: dict[int, tuple[Any, ...]] = {}
    done: list[Operation] = []
    stopped: set[int] = set()
    for _ in range(choice.randint(2, 12)):
        process = choice.randrange(3)
        if process in open_calls:
            name, args, results, began = open_calls.pop(process)
            pending = choice.random() < 0.1
            if pending:
                stopped.add(process)
            returned: float = PENDING if pending else next(clock)
            done.append(Operation(process, name, args, choice.choice(results), began, returned))
        elif process not in stopped and len(done) + len(open_calls) < 6:
            open_calls[process] = (*choice.choice(calls), next(clock))
    for process, (name, args, _, began) in open_calls.items():
        done.append(Operation(process, name, args, None, began))
    return done


class TestAgainstBruteForce(unittest.TestCase):
    def test_on_random_histories(self) -> None:
        verdicts: dict[bool, int] = {True: 0, False: 0}
        for name, calls in CALLS.items():
            for seed in range(120):
                history = random_history(random.Random(f"{name} {seed}"), calls)
                for sequential in (False, True):
                    wanted = brute_force(history, MODELS[name], sequential=sequential)
                    found = check_linearizable(history, name, sequential=sequential)
                    with self.subTest(model=name, seed=seed, sequential=sequential):
                        self.assertEqual(bool(found), wanted, found.explanation)
                    verdicts[wanted] += 1
        self.assertGreater(min(verdicts.values()), 200)  # Both kinds were tried.

    def test_the_order_that_is_found_is_one(self) -> None:
        for seed in range(200):
            history = random_history(random.Random(seed), CALLS["queue"])
            found = check_linearizable(history, "queue")
            if found:
                self.assertTrue(_is_legal(found.order, MODELS["queue"]))
                self.assertTrue(_keeps_time(found.order, sequential=False))


class TestModels(unittest.TestCase):
    def run_model(self, name: str, *calls: tuple[Any, ...]) -> list[Any]:
        model = MODELS[name]
        states: dict[Any, Any] = {}
        results = []
        for call, *args in calls:
            operation = Operation("a", call, tuple(args))
            key = model.key(operation)
            result, states[key] = model.step(states.get(key, model.initial()), operation)
            results.append(result)
        return results

    def test_each_does_what_its_object_does(self) -> None:
        for name, calls, results in (
            (
                "register",
                [("read",), ("write", 1), ("cas", 1, 2), ("cas", 1, 3), ("get",)],
                [None, None, True, False, 2],
            ),
            ("counter", [("add", 5), ("inc",), ("dec",), ("next",), ("read",)], [None, None, None, 6, 6]),
            ("queue", [("put", 1), ("put", 2), ("get",), ("size",), ("get",), ("get",)], [None, None, 1, 1, 2, None]),
            ("stack", [("push", 1), ("push", 2), ("pop",), ("pop",), ("pop",)], [None, None, 2, 1, None]),
            (
                "map",
                [("put", "a", 1), ("get", "a"), ("get", "b"), ("has", "a"), ("delete", "a"), ("get", "a")],
                [None, 1, None, True, None, None],
            ),
            (
                "set",
                [("add", 1), ("add", 1), ("contains", 1), ("remove", 1), ("remove", 1)],
                [True, False, True, True, False],
            ),
            (
                "lock",
                [("acquire",), ("acquire",), ("locked",), ("release",), ("release",)],
                [True, False, True, True, False],
            ),
        ):
            with self.subTest(name):
                self.assertEqual(self.run_model(name, *calls), results)

    def test_unknown_operations_are_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "the model queue has no operation 'peek'; it has enqueue, put"):
            check_linearizable([Operation("a", "peek", (), 1, 0, 1)], "queue")
        with self.assertRaisesRegex(UsageError, r"the model queue cannot do a: put\(1, 2\) -> None"):
            check_linearizable([Operation("a", "put", (1, 2), None, 0, 1)], "queue")

    def test_a_plain_class_is_a_model(self) -> None:
        class Account:
            def __init__(self, balance: int = 0) -> None:
                self.balance = balance
                self.log: list[Any] = []

            def deposit(self, amount: int) -> int:
                self.balance += amount
                self.log.append({"deposit": amount})
                return self.balance

            def withdraw(self, amount: int) -> int:
                if amount > self.balance:
                    raise ValueError("too much")
                self.balance -= amount
                return self.balance

        good = [Operation("a", "deposit", (5,), 5, 0, 3), Operation("b", "withdraw", (5,), ValueError("empty"), 1, 2)]
        self.assertTrue(check_linearizable(good, Account))
        bad = [Operation("a", "deposit", (5,), 5, 0, 1), Operation("b", "withdraw", (5,), ValueError("empty"), 2, 3)]
        found = check_linearizable(bad, Account)
        self.assertFalse(found)
        self.assertIn("Account({'balance': 5, 'log': [{'deposit': 5}]})", found.explanation)
        self.assertTrue(check_linearizable([Operation("a", "withdraw", (5,), 5, 0, 1)], ClassModel(Account, 10)))
        for wrong in ("close", "_hidden", "balance"):
            with self.assertRaisesRegex(UsageError, f"no operation '{wrong}'; it has deposit, withdraw"):
                check_linearizable([Operation("a", wrong, (), None, 0, 1)], Account)


class Numbers(Model):
    """Numbers in their order; with what a model needs, and nothing more."""

    def initial(self) -> int:
        return 0

    def step(self, state: Any, operation: Operation) -> tuple[Any, int]:
        return state, state + 1


class TestOwnModels(unittest.TestCase):
    def test_a_first_state_and_steps_are_enough(self) -> None:
        self.assertTrue(check_linearizable([next_one(0), next_one(1)], Numbers()))
        self.assertTrue(check_linearizable([next_one(0), next_one(1)], Numbers(), sequential=True))
        found = check_linearizable([next_one(0), next_one(2)], Numbers())
        self.assertIn("no order of these operations is one of a Numbers\n", found.explanation)

    def test_a_name_of_its_own_is_used(self) -> None:
        class Named(Numbers):
            def __init__(self) -> None:
                self.name = "sequence"

        self.assertIn("is one of a sequence\n", check_linearizable([next_one(2)], Named()).explanation)

    def test_a_model_without_steps_cannot_be_made(self) -> None:
        class Half(Model):
            def initial(self) -> int:
                return 0

        with self.assertRaisesRegex(TypeError, "abstract .*step"):
            Half()  # type: ignore[abstract]

    def test_the_class_of_a_model_is_no_model(self) -> None:
        class Alike:
            initial, step = Numbers.initial, Numbers.step
            only_reads, key = Numbers.only_reads, Numbers.key

        for cls in (Numbers, Alike):
            message = rf"{cls.__name__} is a Model, and its class was given; pass .*{cls.__name__}\(\)$"
            with self.subTest(cls), self.assertRaisesRegex(TypeError, message):
                check_linearizable([next_one(0)], cls)

    def test_what_is_missing_is_named(self) -> None:
        class Half:
            def initial(self) -> int:
                return 0

            def step(self, state: Any, operation: Operation) -> tuple[Any, int]:
                return state, state

        message = r"got <.*Half object .*>, which has no name, only_reads, key; what derives from .*Model has defaults"
        with self.assertRaisesRegex(TypeError, message):
            check_linearizable([next_one(0)], Half())

    def test_async_methods_are_refused(self) -> None:
        class Account:
            async def read(self) -> int:
                return 1

            def later(self) -> Any:
                return Later()

        class Later:
            def __await__(self) -> Any:
                yield

        for name in ("read", "later"):
            message = (
                rf"Account\.{name}\(\) of the model returned <.*; a model does one thing at a time, and nothing awaits"
            )
            with self.subTest(name), self.assertRaisesRegex(TypeError, message):
                check_linearizable([Operation("a", name, (), 1, 0, 1)], Account)

        class Steps(Numbers):
            async def step(self, state: Any, operation: Operation) -> Any:  # type: ignore[override]
                return state, state

        with self.assertRaisesRegex(TypeError, r"^step\(\) of the model .*Steps is async; .*: write it with `def`$"):
            check_linearizable([next_one(0)], Steps())

    def test_where_nothing_may_come_first_the_first_state_is_told(self) -> None:
        found = check_linearizable([next_one(5)], Numbers())
        expected = "\nthe first state is 0, and first could only come:\n  5: next() -> 5, but there it returns 0\n"
        self.assertIn(expected, found.explanation)
        self.assertNotIn("after it", found.explanation)


def next_one(result: int) -> Operation:
    return Operation(result, "next", (), result, 2 * result, 2 * result + 1)


class TestVerdicts(unittest.TestCase):
    def test_a_violation_is_explained(self) -> None:
        history = [
            Operation("writer", "write", (1,), None, 0, 1),
            Operation("reader", "cas", (2, 3), False, 2, 3),
            Operation("late reader", "read", (), None, 4, 5),
        ]
        found = check_linearizable(history, "register")
        self.assertEqual(found.verdict, "not_linearizable")
        for part in (
            "no order of these operations is one of a register",
            (
                "the longest that is legal has 2 of 3, and ends with:\n  writer: write(1) -> None\n"
                "  reader: cas(2, 3) -> False"
            ),
            "after it the state is 1, and next could only come:\n  late reader: read() -> None, but there it returns 1",
            "writer: write(1) -> None     |---|",
        ):
            self.assertIn(part, found.explanation)
        self.assertEqual(json.loads(json.dumps(found.to_dict()))["verdict"], "not_linearizable")

    def test_pending_operations_may_have_happened_or_not(self) -> None:
        write = Operation("a", "write", (1,), None, 0)
        for value in (None, 1):
            self.assertTrue(check_linearizable([write, Operation("b", "read", (), value, 1, 2)], "register"))
        self.assertFalse(check_linearizable([write, Operation("b", "read", (), 2, 1, 2)], "register"))

    def test_the_budget_makes_it_unknown(self) -> None:
        # One value twice, which only the search can tell apart.
        history = [Operation(n, "enqueue", (max(n, 1),), None, 0, 100) for n in range(12)]
        history += [Operation(n, "dequeue", (), 11 - n, 101 + 2 * n, 102 + 2 * n) for n in range(11)]
        history.append(Operation(12, "dequeue", (), 99, 200, 201))
        found = check_linearizable(history, "queue", budget=50)
        self.assertEqual(found.verdict, "unknown")
        self.assertIn("undecided after 50 configurations; raise budget", found.explanation)
        self.assertFalse(found)

    def test_a_long_history_of_reads_needs_no_search(self) -> None:
        history = History()
        for number in range(2_000):
            tokens = [history.invoke(process, "read") for process in range(3)]
            write = history.invoke("writer", "write", number)
            history.complete(write)
            for token in tokens:
                history.complete(token, number)
        found = check_linearizable(history, "register")
        self.assertTrue(found)
        self.assertLessEqual(found.configurations, 4 * 8_000)

    def test_an_empty_history_is_linearizable(self) -> None:
        self.assertTrue(check_linearizable([], "queue"))

    def test_nonsense_is_refused(self) -> None:
        one = Operation("a", "read", (), None, 0, 3)
        for history, model, error, message in (
            ([3], "register", TypeError, "a history consists of Operation"),
            ([Operation("a", "read", (), None, 3, 1)], "register", UsageError, "returned at 1, before its call at 3"),
            ([one, Operation("a", "read", (), None, 1, 2)], "register", UsageError, "'a' called twice at once"),
            ([one], "heap", UsageError, "there is no model 'heap'; the models are register, counter"),
            ([one], 3, TypeError, "a model is a class, a name, or an object"),
        ):
            with self.subTest(message), self.assertRaisesRegex(error, message):
                check_linearizable(history, model)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "budget must be an integer of 1 or more, got budget=0"):
            check_linearizable([one], "register", budget=0)
        with self.assertRaisesRegex(TypeError, "sequential must be True or False, got sequential='no'"):
            check_linearizable([one], "register", sequential="no")  # type: ignore[arg-type]

    def test_a_history_is_written_down(self) -> None:
        history = History()
        token = history.invoke("a", "read")
        self.assertTrue(history.operations()[0].pending)
        history.complete(token, 5)
        with self.assertRaisesRegex(UsageError, "there is no open call 0"):
            history.complete(token, 5)
        self.assertEqual([(each.result, each.pending) for each in history], [(5, False)])
