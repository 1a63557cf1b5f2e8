"""The report names the two accesses that are in each other's way, from the source alone."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from supertester.schedule import explore_schedules

SHARED: dict[str, int] = {"count": 0}


def conflicts(program: Any, **options: Any) -> list[str]:
    report = explore_schedules(program, **{"seed": 1, "database": False, **options})
    assert report.failing is not None, report
    return list(report.failing.conflicts)


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Guarded:
    """Nothing of it may be called to explain a failure."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)

    @property
    def doubled(self) -> int:
        raise AssertionError("called")


class TestConflicts(unittest.TestCase):
    def test_attributes_in_slots(self) -> None:
        async def program() -> None:
            box = Slotted()

            async def increment() -> None:
                seen = box.value
                await asyncio.sleep(0)
                box.value = seen + 1

            await asyncio.gather(increment(), increment())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertRegex(text, r"^`box\.value`: increment#\d writes it at .*, after increment#\d read it at ")

    def test_items_of_a_dict(self) -> None:
        async def program() -> None:
            SHARED["count"] = 0

            async def increment() -> None:
                seen = SHARED["count"]
                await asyncio.sleep(0)
                SHARED["count"] = seen + 1

            await asyncio.gather(increment(), increment())
            assert SHARED["count"] == 2

        [text] = conflicts(program)
        self.assertTrue(text.startswith("`SHARED['count']`: increment#"), text)

    def test_containers_that_methods_change(self) -> None:
        async def program() -> None:
            seats = ["window"]

            async def book() -> None:
                if seats:
                    await asyncio.sleep(0)
                    seats.pop()

            await asyncio.gather(book(), book())

        [text] = conflicts(program)
        self.assertRegex(
            text, r"^`seats`: book#\d writes it at .*, after book#\d read it at .* and before book#\d writes"
        )

    def test_a_store_after_an_await_in_the_same_line(self) -> None:
        async def program() -> None:
            box = Slotted()

            async def slow(value: int) -> int:
                await asyncio.sleep(0)
                return value

            async def increment() -> None:
                box.value = await slow(box.value) + 1

            await asyncio.gather(increment(), increment())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertTrue(text.startswith("`box.value`: increment#"), text)

    def test_nothing_of_the_users_is_called_to_find_it(self) -> None:
        async def program() -> None:
            box = Guarded()

            async def increment() -> None:
                seen = box.count
                await asyncio.sleep(0)
                box.count = seen + 1
                if box.count > 1000:
                    assert box.doubled or box.missing

            await asyncio.gather(increment(), increment())
            assert box.count == 2

        self.assertTrue(conflicts(program)[0].startswith("`box.count`: "))

    def test_where_no_switch_is_forced_there_may_be_one_too(self) -> None:
        async def program() -> None:
            box = Slotted()
            turn = asyncio.Event()

            async def first() -> None:
                seen = box.value
                await turn.wait()
                box.value = seen + 1

            async def second() -> None:
                box.value += 1
                turn.set()

            await asyncio.gather(first(), second())
            assert box.value == 2

        [text] = conflicts(program)
        self.assertRegex(
            text, r"^`box\.value`: second writes it at .*, after first read it at .* and before first writes"
        )
