"""The checkers that need no search: against brute force, on what they say, and on what they leave to the search."""

from __future__ import annotations

import unittest
from collections import Counter
from typing import Any

from benchmarks.histories import OBJECTS, is_legal, keeps_time, large, possible, small
from supertester import HarnessMixin
from supertester.errors import UsageError
from supertester.linear import MODELS, Linearizability, Operation, check_linearizable
from supertester.linear.special import Violation, decided
from supertester.testing import inner_case, run_inner

EACH = 1_000


def do(process: str, call: str, result: Any, invoked: float, returned: float = float("inf")) -> Operation:
    """Return an operation of which *call* is the source, such as ``"push 3"``."""
    name, *args = call.split()
    return Operation(process, name, tuple(map(int, args)), result, invoked, returned)


def shown(name: str, seed: Any, history: list[Operation]) -> str:
    lines = (f"{each} [{each.invoked}, {each.returned}]" for each in history)
    return "\n".join([f"\n{name} {seed}:", *lines])


class TestAgainstBruteForce(unittest.TestCase):
    def check(self, name: str, history: list[Operation], seed: Any) -> Linearizability:
        found = check_linearizable(history, name)
        wanted = possible(history, MODELS[name])
        if bool(found) != wanted:
            self.fail(f"{found.verdict}, but possible is {wanted}:{shown(name, seed, history)}\n{found.explanation}")
        if found:
            chosen = {id(each) for each in found.order}
            self.assertEqual(len(chosen), len(found.order))
            self.assertLessEqual({id(each) for each in history if not each.pending}, chosen)
            self.assertLessEqual(chosen, {id(each) for each in history})
            if not (is_legal(found.order, MODELS[name]) and keeps_time(found.order, MODELS[name])):
                self.fail(f"this order is not possible: {found.order}{shown(name, seed, history)}")
        else:
            self.assertRegex(found.explanation, f"^no order of these operations is one of a {name}.*\n")
        return found

    def on_random(self, name: str) -> None:
        seen: Counter[str] = Counter()
        for seed in range(EACH):
            history = small(name, seed)
            found = self.check(name, history, seed)
            seen[found.verdict] += 1
            seen["pending"] += any(each.pending for each in history)
            seen["searched"] += found.configurations > 0
        self.assertGreater(min(seen["linearizable"], seen["not_linearizable"], seen["pending"]), EACH // 20)
        self.assertLess(seen["searched"], EACH // 10)

    def test_on_random_registers(self) -> None:
        self.on_random("register")

    def test_on_random_maps(self) -> None:
        self.on_random("map")

    def test_on_random_counters(self) -> None:
        self.on_random("counter")

    def test_on_random_queues(self) -> None:
        self.on_random("queue")

    def test_on_random_stacks(self) -> None:
        self.on_random("stack")

    def test_on_random_sets(self) -> None:
        self.on_random("set")

    def test_on_random_locks(self) -> None:
        self.on_random("lock")

    def test_on_random_objects_of_every_kind(self) -> None:
        self.assertLessEqual({f"test_on_random_{name}s" for name in OBJECTS}, set(dir(self)))

    def test_on_longer_ones_of_what_nests(self) -> None:
        for name in ("queue", "stack"):
            for seed in range(EACH // 3):
                self.check(name, small(name, ("long", seed), most=14), seed)

    def test_a_part_of_a_violation_is_one(self) -> None:
        """What is shown is no accident: it is not possible by itself. (Of locks and sets only the end is shown.)"""
        for name in ("register", "map", "counter", "queue", "stack"):
            for seed in range(EACH // 3):
                found = self.explained(name, small(name, ("evidence", seed)))
                for each in found:
                    with self.subTest(name, seed=seed, sentence=each.sentence):
                        self.assertFalse(possible(each.evidence, MODELS[name]))

    def explained(self, name: str, history: list[Operation]) -> list[Violation]:
        model = MODELS[name]
        parts: dict[Any, list[Operation]] = {}
        for each in sorted(history, key=lambda each: each.invoked):
            parts.setdefault(model.key(each), []).append(each)
        return [found for part in parts.values() if isinstance(found := decided(part, model), Violation)]

    def test_what_takes_turns_shows_what_came_last(self) -> None:
        for name in ("lock", "set"):
            for seed in range(EACH // 3):
                for each in self.explained(name, small(name, ("evidence", seed))):
                    self.assertIn(each.sentence.partition(" can")[0], [str(one) for one in each.evidence])


class TestSentences(unittest.TestCase):
    def check(self, name: str, history: list[Operation], *parts: str, shown: int) -> None:
        found = check_linearizable(history, name)
        self.assertEqual("not_linearizable", found.verdict)
        self.assertEqual(0, found.configurations)
        sentence, _, picture = found.explanation.partition("\n\n")
        for part in parts:
            self.assertIn(part, sentence)
        self.assertEqual(shown, len(picture.splitlines()), picture)

    def test_a_register(self) -> None:
        writes = [do("w", "write 1", None, 0, 9), do("w", "write 2", None, 10, 19)]
        for reads, part, shown in (
            ([do("a", "read", 3, 20, 21)], "a: read() -> 3, but that was never written", 1),
            ([do("a", "read", 2, 4, 5)], "a: read() -> 2 returned before w: write(2) -> None was called", 2),
            (
                [do("a", "read", None, 10, 12)],
                "a: read() -> None saw what was there at the beginning, but was called after w: write(1) -> None had",
                2,
            ),
            (
                [do("a", "read", 2, 11, 12), do("a", "read", 1, 13, 14)],
                (
                    "1 was there from the return of w: write(1) -> None to the call of a: read() -> 1, "
                    "but 2 must have been there in between, when a: read() -> 2 was called and returned"
                ),
                4,
            ),
            (
                [do("a", "read", 2, 11, 12), do("b", "read", 2, 13, 20), do("a", "read", 1, 14, 15)],
                "and 2 from the return of a: read() -> 2 to the call of b: read() -> 2: these times overlap",
                5,
            ),
            ([do("b", "write 3", 3, 20, 21)], "b: write(3) -> 3 cannot be: there this operation of a register", 1),
        ):
            with self.subTest(part):
                self.check("register", [*writes, *reads], part, shown=shown)

    def test_a_map_is_looked_at_key_by_key(self) -> None:
        history = [do("a", "put 5 1", None, 0, 1), do("a", "put 6 2", None, 2, 3), do("a", "get 5", None, 4, 5)]
        self.check("map", history, "a: get(5) -> None saw what was there at the beginning", shown=2)

    def test_a_counter(self) -> None:
        first, second = do("a", "increment", None, 0, 1), do("a", "add 1", None, 2, 10)
        for others, part, shown in (
            ([do("b", "read", 0, 3, 4)], "1 increments had returned before b: read() -> 0 was called", 2),
            ([do("b", "read", 3, 3, 4)], "b: read() -> 3, but no more than 2 increments were ever called", 1),
            ([do("b", "read", -1, 3, 4)], "b: read() -> -1, but the counter begins with 0 and goes up", 1),
            (
                [do("b", "read", 2, 0, 1.5)],
                "b: read() -> 2, but only 1 increments that may come before it were called",
                2,
            ),
            (
                [do("b", "read", 2, 3, 4), do("b", "read", 1, 5, 6)],
                "the counter went back: b: read() -> 2 returned before b: read() -> 1 was called",
                2,
            ),
            ([do("b", "next", 1, 3, 4)], "1 increments had returned before b: next() -> 1 was called", 2),
            ([do("b", "next", 3, 3, 4), do("c", "next", 3, 3, 4)], "returned the same", 2),
            (
                [do("b", "read", 1, 1.2, 1.5), do("b", "next", 5, 11, 12)],
                "b: next() -> 5, but no more than 3 increments were ever called",
                1,
            ),
        ):
            with self.subTest(part):
                self.check("counter", [first, second, *others], part, shown=shown)

    def test_increments_between_two_reads(self) -> None:
        history = [
            do("a", "increment", None, 0, 20),
            do("b", "read", 1, 1, 2),
            *(do(process, "increment", None, 3, 4) for process in "cd"),
            do("b", "read", 2, 5, 6),
        ]
        self.check(
            "counter", history, "2 increments came between the return of b: read() -> 1 and the call of", shown=4
        )

    def test_a_queue(self) -> None:
        one, two = do("a", "enqueue 1", None, 0, 1), do("a", "enqueue 2", None, 2, 3)
        for others, part, shown in (
            (
                [do("b", "dequeue", 2, 4, 5), do("b", "dequeue", 1, 6, 7)],
                (
                    "1 was put in before 2: a: enqueue(1) -> None returned before a: enqueue(2) -> None was called; "
                    "but it was not taken out before it: b: dequeue() -> 2 returned before b: dequeue() -> 1 was called"
                ),
                4,
            ),
            ([do("b", "dequeue", 2, 4, 5)], "b: dequeue() -> 2 returned, and 1 was never taken out", 3),
            (
                [do("b", "dequeue", 2, 4, 5), do("c", "dequeue", None, 6)],
                "b: dequeue() -> 2 returned before any call was made that may have taken it",
                4,
            ),
            ([do("b", "dequeue", 3, 4, 5)], "b: dequeue() -> 3, but 3 was never put in", 1),
            ([do("b", "dequeue", 2, 1, 1.5)], "b: dequeue() -> 2 returned before a: enqueue(2) -> None was called", 2),
            (
                [do("b", "dequeue", 1, 1, 2), do("c", "dequeue", 1, 1, 2)],
                "b: dequeue() -> 1 and c: dequeue() -> 1 took out the same, which was put in once",
                3,
            ),
            (
                [do("b", "dequeue", None, 4, 9), do("c", "dequeue", 1, 5, 8), do("d", "dequeue", None, 10)],
                (
                    "b: dequeue() -> None found nothing, but there was always something while it ran: "
                    "2 from the return of a: enqueue(2) -> None to the first call that may have taken it"
                ),
                3,
            ),
        ):
            with self.subTest(part):
                self.check("queue", [one, two, *others], part, shown=shown)

    def test_something_else_all_the_time(self) -> None:
        history = [do("a", "enqueue 1", None, 0, 1), do("b", "dequeue", None, 2, 50)]
        for number in range(2, 9):
            history.append(do("a", f"enqueue {number}", None, 6 * number, 6 * number + 1))
            history.append(do("c", "dequeue", number - 1, 6 * number + 2, 6 * number + 3))
        self.check(
            "queue", history, "1 from the return of a: enqueue(1)", "to the call of", "; 2 from", "and 4 more", shown=9
        )

    def test_a_stack(self) -> None:
        one, two = do("a", "push 1", None, 0, 1), do("a", "push 2", None, 2, 3)
        self.check(
            "stack",
            [one, two, do("b", "pop", 1, 4, 5), do("b", "pop", 2, 6, 7)],
            "1 was pushed before 2 and taken from under it: a: push(1) -> None returned before a: push(2) -> None "
            "was called, and that returned before the call of b: pop() -> 1; but b: pop() -> 1 returned before the "
            "call of b: pop() -> 2",
            shown=4,
        )
        self.check("stack", [one, two, do("b", "pop", 1, 4, 5)], "b: pop() -> 1 returned before the end", shown=3)
        self.check(
            "stack", [one, do("b", "pop", None, 4, 5)], "1 from the return of a: push(1) -> None to the end", shown=2
        )

    def test_a_stack_that_is_never_empty(self) -> None:
        history = [
            do("a", "push 1", None, 0, 1),
            do("b", "push 2", None, 0, 3),
            do("c", "push 3", None, 2, 7),
            do("a", "pop", 1, 4, 5),
            do("b", "pop", 2, 8, 12),
            do("c", "pop", 3, 10, 11),
        ]
        self.assertTrue(check_linearizable(history, "stack"))  # 2 is at the bottom.
        history[4] = do("b", "pop", 2, 8, 9)
        self.check(
            "stack",
            history,
            "from the return of a: push(1) -> None to the call of c: pop() -> 3 the stack was never empty, for it held "
            "1, 2 and 3, each until after the next was there; but none of them was at the bottom all that time: 1 was "
            "popped before it was over; 2 was popped before it was over; 3 was pushed after that time began",
            shown=6,
        )

    def test_what_was_popped_by_calls_that_never_returned(self) -> None:
        pushes = [do("a", f"push {n}", None, 2 * n, 2 * n + 1) for n in (1, 2, 3)]
        lost = [do("p", "pop", None, 8), do("q", "pop", None, 9)]
        found = check_linearizable([*pushes, *lost, do("b", "pop", 1, 10, 11)], "stack")
        self.assertEqual(("linearizable", 0), (found.verdict, found.configurations))
        self.assertEqual({"p", "q"}, {each.process for each in found.order if each.pending})
        self.check(
            "stack", [*pushes, lost[0], do("b", "pop", 1, 10, 11)], "taken from under it", "nor is there", shown=3
        )
        self.check(
            "stack",
            [*pushes, do("p", "pop", None, 12), do("b", "pop", 2, 10, 11)],
            "before the first call that",
            shown=4,
        )

    def test_a_lock(self) -> None:
        history = [do("a", "acquire", True, 0, 1), do("b", "acquire", True, 2, 5)]
        self.check(
            "lock",
            history,
            "b: acquire() -> True can only be when it is free, but until it returned it was held since a: acquire() "
            "-> True: no release was called in time that may have come after that",
            shown=2,
        )
        self.assertTrue(check_linearizable([*history, do("a", "release", True, 4, 7)], "lock"))
        self.check(
            "lock", [do("a", "locked", True, 0, 1)], "free from the beginning: no acquire was called in time", shown=1
        )
        self.check("lock", [do("a", "acquire", None, 0, 1)], "an operation of a lock returns True or False", shown=1)
        seen = [do("b", "locked", True, 2, 3), do("c", "locked", False, 4, 5)]
        part = "since a: acquire() -> True, which had to come before b: locked() -> True: no release was called in time"
        self.check("lock", [do("a", "acquire", True, 0, 9), *seen], part, shown=3)

    def test_a_set(self) -> None:
        history = [do("a", "add 1", True, 0, 1), do("b", "add 2", True, 2, 5), do("b", "contains 2", False, 6, 7)]
        self.check("set", history, "b: contains(2) -> False can only be when it is not in the set", shown=2)


class TestAssertion(unittest.TestCase):
    def test_says_what_stands_against_it(self) -> None:
        def body(case: Any) -> None:
            history = [do("a", "enqueue 1", None, 0, 1), do("b", "dequeue", None, 2, 3)]
            case.assert_linearizable(history, "queue", msg="nothing got lost")

        [(_, report)] = run_inner(inner_case(body, HarnessMixin)).failures
        for line in (
            "the history is not_linearizable: no order of these operations is one of a queue:",
            (
                "b: dequeue() -> None found nothing, but there was always something while it ran: "
                "1 from the return of a: enqueue(1) -> None to the end"
            ),
            "a: enqueue(1) -> None  |---|",
            "b: dequeue() -> None         |---| : nothing got lost",
        ):
            self.assertIn(line, report.splitlines() if not line.startswith("the") else report)


class TestWhatIsLeftToTheSearch(unittest.TestCase):
    def check(self, name: str, *history: Operation, sequential: bool = False) -> None:
        found = check_linearizable(history, name, sequential=sequential)
        self.assertEqual("linearizable", found.verdict, found.explanation)
        self.assertGreater(found.configurations, 0)

    def test_the_same_value_twice(self) -> None:
        for name, put in (("register", "write 1"), ("queue", "enqueue 1"), ("stack", "push 1")):
            self.check(name, do("a", put, None, 0, 1), do("a", put, None, 2, 3))
        self.check("map", do("a", "put 1 1", None, 0, 1), do("a", "put 1 1", None, 2, 3))

    def test_a_value_that_stands_for_none(self) -> None:
        for name, put in (("register", "write"), ("queue", "enqueue"), ("stack", "push")):
            self.check(name, Operation("a", put, (None,), None, 0, 1))

    def test_values_that_cannot_be_hashed(self) -> None:
        self.check("queue", Operation("a", "put", ([1],), None, 0, 1), Operation("a", "get", (), [1], 2, 3))
        self.check("register", Operation("a", "write", ([1],), None, 0, 1), Operation("a", "read", (), [1], 2, 3))

    def test_other_operations(self) -> None:
        self.check("register", do("a", "write 1", None, 0, 1), do("a", "cas 1 2", True, 2, 3))
        self.check("counter", do("a", "add 2", None, 0, 1), do("a", "read", 2, 2, 3))
        self.check("counter", do("a", "dec", None, 0, 1), do("a", "read", -1, 2, 3))
        self.check("counter", do("a", "inc", None, 0, 1), do("a", "read", 1.0, 2, 3))
        self.check("queue", do("a", "put 1", None, 0, 1), do("a", "size", 1, 2, 3))
        self.check("stack", do("a", "put 1", None, 0, 1), do("a", "size", 1, 2, 3))
        self.check("map", do("a", "put 1 1", None, 0, 1), do("a", "delete 1", None, 2, 3))

    def test_sequential_consistency(self) -> None:
        self.check("queue", do("a", "put 1", None, 0, 1), sequential=True)

    def test_too_many_calls_that_may_have_popped_something(self) -> None:
        # Five of them, for six values, in any order.
        history = [do("a", f"push {n}", None, 2 * n, 2 * n + 1) for n in range(7)]
        history += [do(f"p{n}", "pop", None, 20 - n) for n in range(5)]
        found = check_linearizable([*history, do("b", "pop", 0, 21, 22)], "stack")
        self.assertEqual("not_linearizable", found.verdict)
        self.assertGreater(found.configurations, 0)

    def test_what_the_model_does_not_have_is_refused_wherever_it_stands(self) -> None:
        history = [*large("queue", 200, 4), Operation("z", "peek", (), 1, 9_000, 9_001)]
        with self.assertRaisesRegex(UsageError, "the model queue has no operation 'peek'"):
            check_linearizable(history, "queue")
        history[-1] = Operation("z", "get", (1,), 1, 9_000, 9_001)
        with self.assertRaisesRegex(UsageError, r"the model queue cannot do z: get\(1\) -> 1"):
            check_linearizable(history, "queue")


class TestLongHistories(unittest.TestCase):
    def test_no_length_is_too_much(self) -> None:
        for name in OBJECTS:
            history = large(name, 3_000, 10)
            found = check_linearizable(history, name)
            with self.subTest(name):
                self.assertEqual(("linearizable", 0), (found.verdict, found.configurations), found.explanation)
                self.assertEqual(3_000, len(found.order))
                self.assertTrue(is_legal(found.order, MODELS[name]))
                self.assertTrue(keeps_time(found.order, MODELS[name]))

    def test_a_stack_as_deep_as_it_is_long(self) -> None:
        count = 3_000
        history = [do("a", f"push {n}", None, 2 * n, 2 * n + 1) for n in range(count)]
        history += [do("a", "pop", n, 4 * count - 2 * n, 4 * count - 2 * n + 1) for n in reversed(range(count))]
        found = check_linearizable(history, "stack")
        self.assertEqual("linearizable", found.verdict, found.explanation)
        self.assertEqual(history, list(found.order))


if __name__ == "__main__":
    unittest.main()
