"""States and values of every kind: what is equal is one state, what differs never is."""

from __future__ import annotations

import unittest
from collections import OrderedDict, deque
from typing import Any

from supertester.errors import UsageError
from supertester.linear import Operation, check_linearizable


class Register:
    def __init__(self) -> None:
        self.value: Any = None

    def write(self, value: Any) -> None:
        self.value = value

    def read(self) -> Any:
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None

    write = Register.__dict__["write"]
    read = Register.__dict__["read"]


class OldestKey:
    def __init__(self) -> None:
        self.keys: OrderedDict[Any, None] = OrderedDict()

    def put(self, key: Any) -> None:
        self.keys[key] = None
        self.keys.move_to_end(key)

    def oldest(self) -> Any:
        return next(iter(self.keys))


class ListQueue(list[Any]):
    def put(self, value: Any) -> None:
        self.append(value)

    def take(self) -> Any:
        return self.pop(0)


def two_writers(write: str, read: str, first: Any, second: Any, seen: Any) -> list[Operation]:
    """Return a history in which two write at once, and a third sees what only one order explains."""
    return [
        Operation("a", write, (first,), None, 0, 10),
        Operation("b", write, (second,), None, 1, 10),
        Operation("c", read, (), seen, 11, 12),
    ]


class TestStates(unittest.TestCase):
    def assert_either_order_is_found(self, model: Any, write: str, read: str, seen: Any, other: Any) -> None:
        for first, second in ((seen, other), (other, seen)):
            with self.subTest(first=first):
                found = check_linearizable(two_writers(write, read, first, second, seen), model)
                self.assertEqual("linearizable", found.verdict, found.explanation)

    def test_a_list_is_another_state_than_a_tuple(self) -> None:
        self.assert_either_order_is_found(Register, "write", "read", [1], (1,))

    def test_the_order_of_an_ordered_dict_counts(self) -> None:
        self.assert_either_order_is_found(OldestKey, "put", "oldest", 1, 2)

    def test_a_model_may_be_a_container(self) -> None:
        self.assert_either_order_is_found(ListQueue, "put", "take", 1, 2)
        self.assert_either_order_is_found(deque, "append", "popleft", 1, 2)

    def test_a_model_may_have_slots(self) -> None:
        self.assert_either_order_is_found(Slotted, "write", "read", 1, 2)

    def test_the_state_is_shown(self) -> None:
        for model in (Register, Slotted):
            explanation = check_linearizable([Operation("a", "read", (), 1, 0, 1)], model).explanation
            self.assertIn("the first state is ", explanation)
        self.assertIn("after it the state is [1]", self.explained(ListQueue, "put", "take"))

    def explained(self, model: Any, write: str, read: str) -> str:
        history = [Operation("a", write, (1,), None, 0, 1), Operation("a", read, (), 2, 2, 3)]
        return check_linearizable(history, model).explanation


class TestValues(unittest.TestCase):
    def check_write_then_read(self, value: Any) -> None:
        history = [Operation("a", "write", (value,), None, 0, 1), Operation("b", "read", (), value, 2, 3)]
        for model in ("register", Register):
            with self.subTest(model=model, value=value):
                self.assertEqual("linearizable", check_linearizable(history, model).verdict)

    def test_what_is_not_equal_to_itself_is_still_that(self) -> None:
        self.check_write_then_read(float("nan"))

    def test_values_need_not_be_hashable(self) -> None:
        for value in ([1], {"a": [1]}, {1}, bytearray(b"x")):
            self.check_write_then_read(value)

    def test_objects_that_equal_nothing_else_stay_themselves(self) -> None:
        self.check_write_then_read(object())
        self.check_write_then_read([{"a": (object(),)}])

    def test_arguments_are_not_changed(self) -> None:
        class Filling:
            def fill(self, values: list[int]) -> None:
                values.append(1)

        values: list[int] = []
        self.assertTrue(check_linearizable([Operation("a", "fill", (values,), None, 0, 1)], Filling))
        self.assertEqual([], values)

    def test_an_operation_that_returned_at_no_time_is_refused(self) -> None:
        with self.assertRaisesRegex(UsageError, "returned at nan, before its call at 0"):
            check_linearizable([Operation("a", "read", (), None, 0, float("nan"))], "register")

    def test_an_explanation_shows_large_values_shortened(self) -> None:
        history = [
            Operation("a", "write", ("x" * 10_000,), None, 0, 1),
            Operation("b", "read", (), "y" * 10_000, 2, 3),
        ]
        found = check_linearizable(history, "register")
        self.assertEqual("not_linearizable", found.verdict)
        self.assertLess(len(found.explanation), 5_000)


class TestLongHistories(unittest.TestCase):
    def test_each_operation_is_looked_at_once_where_nothing_is_to_choose(self) -> None:
        history = [Operation(n % 4, "write", (n // 2,), None, 2 * n, 2 * n + 1) for n in range(3_000)]
        for sequential in (False, True):
            with self.subTest(sequential=sequential):
                found = check_linearizable(history, "register", sequential=sequential)
                self.assertEqual(("linearizable", 3_000), (found.verdict, found.configurations))

    def test_what_may_come_next_is_by_program_order_where_only_that_counts(self) -> None:
        history = [
            Operation("a", "write", (1,), None, 0, 1),
            Operation("b", "read", (), 2, 2, 3),
            Operation("a", "write", (3,), None, 4, 5),
        ]
        found = check_linearizable(history, "register", sequential=True)
        self.assertIn("the longest that is legal has 2 of 3", found.explanation)
        self.assertIn("b: read() -> 2, but there it returns 3", found.explanation)


if __name__ == "__main__":
    unittest.main()
