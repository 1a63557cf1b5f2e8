"""One schedule of each class that can differ, for programs of processes."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from random import Random
from types import SimpleNamespace
from typing import Any

from supertester.otp import GenServer, Runtime, call, demonitor, monitor, register, until_idle, whereis
from supertester.schedule.access_loop import AccessLoop, loop_for
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Strategy
from supertester.schedule.strategies.dpor import Dpor
from tests.otp.exploring import world
from tests.otp.random_actors import random_program

Program = Callable[[], Coroutine[Any, Any, Any]]


class TooMany(Exception):
    """A program has too many schedules for a test."""


def reduced(program: Program, limit: int = 2_000) -> tuple[set[Any], int]:
    """Return what *program* can return, and how many runs that took to find out.

    Raises:
        TooMany: It took more than *limit*.
    """
    strategy, random, seen, count = Dpor(watches_lines=False), Random(0), set(), 0
    while strategy.begin(random, count):
        loop = loop_for(strategy)
        try:
            seen.add(loop.run(program()))
        except Exception as error:  # noqa: BLE001
            seen.add(repr(error))
        strategy.end(SimpleNamespace(loop=loop))
        count += 1
        if count == limit:
            raise TooMany(f"more than {limit} runs")
    assert strategy.exhausted
    return seen, count


class Diary(GenServer):
    def init(self) -> list[Any]:
        return []

    def handle_call(self, request: Any, sender: Any) -> int:
        self.state.append(request)
        return len(self.state)

    def handle_cast(self, message: Any) -> None:
        self.state.append(message)


class AsyncDiary(Diary):
    async def handle_cast(self, message: Any) -> None:
        self.state.append(message)


def casting(server: type[Diary], *, clients: int, servers: int, messages: int) -> Program:
    async def program() -> Any:
        async with world():
            diaries = [await server.start() for _ in range(servers)]

            async def client(number: int) -> None:
                for at in range(messages):
                    diaries[number % servers].cast((number, at))

            await asyncio.gather(*map(client, range(clients)))
            await until_idle()
            return tuple(tuple(diary.server.state) for diary in diaries)  # type: ignore[attr-defined]

    return program


class Watcher(GenServer):
    """Monitors whom it is told to, gives that up when it is told to, and keeps the reports that came."""

    def init(self) -> list[Any]:
        self.refs: list[Any] = []
        return []

    def handle_call(self, target: Any, sender: Any) -> None:
        self.refs.append(monitor(target))

    def handle_cast(self, message: Any) -> None:
        demonitor(self.refs.pop())

    def handle_info(self, message: Any) -> None:
        self.state.append(type(message).__name__)


class TestReduction(unittest.TestCase):
    def test_a_monitor_is_given_up_before_or_after_its_report(self) -> None:
        async def program() -> Any:
            async with world():
                watcher, target = await Watcher.start(), await Diary.start()
                await watcher.call(target)

                async def end() -> None:
                    target.exit("enough")

                async def give_up() -> None:
                    watcher.cast("give up")

                await asyncio.gather(end(), give_up())
                await until_idle()
                return tuple(watcher.server.state)  # type: ignore[attr-defined]

        self.assertEqual({(), ("Down",)}, reduced(program)[0])

    def test_three_clients_that_cast_to_one_server(self) -> None:
        for server in (Diary, AsyncDiary):
            with self.subTest(server=server.__name__):
                seen, count = reduced(casting(server, clients=3, servers=1, messages=1))
                self.assertEqual((6, 6), (len(seen), count))

    def test_four_clients_with_two_messages_each_to_two_servers(self) -> None:
        seen, count = reduced(casting(Diary, clients=4, servers=2, messages=2))
        self.assertEqual((36, 36), (len(seen), count))

    def test_servers_that_have_nothing_to_do_with_each_other(self) -> None:
        self.assertEqual(1, reduced(casting(Diary, clients=3, servers=3, messages=2))[1])

    def test_calls_of_three_clients(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()
                return tuple(await asyncio.gather(*(diary.call(number) for number in range(3))))

        seen, count = reduced(program)
        self.assertEqual((6, 6), (len(seen), count))

    def test_names_are_looked_for_before_and_after_they_are_registered(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()

                async def look() -> bool:
                    return whereis("name") is not None

                async def name() -> None:
                    register(diary, "name")

                return (await asyncio.gather(look(), name()))[0]

        self.assertEqual({True, False}, reduced(program)[0])

    def test_ends_are_seen_before_and_after_they_are(self) -> None:
        async def program() -> Any:
            async with world() as root:
                diary = await Diary.start()

                async def watch() -> None:
                    monitor(diary)

                async def end() -> None:
                    diary.exit("over")

                await asyncio.gather(watch(), end())
                await until_idle()
                return root.messages[0].reason

        self.assertEqual({"noproc", "over"}, reduced(program)[0])

    def test_other_loops_have_no_part_in_it(self) -> None:
        async def program() -> Any:
            async with Runtime() as runtime:
                await Diary.start(name="diary")
                await call("diary", 1)
                return type(runtime.names), runtime.activity

        self.assertEqual((dict, None), ExploringLoop(Strategy()).run(program()))


class AnyLane(Strategy):
    """Chooses any lane, and mostly stays on it."""

    name = "any"

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.inertia = self.random.choice((0, 0.5, 0.8))

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        if current is not None and self.random.random() < self.inertia:
            return runnable.index(current)
        return self.random.randrange(len(runnable))


class TestRandomPrograms(unittest.TestCase):
    def check(self, numbers: Iterable[int], *, limit: int, least: int, **options: bool) -> None:
        checked = 0
        for number in numbers:
            program = random_program(number, **options)
            with self.subTest(number=number, program=program.__doc__), suppress(TooMany):
                seen, _ = reduced(program, limit)
                for seed in range(30):
                    self.assertIn(ExploringLoop(AnyLane(seed)).run(program()), seen)
                checked += 1
        self.assertGreaterEqual(checked, least)

    def test_what_can_be_seen_at_random_is_seen_by_reduction(self) -> None:
        # Small programs that can come to more than one thing.
        numbers = (4, 5, 6, 7, 11, 13, 18, 19, 23, 24, 26, 28, 37, 39, 46, 49, 53, 56, 57, 62, 63, 66, 69)
        self.check(numbers, limit=150, least=len(numbers))

    def test_so_is_what_supervisors_and_registries_make_of_it(self) -> None:
        numbers = (101, 105, 110, 112, 128, 130, 138)  # Small ones: most have more than a hundred schedules.
        self.check(numbers, limit=100, least=len(numbers), with_tree=True)

    def test_a_schedule_is_the_same_whether_or_not_somebody_asks_what_it_touches(self) -> None:
        for number in range(40):
            program = random_program(number)
            with self.subTest(number=number, program=program.__doc__):
                plain, asking = ExploringLoop(AnyLane(number)), AccessLoop(AnyLane(number))
                self.assertEqual(plain.run(program()), asking.run(program()))
                self.assertEqual(*([(count, lane.path) for count, lane in loop.choices] for loop in (plain, asking)))
