"""What lines touch, told by whether the reduction runs both orders of two tasks."""

import asyncio
import dataclasses
import heapq
import sys
import unittest

from benchmarks.dpor import compared
from benchmarks.reduction.explored import explore
from supertester.schedule.strategies import Dpor
from supertester.schedule.tracked import Shared, track

COUNT = 0


class Plain:
    shared = 0

    def __init__(self):
        self.value = 0
        self.items = []

    def itself(self):
        return self


class Slotted:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 0


class WithProperty:
    def __init__(self):
        self._value = 0

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        self._value = value


async def pause():
    await asyncio.sleep(0)


class TestLostUpdates(unittest.TestCase):
    """Two tasks look at something, let others run, and write what they made of it."""

    def check(self, read, write):
        async def main():
            state = Plain()

            async def worker():
                seen = read(state)
                await pause()
                write(state, seen + 1)

            await asyncio.gather(worker(), worker())
            return read(state)

        found = explore(main, Dpor())
        self.assertEqual(set(found.outcomes), {1, 2})
        self.assertTrue(found.strategy.exhausted)
        self.assertEqual(found.strategy.untracked, set())

    def test_of_an_attribute(self):
        def write(state, value):
            state.value = value

        self.check(lambda state: state.value, write)

    def test_of_an_attribute_of_what_a_call_returned(self):
        def write(state, value):
            state.itself().value = value

        self.check(lambda state: state.itself().value, write)
        self.check(lambda state: state.value, write)

    def test_of_an_attribute_by_its_name(self):
        self.check(lambda state: getattr(state, "value"), lambda state, value: setattr(state, "value", value))  # noqa: B009

    def test_of_an_item(self):
        def read(state):
            return state.items[0] if state.items else 0

        def write(state, value):
            state.items[:] = [value]

        self.check(read, write)

    def test_of_a_container_by_its_methods(self):
        def write(state, value):
            heapq.heappush(state.items, -value)

        self.check(lambda state: -min(state.items, default=0), write)

    def test_of_a_class(self):
        def read(state):
            return state.shared

        def write(_state, value):
            Plain.shared = value

        self.addCleanup(setattr, Plain, "shared", 0)

        async def main():
            Plain.shared = 0

            async def worker():
                seen = read(Plain())
                await pause()
                write(None, seen + 1)

            await asyncio.gather(worker(), worker())
            return Plain.shared

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def check_state(self, make):
        async def main():
            state = make()

            async def worker():
                seen = state.value
                await pause()
                state.value = seen + 1

            await asyncio.gather(worker(), worker())
            return state.value

        found = explore(main, Dpor())
        self.assertEqual(set(found.outcomes), {1, 2})

    def test_of_slots_properties_and_tracked_objects(self):
        class Own(Shared):
            value = 0

        for make in (Slotted, WithProperty, Own, lambda: track(Plain())):
            with self.subTest(make):
                self.check_state(make)

    def test_of_a_variable_of_the_enclosing_function(self):
        async def main():
            count = 0

            async def worker():
                nonlocal count
                seen = count
                await pause()
                count = seen + 1

            await asyncio.gather(worker(), worker())
            return count

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_of_a_global_variable(self):
        async def main():
            global COUNT  # noqa: PLW0603
            COUNT = 0

            async def worker():
                global COUNT  # noqa: PLW0603
                seen = COUNT
                await pause()
                COUNT = seen + 1

            await asyncio.gather(worker(), worker())
            return COUNT

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_of_an_inherited_attribute_of_a_class(self):
        class Base:
            count = 0

        class Derived(Base):
            pass

        async def main():
            Base.count = 0

            async def worker():
                seen = Derived.count
                await pause()
                Base.count = seen + 1

            await asyncio.gather(worker(), worker())
            return Base.count

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_of_a_variable_of_a_module_from_outside(self):
        module = sys.modules[__name__]

        async def main():
            global COUNT  # noqa: PLW0603
            COUNT = 0

            async def inside():
                global COUNT  # noqa: PLW0603
                seen = COUNT
                await pause()
                COUNT = seen + 1

            async def outside():
                seen = module.COUNT
                await pause()
                module.COUNT = seen + 1

            await asyncio.gather(inside(), outside())
            return COUNT

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_of_what_a_dataclass_compares_and_what_is_frozen(self):
        @dataclasses.dataclass(frozen=True)
        class Frozen:
            value: int = 0

        async def main():
            state, seen = Frozen(), []

            async def reader():
                seen.append(state == Frozen())

            async def writer():
                object.__setattr__(state, "value", 1)

            await asyncio.gather(reader(), writer())
            return tuple(seen)

        self.assertEqual(set(explore(main, Dpor()).outcomes), {(True,), (False,)})

    def test_of_a_container_of_a_class_of_ones_own(self):
        class Table(dict):
            pass

        async def main():
            table = Table(count=0)

            async def worker():
                seen = table["count"]
                await pause()
                table["count"] = seen + 1

            await asyncio.gather(worker(), worker())
            return table["count"]

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_of_a_function_in_one_line(self):
        # fmt: off
        async def main():
            state = Plain()
            async def worker(): seen = state.value; await pause(); state.value = seen + 1  # noqa: E702
            await asyncio.gather(worker(), worker())
            return state.value
        # fmt: on

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_in_the_same_line_as_the_await(self):
        async def main():
            state = Plain()

            async def later():
                seen = state.value
                await pause()
                return seen + 1

            async def worker():
                state.value = await later()

            await asyncio.gather(worker(), worker())
            return state.value

        self.assertEqual(set(explore(main, Dpor()).outcomes), {1, 2})

    def test_by_a_list_that_is_handed_over(self):
        async def worker(number, log):
            await pause()
            log.append(number)

        async def main():
            log = []
            await asyncio.gather(worker(1, log), worker(2, log))
            return tuple(log)

        self.assertEqual(set(explore(main, Dpor()).outcomes), {(1, 2), (2, 1)})


class TestWhatIsNotShared(unittest.TestCase):
    def test_state_of_its_own_needs_no_second_run(self):
        async def worker():
            state = Plain()
            for number in range(3):
                state.value += 1
                state.items.append(number)
                await pause()

        async def main():
            await asyncio.gather(*(worker() for _ in range(4)))

        found = explore(main, Dpor())
        self.assertEqual((len(found.outcomes), found.strategy.redundant), (1, 0))

    def test_looking_alone_needs_no_second_run(self):
        async def main():
            state = Plain()
            state.items = [1, 2, 3]

            async def reader():
                await pause()
                return sum(state.items) + len(state.items) + state.value

            return tuple(await asyncio.gather(*(reader() for _ in range(4))))

        self.assertEqual(len(explore(main, Dpor()).outcomes), 1)


class TestWhatCannotBeSeen(unittest.TestCase):
    def test_it_is_told(self):
        async def main():
            state = Plain()
            vars(state)["value"] = 1

        found = explore(main, Dpor())
        (told,) = found.strategy.untracked
        self.assertRegex(told, r"what `vars\(state\)` uses \(.*test_watching.py:\d+\)")

    def test_the_table_of_attributes_is_told(self):
        async def main():
            Plain().__dict__["value"] = 1

        (told,) = explore(main, Dpor()).strategy.untracked
        self.assertIn("what `Plain().__dict__` uses", told)

    def test_a_program_without_lines_is_told(self):
        space = {"asyncio": asyncio}
        exec("async def main():\n    await asyncio.sleep(0)\n", space)
        code = space["main"].__code__
        space["main"].__code__ = code.replace(co_filename="/nowhere/main.py")
        found = explore(space["main"], Dpor())
        self.assertEqual(found.strategy.untracked, {"what /nowhere/main.py does, whose source cannot be read"})


class TestNothingIsLost(unittest.TestCase):
    def test_random_programs_on_plain_state_come_to_the_same(self):
        numbers = (
            6,
            11,
            29,
            47,
            49,
            92,
            99,
            101,
            109,
            146,
            155,
            181,
            194,
            196,
            197,
            198,
        )  # Small, of several outcomes.
        count, every, some = compared(numbers, plain=True)
        self.assertGreaterEqual(count, len(numbers) - 2)  # Those of task groups have many orders on Python 3.11.
        self.assertLess(some, every)


if __name__ == "__main__":
    unittest.main()
