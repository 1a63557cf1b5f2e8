"""`probe_restart_strategy`: every strategy times every restart type, with any reason, to the limit and beyond."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import Any

from supertester.errors import UsageError, WaitTimeout
from supertester.otp import (
    KILL,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    DynamicSupervisor,
    Supervisor,
    SupervisorSpec,
    start_child,
    terminate_child,
    whereis,
)
from supertester.supervision import ChildTerminated, LimitExceeded, probe_restart_strategy
from tests.otp.support import RuntimeCase, one_turn
from tests.subjects import Busy, Counter, Stubborn, counter_spec, team

NAMES = ("a", "b", "c")


class Team(Supervisor):
    def init(self, *names: str) -> Any:
        return SupervisorSpec([counter_spec(name) for name in names], max_restarts=1)


class TestStrategies(RuntimeCase):
    async def test_each_with_each_restart_type_and_reason(self) -> None:
        for strategy, restart, reason in product(
            ("one_for_one", "one_for_all", "rest_for_one"),
            ("permanent", "transient", "temporary"),
            (KILL, NORMAL, SHUTDOWN, "planned"),
        ):
            with self.subTest(strategy=strategy, restart=restart, reason=reason):
                middle = counter_spec("b", restart=restart)
                children = [counter_spec("a"), middle, counter_spec("c")]
                supervisor = await Supervisor.start_link(children, strategy=strategy)
                result = await probe_restart_strategy(supervisor, strategy, ("kill_child", "b"), reason=reason)
                comes_back = restart == "permanent" or (restart == "transient" and reason in (KILL, "planned"))
                taken_along = {"one_for_one": ("b",), "one_for_all": NAMES, "rest_for_one": ("b", "c")}
                wanted = taken_along[strategy] if comes_back else ()
                self.assertEqual(result.restarted, wanted)
                self.assertEqual(result.expected, wanted)
                self.assertEqual(result.not_restarted, tuple(name for name in NAMES if name not in wanted))
                self.assertTrue(result.supervisor_alive)
                ended = next(event for event in result.events if isinstance(event, ChildTerminated))
                self.assertEqual((ended.id, ended.reason), ("b", ended.pid.exit_reason))  # type: ignore[union-attr]
                await supervisor.stop()

    async def test_several_children_at_once(self) -> None:
        for strategy, wanted in (
            ("one_for_one", ("a", "c")),
            ("one_for_all", NAMES),
            ("rest_for_one", NAMES),
        ):
            with self.subTest(strategy):
                supervisor = await team(*NAMES, strategy=strategy)
                result = await probe_restart_strategy(supervisor, strategy, ("kill_children", ["a", "c"]))
                self.assertEqual((result.restarted, result.expected), (wanted, wanted))
                await supervisor.stop()

    async def test_nobody(self) -> None:
        supervisor = await team(*NAMES)
        result = await probe_restart_strategy(supervisor, "one_for_one", ("kill_children", []))
        self.assertEqual((result.restarted, result.not_restarted, result.events), ((), NAMES, ()))

    async def test_who_is_taken_along_but_temporary_goes(self) -> None:
        children = [counter_spec("a", restart="temporary"), counter_spec("b")]
        supervisor = await Supervisor.start_link(children, strategy="one_for_all")
        result = await probe_restart_strategy(supervisor, "one_for_all", ("kill_child", "b"))
        self.assertEqual((result.restarted, result.not_restarted, result.expected), (("b",), ("a",), ("b",)))

    async def test_a_nested_tree(self) -> None:
        inner = ChildSpec("inner", Supervisor, args=([counter_spec("x")],))
        supervisor = await Supervisor.start_link([counter_spec("a"), inner])
        result = await probe_restart_strategy(supervisor, "one_for_one", ("kill_child", "inner"))
        self.assertEqual(result.restarted, ("inner",))
        self.assertIn("'x'", str([event for event in result.events if event.id == "x"][-1]))

    async def test_dynamic_children_go_by_pid(self) -> None:
        pool = await DynamicSupervisor.start_link()
        one, other = [await start_child(pool, ChildSpec("any", Counter)) for _ in range(2)]
        result = await probe_restart_strategy(pool, "one_for_one", ("kill_child", other))
        self.assertEqual((result.restarted, result.not_restarted), ((other,), (one,)))

    async def test_a_supervisor_by_name(self) -> None:
        await team("a", name="team")
        result = await probe_restart_strategy("team", "one_for_one", ("kill_child", "a"))
        self.assertEqual(result.restarted, ("a",))

    async def test_the_result_as_json(self) -> None:
        supervisor = await team("a")
        result = await probe_restart_strategy(supervisor, "one_for_one", ("kill_child", "a"))
        data = json.loads(json.dumps(result.to_dict()))
        self.assertEqual((data["restarted"], data["supervisor_alive"]), (["a"], True))
        self.assertEqual([event["event"] for event in data["events"]], ["ChildTerminated", "ChildRestarted"])


class TestTheLimit(RuntimeCase):
    async def test_is_a_result(self) -> None:
        supervisor = await Team.start_link(*NAMES)
        result = await probe_restart_strategy(supervisor, "one_for_one", ("kill_children", ["a", "c"]))
        self.assertFalse(result.supervisor_alive)
        self.assertEqual((result.restarted, result.expected), (("a",), ("a",)))
        self.assertEqual(sum(isinstance(event, LimitExceeded) for event in result.events), 1)
        self.assertEqual(supervisor.exit_reason, SHUTDOWN)

    async def test_is_reached_by_a_cascade(self) -> None:
        supervisor = await team(*NAMES, max_restarts=2)
        result = await probe_restart_strategy(supervisor, "one_for_one", ("cascade_failure", "b"))
        self.assertEqual((result.restarted, result.supervisor_alive), (("b",), False))
        kinds = [type(event).__name__ for event in result.events if event.id in ("b", None)]
        self.assertEqual(kinds, ["ChildTerminated", "ChildRestarted"] * 2 + ["ChildTerminated", "LimitExceeded"])

    async def test_of_zero_ends_the_supervisor_at_once(self) -> None:
        supervisor = await team("a", max_restarts=0)
        result = await probe_restart_strategy(supervisor, "one_for_one", ("cascade_failure", "a"))
        self.assertEqual((result.restarted, result.not_restarted, result.expected), ((), ("a",), ()))
        self.assertFalse(result.supervisor_alive)

    async def test_is_not_reached_by_a_child_that_stays_away(self) -> None:
        supervisor = await Supervisor.start_link([counter_spec("a", restart="temporary")], max_restarts=0)
        result = await probe_restart_strategy(supervisor, "one_for_one", ("cascade_failure", "a"))
        self.assertEqual((result.not_restarted, result.supervisor_alive), (("a",), True))


class TestMisuse(RuntimeCase):
    async def test_is_refused_before_anything_is_done(self) -> None:
        supervisor = await team(*NAMES)
        await terminate_child(supervisor, "c")
        before = [whereis(name) for name in NAMES]
        cases: list[tuple[Any, Any, type[Exception], str]] = [
            ("one_for_all", ("kill_child", "a"), UsageError, "strategy mismatch: .* 'one_for_one', not 'one_for_all'"),
            ("one_for_none", ("kill_child", "a"), UsageError, "a strategy must be one of"),
            (
                "one_for_one",
                ("kill_child", "z"),
                UsageError,
                "no child of .* has the id 'z'; the children are: 'a', 'b'",
            ),
            ("one_for_one", ("kill_children", ["a", "z"]), UsageError, "no child of .* has the id 'z'"),
            ("one_for_one", ("kill_child", ["a"]), UsageError, r"no child of .* has the id \['a'\]"),
            ("one_for_one", ("kill_children", "ab"), TypeError, "takes a list of ids, got 'ab'"),
            ("one_for_one", ("kill_child", "c"), UsageError, "'c' of .* is not running"),
            ("one_for_one", ("tickle", "a"), UsageError, "unknown scenario 'tickle'; the scenarios are"),
            ("one_for_one", "kill_child", UsageError, "a scenario is one of"),
        ]
        for strategy, scenario, error, message in cases:
            with self.subTest(scenario=scenario), self.assertRaisesRegex(error, message):
                await probe_restart_strategy(supervisor, strategy, scenario)
        with self.assertRaisesRegex(UsageError, "timeout must be 0 or more"):
            await probe_restart_strategy(supervisor, "one_for_one", ("kill_child", "a"), timeout=-1)
        with self.assertRaisesRegex(UsageError, "is no supervisor"):
            await probe_restart_strategy("a", "one_for_one", ("kill_child", "a"))
        self.assertEqual([whereis(name) for name in NAMES], before)

    async def test_a_child_that_does_not_end_in_time_is_named(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("busy", Busy, kwargs={"name": "busy"}, shutdown=0)])
        busy = whereis("busy")
        assert busy is not None
        busy.cast("work")
        probing = asyncio.create_task(
            probe_restart_strategy(supervisor, "one_for_one", ("kill_child", "busy"), reason="planned", timeout=1)
        )
        while self.clock.next_timer() is None:
            await one_turn()
        self.clock.advance(1.0)
        with self.assertRaisesRegex(WaitTimeout, "busy.* did not end with 'planned' within 1 s"):
            await probing

    async def test_a_child_that_traps_exits_ends_all_the_same(self) -> None:
        supervisor = await Supervisor.start_link([ChildSpec("stubborn", Stubborn)])
        result = await probe_restart_strategy(supervisor, "one_for_one", ("kill_child", "stubborn"), reason="planned")
        self.assertEqual(result.restarted, ("stubborn",))
