"""Rules 21 to 24: child specifications, starting children, who is restarted, and the three strategies."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from supertester.errors import StartFailed, UsageError
from supertester.otp import (
    BRUTAL_KILL,
    IGNORE,
    INFINITY,
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    Exit,
    Shutdown,
    Stop,
    Supervisor,
    SupervisorSpec,
    count_children,
    exit,
    intensity_left,
    process_info,
    strategy,
    terminate_child,
    until_idle,
    whereis,
    which_children,
)
from tests.otp.support import Asynchronous, Child, Probe, RuntimeCase, one_turn, parked, returning

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
NORMAL_ENDS = (NORMAL, SHUTDOWN, Shutdown("term"))


def crashes() -> tuple[Any, ...]:
    """Return reasons that are no normal ends; an exception that is raised keeps all frames, so each is a new one."""
    return (KILLED, "boom", ValueError("broken"))


class Troubled(Child):
    """A child whose *trouble*, a function shared by its incarnations, decides how each start goes."""

    def init(self, diary: list[Any], label: str, *, trap: bool = True, trouble: Any = None) -> Any:
        state = super().init(diary, label, trap=trap)
        return trouble() if trouble is not None else state


class Rule21Specifications(RuntimeCase):
    def test_rule_21_the_defaults_of_a_worker(self) -> None:
        spec = ChildSpec("id", Probe)
        self.assertEqual(("permanent", 5.0, "worker"), (spec.restart, spec.shutdown, spec.type))
        self.assertEqual(([Probe], False), (list(spec.modules), spec.significant))
        self.assertEqual(((), {}), (tuple(spec.args), dict(spec.kwargs)))

    def test_rule_21_the_defaults_of_a_supervisor(self) -> None:
        for spec in (
            ChildSpec("id", Supervisor),
            ChildSpec("id", DynamicSupervisor),
            ChildSpec("id", lambda: None, type="supervisor"),
        ):
            self.assertEqual(("permanent", INFINITY, "supervisor"), (spec.restart, spec.shutdown, spec.type))

    def test_rule_21_every_field_can_be_given(self) -> None:
        spec = ChildSpec(
            "id",
            Probe,
            (1,),
            {"b": 2},
            restart="transient",
            shutdown=BRUTAL_KILL,
            type="supervisor",
            modules=["m"],
            significant=True,
        )
        self.assertEqual((1,), tuple(spec.args))
        self.assertEqual(("transient", BRUTAL_KILL, "supervisor"), (spec.restart, spec.shutdown, spec.type))
        self.assertEqual((["m"], True), (spec.modules, spec.significant))
        for shutdown in (0, 0.5, 10, INFINITY, BRUTAL_KILL):
            self.assertEqual(shutdown, ChildSpec("id", Probe, shutdown=shutdown).shutdown)

    def test_rule_21_a_specification_cannot_be_changed(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            ChildSpec("id", Probe).restart = "temporary"  # type: ignore[misc]

    def test_rule_21_what_makes_no_sense_is_refused_and_shown(self) -> None:
        for options, shown in (
            ({"restart": "sometimes"}, "'sometimes'"),
            ({"restart": None}, "None"),
            ({"type": "boss"}, "'boss'"),
            ({"shutdown": -1}, "-1"),
            ({"shutdown": "slowly"}, "'slowly'"),
            ({"shutdown": float("nan")}, "nan"),
            ({"args": "text"}, "'text'"),
            ({"kwargs": [1]}, "[1]"),
            ({"start": "text"}, "'text'"),
            ({"start": None}, "None"),
            ({"id": []}, "[]"),
            ({"colour": "green"}, "colour"),
        ):
            with self.subTest(options), self.assertRaises((UsageError, TypeError)) as caught:
                ChildSpec(**{"id": "id", "start": Probe, **options})
            self.assertIn(shown, str(caught.exception))

    def test_rule_21_the_defaults_of_a_supervisor_specification(self) -> None:
        spec = SupervisorSpec([])
        self.assertEqual(("one_for_one", 3, 5.0, "never"), self.of(spec))

    async def test_rule_21_a_supervisor_has_these_defaults(self) -> None:
        supervisor = await Supervisor.start_link([])
        self.assertEqual(("one_for_one", 3), (strategy(supervisor), intensity_left(supervisor)))

    async def test_rule_21_what_makes_no_sense_to_a_supervisor_is_refused_and_nothing_is_started(self) -> None:
        diary: list[Any] = []
        child = self.child("a", diary)
        for children, options, shown in (
            ([child], {"strategy": "all_for_one"}, "'all_for_one'"),
            ([child], {"max_restarts": -1}, "-1"),
            ([child], {"max_restarts": 1.5}, "1.5"),
            ([child], {"max_seconds": 0}, "0"),
            ([child], {"max_seconds": -5}, "-5"),
            ([child], {"auto_shutdown": "maybe"}, "'maybe'"),
            ([child], {"colour": "green"}, "colour"),
            ([child], {"timeout": -1}, "-1"),
            ([child, self.child("b", diary), child], {}, "'a'"),
            ([child, Probe], {}, "Probe"),
            ([child, "b"], {}, "'b'"),
            (child, {}, "ChildSpec"),
            ([dataclasses.replace(child, restart="transient", significant=True)], {}, "'a'"),
        ):
            with self.subTest(options=options, shown=shown), self.misuse(shown):
                await Supervisor.start_link(children, **options)
        await until_idle()
        self.assertEqual([], diary)
        self.assertEqual([], self.root.messages)

    async def test_rule_21_duplicate_ids_in_a_subclass_fail_its_init(self) -> None:
        diary: list[Any] = []
        twice = [self.child("a", diary), self.child("a", diary)]

        class Doubled(Supervisor):
            def init(self) -> Any:  # type: ignore[override]
                return SupervisorSpec(twice)

        with self.assertRaises((StartFailed, UsageError)) as caught:
            await Doubled.start_link()
        self.assertIn("'a'", str(caught.exception))
        self.assertEqual([], diary)

    async def test_rule_21_a_subclass_says_what_it_supervises(self) -> None:
        child = self.child("a", [])

        class Family(Supervisor):
            def init(self, max_restarts: int) -> Any:  # type: ignore[override]
                return SupervisorSpec([child], strategy="rest_for_one", max_restarts=max_restarts)

        class AsyncFamily(Supervisor):
            async def init(self) -> Any:  # type: ignore[override]
                await one_turn()
                return SupervisorSpec([child])

        supervisor = await Family.start_link(7, name="family")
        self.assertEqual(("rest_for_one", 7), (strategy("family"), intensity_left(supervisor)))
        self.assertEqual(["a"], list(await self.rows(supervisor)))
        await supervisor.stop()
        self.assertEqual(["a"], list(await self.rows(await AsyncFamily.start_link())))

    async def test_rule_21_a_supervisor_may_ignore_stop_or_return_nonsense(self) -> None:
        class Odd(Supervisor):
            def init(self, result: Any) -> Any:  # type: ignore[override]
                return result

        self.assertIs(IGNORE, await Odd.start_link(IGNORE))
        self.assertEqual(NORMAL, (await self.root.receive()).reason)
        with self.does_not_start("no"):
            await Odd.start_link(Stop("no"))
        with self.assertRaises(StartFailed) as caught:
            await Odd.start_link("nonsense")
        self.assertIn("nonsense", str(caught.exception))

    async def test_rule_21_a_child_may_be_started_by_a_function(self) -> None:
        cls = self.flavour(Probe)

        async def start_it(label: str, *, name: str) -> Any:
            return await cls.start_link(label=label, name=name)

        def start_without_link(label: str, *, name: str) -> Any:
            return cls.start(label=label, name=name)

        for function in (start_it, start_without_link, cls.start_link):
            with self.subTest(function.__name__):
                args = () if function == cls.start_link else ("label",)
                supervisor = await self.supervise(ChildSpec("a", function, args, {"name": "a"}))
                before = whereis("a")
                self.assertEqual({"a": before}, await self.rows(supervisor))
                await self.end(before, "boom")
                self.assertNotIn(whereis("a"), (before, None))
                self.assertEqual(supervisor, process_info("a").parent)
                await supervisor.stop()
                self.assertIsNone(whereis("a"))

    async def test_rule_21_a_function_that_starts_nothing_fails_its_supervisor(self) -> None:
        def broken() -> Any:
            raise ValueError("broken")

        for function in (lambda: None, lambda: "pid", broken):
            with self.assertRaises(StartFailed) as caught:
                await self.supervise(ChildSpec("a", function))
            self.assertIn("'a'", repr(caught.exception.reason))

    @staticmethod
    def of(spec: SupervisorSpec) -> tuple[Any, ...]:
        return spec.strategy, spec.max_restarts, spec.max_seconds, spec.auto_shutdown


class Rule22StartingChildren(RuntimeCase):
    async def test_rule_22_children_start_in_order_each_after_the_init_of_the_one_before(self) -> None:
        gate, diary = asyncio.Event(), []

        async def slowly() -> Any:
            await gate.wait()
            diary.append(("a", "done"))
            return diary

        first = self.child("a", diary, Troubled)
        first = dataclasses.replace(first, kwargs={**first.kwargs, "trouble": slowly})
        starting = self.background(self.supervise(first, self.child("b", diary), self.child("c", diary)))
        await self.still_pending(starting)
        self.assertEqual([("a", "start")], diary)
        gate.set()
        await starting
        self.assertEqual([("a", "start"), ("a", "done"), ("b", "start"), ("c", "start")], diary)

    async def test_rule_22_children_are_linked_to_their_supervisor_which_is_their_parent(self) -> None:
        supervisor = await self.supervise(self.child("a", []))
        self.assertEqual([supervisor], [*process_info("a").links])
        self.assertEqual(supervisor, process_info("a").parent)

    async def test_rule_22_a_child_that_fails_stops_those_before_it_in_reverse(self) -> None:
        error = ValueError("broken")

        def raise_error() -> Any:
            raise error

        for trouble, reason in (
            (lambda: Stop("no"), "no"),
            (raise_error, Crash(error)),
            (lambda: Stop(NORMAL), NORMAL),
        ):
            with self.subTest(reason=reason):
                diary: list[Any] = []
                failing = self.child("c", diary, Troubled)
                failing = dataclasses.replace(failing, kwargs={**failing.kwargs, "trouble": trouble})
                children = [self.child("a", diary), self.child("b", diary), failing, self.child("d", diary)]
                before = list(self.rt.processes)
                expected = Shutdown(("failed_to_start_child", "c", reason))
                with self.does_not_start(expected):
                    await self.supervise(*children, name="sup")
                message = await self.root.receive(Exit)
                self.assertEqual((expected, expected), (message.reason, message.pid.exit_reason))
                starts = [(label, "start") for label in "abc"]
                ends = [(label, "terminate", SHUTDOWN) for label in "ba"]
                self.assertEqual(starts + ends, diary)
                self.assertEqual(before, list(self.rt.processes))
                self.assertIsNone(whereis("sup"))

    async def test_rule_22_a_child_whose_name_is_taken_fails_the_start(self) -> None:
        holder = await self.start(Probe, name="b")
        expected = Shutdown(("failed_to_start_child", "b", ("already_started", holder)))
        with self.does_not_start(expected):
            await self.supervise(self.child("a", []), self.child("b", []))
        self.assertIsNone(whereis("a"))
        self.assertTrue(holder.is_alive())

    async def test_rule_22_a_failing_inner_supervisor_tells_the_whole_story(self) -> None:
        failing = ChildSpec("worker", self.flavour(Troubled), ([], "worker"), {"trouble": lambda: Stop("no")})
        inner = ChildSpec("inner", Supervisor, ([failing],))
        inner_reason = Shutdown(("failed_to_start_child", "worker", "no"))
        with self.does_not_start(Shutdown(("failed_to_start_child", "inner", inner_reason))):
            await self.supervise(inner)

    async def test_rule_22_a_child_that_ignores_is_kept_as_undefined(self) -> None:
        for restart in ("permanent", "transient"):
            with self.subTest(restart=restart):
                diary: list[Any] = []
                supervisor = await self.supervise(
                    self.child("a", diary), self.ignoring("b", diary, restart=restart), self.child("c", diary)
                )
                rows = await self.rows(supervisor)
                self.assertEqual(["a", "b", "c"], list(rows))
                self.assertEqual("undefined", rows["b"])
                self.assertEqual(2, (await count_children(supervisor))["active"])
                await supervisor.stop()

    async def test_rule_22_a_temporary_child_that_ignores_is_removed(self) -> None:
        supervisor = await self.supervise(self.ignoring("a", [], restart="temporary"), self.child("b", []))
        self.assertEqual(["b"], list(await self.rows(supervisor)))

    async def test_rule_22_a_supervisor_that_takes_too_long_to_start_leaves_no_child(self) -> None:
        gate, diary = asyncio.Event(), []
        slow = self.child("b", diary, Troubled)
        slow = dataclasses.replace(slow, kwargs={**slow.kwargs, "trouble": lambda: parked(gate)(None)})
        before = list(self.rt.processes)
        starting = self.background(self.supervise(self.child("a", diary), slow, timeout=2.0))
        await self.turn_until(lambda: ("b", "start") in diary, "the second child starts")
        self.clock.advance(2.0)
        with self.assertRaises(StartFailed):
            await starting
        await until_idle()
        self.assertEqual(before, list(self.rt.processes))

    def ignoring(self, label: str, diary: list[Any], **options: Any) -> ChildSpec:
        spec = self.child(label, diary, Troubled, **options)
        return dataclasses.replace(spec, kwargs={**spec.kwargs, "trouble": lambda: IGNORE})


class Rule22StartingAsyncChildren(Asynchronous, Rule22StartingChildren):
    pass


class Rules23And24RestartMatrix(RuntimeCase):
    """Every restart type, every kind of end, every strategy: who is new, who is the same, who is gone."""

    async def after_the_end_of_b(self, how: str, restart: str, reason: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
        children = [self.child("a", []), self.child("b", [], restart=restart), self.child("c", [])]
        supervisor = await self.supervise(*children, strategy=how, max_restarts=100)
        before = await self.rows(supervisor)
        await self.end(before["b"], reason)
        after = await self.rows(supervisor)
        await supervisor.stop()
        return before, after

    def restarted(self, before: dict[Any, Any], after: dict[Any, Any]) -> list[str]:
        return [label for label in after if after[label] != before[label] and after[label] not in ("undefined", None)]

    async def test_rule_23_a_permanent_child_is_always_restarted(self) -> None:
        for how in STRATEGIES:
            for reason in NORMAL_ENDS + crashes():
                with self.subTest(strategy=how, reason=reason):
                    self.assertEqual(
                        self.all_of(how), self.restarted(*await self.after_the_end_of_b(how, "permanent", reason))
                    )

    async def test_rule_23_a_transient_child_is_restarted_after_a_crash(self) -> None:
        for how in STRATEGIES:
            for reason in crashes():
                with self.subTest(strategy=how, reason=reason):
                    self.assertEqual(
                        self.all_of(how), self.restarted(*await self.after_the_end_of_b(how, "transient", reason))
                    )

    async def test_rule_23_a_transient_child_is_kept_as_undefined_after_a_normal_end(self) -> None:
        for how in STRATEGIES:
            for reason in NORMAL_ENDS:
                with self.subTest(strategy=how, reason=reason):
                    before, after = await self.after_the_end_of_b(how, "transient", reason)
                    self.assertEqual({**before, "b": "undefined"}, after)

    async def test_rule_23_a_temporary_child_is_never_restarted_but_removed(self) -> None:
        for how in STRATEGIES:
            for reason in NORMAL_ENDS + crashes():
                with self.subTest(strategy=how, reason=reason):
                    before, after = await self.after_the_end_of_b(how, "temporary", reason)
                    self.assertEqual({"a": before["a"], "c": before["c"]}, after)

    @staticmethod
    def all_of(how: str) -> list[str]:
        return {"one_for_one": ["b"], "one_for_all": ["a", "b", "c"], "rest_for_one": ["b", "c"]}[how]


class Rules23And24AsyncRestartMatrix(Asynchronous, Rules23And24RestartMatrix):
    pass


class Rule24Strategies(RuntimeCase):
    async def family(self, how: str, diary: list[Any], **restarts: str) -> Any:
        """Return a supervisor of a, b, c, d whose start is no longer in the diary."""
        children = [self.child(label, diary, restart=restarts.get(label, "permanent")) for label in "abcd"]
        supervisor = await self.supervise(*children, strategy=how, max_restarts=10)
        diary.clear()
        return supervisor

    async def test_rule_24_one_for_one_restarts_only_the_child_that_ended(self) -> None:
        supervisor = await self.family("one_for_one", diary := [])
        await self.end(whereis("b"), KILLED)
        self.assertEqual([("b", "start")], diary)
        self.assertEqual(["a", "b", "c", "d"], list(await self.rows(supervisor)))

    async def test_rule_24_one_for_all_stops_the_others_in_reverse_then_starts_all_in_order(self) -> None:
        supervisor = await self.family("one_for_all", diary := [])
        await self.end(whereis("b"), KILLED)
        ends = [(label, "terminate", SHUTDOWN) for label in "dca"]
        self.assertEqual(ends + [(label, "start") for label in "abcd"], diary)
        self.assertEqual(["a", "b", "c", "d"], list(await self.rows(supervisor)))

    async def test_rule_24_rest_for_one_does_so_with_the_child_and_those_after_it(self) -> None:
        supervisor = await self.family("rest_for_one", diary := [])
        first = whereis("a")
        await self.end(whereis("b"), KILLED)
        ends = [(label, "terminate", SHUTDOWN) for label in "dc"]
        self.assertEqual(ends + [(label, "start") for label in "bcd"], diary)
        self.assertEqual(first, (await self.rows(supervisor))["a"])

    async def test_rule_24_rest_for_one_of_the_last_child_touches_no_other(self) -> None:
        await self.family("rest_for_one", diary := [])
        await self.end(whereis("d"), KILLED)
        self.assertEqual([("d", "start")], diary)

    async def test_rule_24_each_sibling_is_waited_for_before_the_next_is_stopped(self) -> None:
        for how in ("one_for_all", "rest_for_one"):
            with self.subTest(strategy=how):
                supervisor = await self.family(how, diary := [])
                gate = asyncio.Event()
                await whereis("c").call(lambda me, gate=gate: setattr(me, "on_terminate", parked(gate)))
                slow, victim = whereis("c"), whereis("a")
                exit(victim, KILL)
                await self.turn_until(lambda d=diary: ("c", "terminate", SHUTDOWN) in d, "c is being stopped")
                self.assertEqual([("d", "terminate", SHUTDOWN), ("c", "terminate", SHUTDOWN)], diary)
                self.assertTrue(slow.is_alive())
                gate.set()
                await until_idle()
                ends = [(label, "terminate", SHUTDOWN) for label in "dcb"]
                self.assertEqual(ends + [(label, "start") for label in "abcd"], diary)
                await supervisor.stop()

    async def test_rule_24_a_sibling_that_does_not_end_in_time_is_killed_and_all_start_again(self) -> None:
        await self.family("one_for_all", diary := [])
        gate = asyncio.Event()
        stubborn = whereis("c")
        await stubborn.call(lambda me: setattr(me, "on_terminate", parked(gate)))
        exit(whereis("a"), KILL)
        await self.turn_until(lambda: ("c", "terminate", SHUTDOWN) in diary, "c is being stopped")
        await self.turn_until(self.clock.next_timer, "the deadline is set")
        self.clock.advance(5.0)
        await until_idle()
        self.assertEqual(KILLED, stubborn.exit_reason)
        self.assertEqual([(label, "start") for label in "abcd"], diary[-4:])

    async def test_rule_24_temporary_siblings_are_stopped_and_removed(self) -> None:
        for how in ("one_for_all", "rest_for_one"):
            with self.subTest(strategy=how):
                supervisor = await self.family(how, diary := [], c="temporary")
                await self.end(whereis("b"), KILLED)
                self.assertIn(("c", "terminate", SHUTDOWN), diary)
                self.assertNotIn(("c", "start"), diary)
                self.assertEqual(["a", "b", "d"], list(await self.rows(supervisor)))
                await supervisor.stop()

    async def test_rule_24_transient_siblings_are_stopped_and_restarted(self) -> None:
        for how in ("one_for_all", "rest_for_one"):
            with self.subTest(strategy=how):
                supervisor = await self.family(how, diary := [], c="transient")
                await self.end(whereis("b"), KILLED)
                self.assertIn(("c", "start"), diary)
                await supervisor.stop()

    async def test_rule_24_an_end_without_restart_touches_no_sibling(self) -> None:
        for how in STRATEGIES:
            for what, restart, reason in (
                ("a transient child that ends normally", "transient", NORMAL),
                ("a transient child that is shut down", "transient", SHUTDOWN),
                ("a temporary child that crashes", "temporary", "boom"),
                ("a temporary child that is killed", "temporary", KILLED),
            ):
                with self.subTest(what, strategy=how):
                    supervisor = await self.family(how, diary := [], b=restart)
                    await self.end(whereis("b"), reason)
                    self.assertEqual([], [entry for entry in diary if entry[0] != "b" or entry[1] == "start"])
                    self.assertEqual(10, intensity_left(supervisor))
                    await supervisor.stop()

    async def test_rule_24_terminating_a_child_touches_no_sibling(self) -> None:
        for how in STRATEGIES:
            with self.subTest(strategy=how):
                supervisor = await self.family(how, diary := [])
                await terminate_child(supervisor, "b")
                await until_idle()
                self.assertEqual([("b", "terminate", SHUTDOWN)], diary)
                self.assertEqual(10, intensity_left(supervisor))
                await supervisor.stop()

    async def test_rule_24_an_undefined_child_takes_part_in_a_common_restart(self) -> None:
        supervisor = await self.family("one_for_all", diary := [], b="transient")
        await self.end(whereis("b"), NORMAL)
        diary.clear()
        await self.end(whereis("a"), KILLED)
        self.assertEqual([(label, "start") for label in "abcd"], diary[-4:])
        self.assertTrue((await self.rows(supervisor))["b"].is_alive())

    async def test_rule_24_siblings_that_end_at_the_same_time_are_restarted_once_for_all(self) -> None:
        supervisor = await self.family("one_for_all", diary := [])
        for label in "bd":
            exit(whereis(label), KILL)
        await until_idle()
        self.assertEqual([(label, "start") for label in "abcd"], [entry for entry in diary if entry[1] == "start"])
        self.assertEqual(9, intensity_left(supervisor))

    async def test_rule_24_siblings_that_end_at_the_same_time_are_each_restarted_one_for_one(self) -> None:
        supervisor = await self.family("one_for_one", diary := [])
        for label in "db":
            exit(whereis(label), KILL)
        await until_idle()
        self.assertEqual([("d", "start"), ("b", "start")], diary)
        self.assertEqual(8, intensity_left(supervisor))

    async def test_rule_24_an_end_that_a_common_restart_has_dealt_with_counts_no_second_time(self) -> None:
        supervisor = await self.family("rest_for_one", diary := [])
        for label in "bd":
            exit(whereis(label), KILL)
        await until_idle()
        self.assertEqual([(label, "start") for label in "bcd"], [entry for entry in diary if entry[1] == "start"])
        self.assertEqual(9, intensity_left(supervisor))

    async def test_rule_24_a_sibling_that_crashes_while_it_is_stopped_is_started_again_once(self) -> None:
        supervisor = await self.family("one_for_all", diary := [])

        def fail(reason: Any) -> None:
            raise ValueError("in terminate")

        await whereis("c").call(lambda me: setattr(me, "on_terminate", fail))
        await self.end(whereis("a"), KILLED)
        self.assertEqual([(label, "start") for label in "abcd"], diary[-4:])
        self.assertEqual(9, intensity_left(supervisor))

    async def test_rule_24_order_and_ids_stay_after_restarts(self) -> None:
        for how in STRATEGIES:
            with self.subTest(strategy=how):
                supervisor = await self.family(how, [])
                for label in "cab":
                    await self.end(whereis(label), KILLED)
                self.assertEqual(["d", "c", "b", "a"], [row.id for row in await which_children(supervisor)])
                await supervisor.stop()

    async def test_rule_24_a_restarted_child_gets_its_first_arguments_and_a_fresh_state(self) -> None:
        spec = ChildSpec("a", self.flavour(Probe), kwargs={"name": "a", "label": "first"})
        await self.supervise(spec)
        await whereis("a").call(lambda me: me.note("changed"))
        await self.end(whereis("a"), KILLED)
        self.assertEqual(("first", []), await whereis("a").call(lambda me: (me.label, me.state)))

    async def test_rule_24_messages_that_the_dead_child_had_not_read_are_gone(self) -> None:
        await self.supervise(self.child("a", diary := []))
        child = whereis("a")
        child.cast(returning(Stop("boom")))
        child.cast("unread")
        await self.dead(child)
        await until_idle()
        self.assertEqual([("a", "start"), ("a", "terminate", "boom"), ("a", "start")], diary)


class Rule24StrategiesOfAsyncChildren(Asynchronous, Rule24Strategies):
    pass
