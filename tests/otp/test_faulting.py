"""Faults of processes and messages, each chosen where a test wants it."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable, Coroutine
from typing import Any

from supertester.errors import CallExit
from supertester.otp import ChildSpec, GenServer, Runtime, Supervisor, exit, monitor, until_idle, whereis
from supertester.schedule.exploring_loop import ExploringLoop
from supertester.schedule.faults import Faults
from supertester.schedule.lanes import Lane
from supertester.schedule.strategies import Strategy
from tests.otp.exploring import asked, world
from tests.schedule.exploring import SECOND


class Diary(GenServer):
    def init(self) -> list[Any]:
        self.ended: list[Any] = []
        return []

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.state.append(request)
        return list(self.state)

    def handle_cast(self, message: Any) -> None:
        self.state.append(message)

    handle_info = handle_cast


class Quiet(Diary):
    pass


class Wanted(Strategy):
    """Chooses a fault whose label begins with what is wanted as soon as it is there, else what asyncio would."""

    name = "wanted"

    def __init__(self, *labels: str) -> None:
        self.labels = list(labels)
        self.chosen: list[str] = []
        self.offered: set[str] = set()

    def choose(self, runnable: list[Lane], current: Lane | None) -> int:
        for index, lane in enumerate(runnable):
            if lane.kind != "fault":
                continue
            label = lane._label if isinstance(lane._label, str) else lane._label()
            self.offered.add(label)
            if self.labels and label.startswith(self.labels[0]):
                self.chosen.append(label)
                self.labels.pop(0)
                return index
        return 0


def run(faults: Faults, wanted: Wanted, program: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    loop = ExploringLoop(wanted)
    loop.allow_faults(faults)
    return loop.run(program())


class TestMessages(unittest.TestCase):
    async def three(self) -> Any:
        async with world():
            diary = await Diary.start(name="diary")
            for message in "abc":
                diary.cast(message)
            await until_idle()
            await asyncio.sleep(10 * SECOND)
            return "".join(await asked(diary))

    def test_one_is_lost(self) -> None:
        wanted = Wanted("drop the cast 'b'")
        self.assertEqual("ac", run(Faults(drop=1), wanted, self.three))
        self.assertEqual(["drop the cast 'b' (diary <- three)"], wanted.chosen)

    def test_one_comes_twice(self) -> None:
        self.assertEqual("abca", run(Faults(duplicate=1), Wanted("duplicate the cast 'a'"), self.three))

    def test_a_copy_is_a_message_like_any_other(self) -> None:
        wanted = Wanted("duplicate the cast 'a'", "drop the cast 'c'", "duplicate the cast 'a'")
        self.assertEqual("abaa", run(Faults(duplicate=2, drop=1), wanted, self.three))
        self.assertEqual([], wanted.labels)

    def test_one_comes_late(self) -> None:
        self.assertEqual("bca", run(Faults(delay=1, seconds=5), Wanted("delay the cast 'a'"), self.three))

    def test_two_may_be_hit(self) -> None:
        wanted = Wanted("drop the cast 'a'", "drop the cast 'c'")
        self.assertEqual("b", run(Faults(drop=2), wanted, self.three))

    def test_no_more_than_are_allowed(self) -> None:
        wanted = Wanted("drop the cast 'a'", "drop the cast 'c'")
        self.assertEqual("bc", run(Faults(drop=1), wanted, self.three))

    def test_only_the_targets_are_hit(self) -> None:
        for targets, expected in (
            (Diary, "bc"),
            ("diary", "bc"),
            (lambda pid: pid.name == "diary", "bc"),
            (Quiet, "abc"),
            ("other", "abc"),
            ([Quiet, "diary"], "bc"),
        ):
            with self.subTest(targets=targets):
                faults = Faults(drop=1, targets=targets)
                self.assertEqual(expected, run(faults, Wanted("drop the cast 'a'"), self.three))

    def test_a_call_that_is_lost_times_out(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()
                try:
                    return await diary.call("a")
                except CallExit as error:
                    return str(error.reason), asyncio.get_running_loop().time()

        self.assertEqual(("timeout", 5.0), run(Faults(drop=1), Wanted("drop the call 'a'"), program))

    def test_whoever_waits_for_a_lost_call_hears_of_the_end(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()
                calling = asyncio.ensure_future(diary.call("a"))
                await asyncio.sleep(SECOND)
                exit(diary, "broken")
                try:
                    return await calling
                except CallExit as error:
                    return error.reason

        self.assertEqual("broken", run(Faults(drop=1), Wanted("drop the call 'a'"), program))

    def test_a_call_that_comes_twice_is_answered_once(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()
                first = await diary.call("a")
                await until_idle()
                return first, await asked(diary)

        wanted = Wanted("duplicate the call 'a'")
        self.assertEqual((["a"], ["a", "a"]), run(Faults(duplicate=1), wanted, program))

    def test_reports_of_monitors_and_requests_of_the_runtime_are_left_alone(self) -> None:
        async def program() -> Any:
            async with world():
                diary = await Diary.start()

                class Watcher(Diary):
                    def handle_cast(self, message: Any) -> None:
                        monitor(message)

                watcher = await Watcher.start(name="watcher")
                watcher.cast(diary)
                await until_idle()
                await diary.stop()
                await until_idle()
                return len(await asked(watcher))

        wanted = Wanted()
        self.assertEqual(1, run(Faults(drop=9), wanted, program))
        self.assertEqual(["drop the cast <Pid "], [label[:19] for label in wanted.offered])


class TestProcesses(unittest.TestCase):
    def test_one_is_killed_and_started_again(self) -> None:
        async def program() -> Any:
            async with world() as root:
                await Supervisor.start_link([ChildSpec("diary", Diary, kwargs={"name": "diary"})])
                await until_idle()
                return [str(death.reason) for death in root.runtime.deaths], whereis("diary") is None

        wanted = Wanted("kill diary")
        self.assertEqual((["killed"], False), run(Faults(kill=1), wanted, program))
        self.assertEqual({"kill diary"}, wanted.offered)

    def test_one_crashes_between_two_messages_and_tidies_up(self) -> None:
        ended: list[Any] = []

        class Tidy(Diary):
            def terminate(self, reason: Any) -> None:
                ended.append(reason)

        async def program() -> Any:
            async with world():
                tidy = await Tidy.start()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await until_idle()
                return tidy.exit_reason

        reason = run(Faults(crash=1), Wanted("crash Tidy#"), program)
        self.assertEqual([reason], ended)
        self.assertIn("the schedule let Tidy#2 crash here", repr(reason))

    def test_supervisors_and_the_dead_are_not_hit(self) -> None:
        async def program() -> Any:
            async with world():
                await Supervisor.start_link([])
                diary = await Diary.start(name="diary")
                await diary.stop()
                wanted.offered.clear()
                for _ in range(3):
                    await asyncio.sleep(0)

        wanted = Wanted()
        run(Faults(kill=1), wanted, program)
        self.assertEqual(set(), wanted.offered)

    def test_without_faults_there_are_none(self) -> None:
        async def program() -> Any:
            async with Runtime():
                return type(await Diary.start()).__name__

        self.assertEqual("ExploredProcess", ExploringLoop(Strategy()).run(program()))
