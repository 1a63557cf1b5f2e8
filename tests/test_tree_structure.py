"""`check_supervision_tree_structure`: trees as they should be, and each way in which one can be wrong."""

from __future__ import annotations

from typing import Any

from supertester.errors import UsageError
from supertester.otp import KILL, ChildSpec, DynamicSupervisor, Supervisor, SupervisorSpec, start_child, terminate_child
from supertester.supervision import check_supervision_tree_structure as check
from tests.otp.support import RuntimeCase
from tests.subjects import Counter, Stubborn, counter_spec


class Workers(Supervisor):
    def init(self) -> Any:
        return SupervisorSpec(
            [counter_spec("first"), ChildSpec("second", Stubborn, restart="transient")], strategy="rest_for_one"
        )


class Root(Supervisor):
    def init(self) -> Any:
        cache = ChildSpec("cache", Counter, modules=[Counter, dict], shutdown=1.0)
        return SupervisorSpec([cache, ChildSpec("workers", Workers)], max_restarts=7)


WORKERS = {
    "supervisor": Workers,
    "strategy": "rest_for_one",
    "children": [("first", Counter), ("second", {"module": Stubborn, "restart": "transient", "type": "worker"})],
}
TREE = {"supervisor": Root, "strategy": "one_for_one", "children": [("cache", Counter), ("workers", WORKERS)]}


class TestStructure(RuntimeCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.supervisor = await Root.start_link(name="root")

    async def test_as_expected(self) -> None:
        self.assertIsNone(await check(self.supervisor, TREE))
        self.assertIsNone(await check("root", TREE))
        self.assertIsNone(await check(self.supervisor, {**TREE, "ordered": True, "max_restarts": 7, "max_seconds": 5}))
        children = [("workers", Workers), ("cache", {"modules": [Counter, dict], "shutdown": 1.0})]
        self.assertIsNone(await check(self.supervisor, {"children": children}))

    async def found(self, expected: Any) -> str:
        mismatch = await check(self.supervisor, expected)
        assert mismatch is not None
        self.assertIn("the supervision tree is not as expected:\n  ", str(mismatch))
        self.assertIn("Root one_for_one, <Pid", str(mismatch))
        self.assertIn("  'second': Stubborn, transient worker, <Pid", str(mismatch))
        return str(mismatch)

    async def test_each_difference_is_named(self) -> None:
        both = [("cache", Counter), ("workers", Workers)]
        for expected, message in (
            ({**TREE, "supervisor": Workers}, "the supervisor is a Root, expected Workers"),
            ({**TREE, "strategy": "one_for_all"}, "strategy is 'one_for_one', expected 'one_for_all'"),
            ({**TREE, "max_restarts": 3}, "max_restarts is 7, expected 3"),
            ({}, "it has 2 children, expected 0"),
            ({"children": both[:1]}, "not expected: 'workers'"),
            ({"children": [*both, ("log", Counter)]}, "missing: 'log'"),
            (
                {"children": both[::-1], "ordered": True},
                r"order is ['cache', 'workers'], expected ['workers', 'cache']",
            ),
            ({"children": [("cache", Stubborn), both[1]]}, "child 'cache' is of Counter, dict, expected Stubborn"),
            ({"children": [("cache", {"modules": [set]}), both[1]]}, "is of Counter, dict, expected set"),
            ({"children": [("cache", {"restart": "temporary"}), both[1]]}, "restart is 'permanent', expected 'temp"),
            ({"children": [("cache", {"type": "supervisor"}), both[1]]}, "type is 'worker', expected 'supervisor'"),
            ({"children": [("cache", {"shutdown": 5.0}), both[1]]}, "shutdown is 1.0, expected 5.0"),
            ({"children": [("cache", {"significant": True}), both[1]]}, "significant is False, expected True"),
            ({"children": [("cache", {"children": []}), both[1]]}, "child 'cache' is no supervisor"),
            (
                {"children": [both[0], ("workers", {**WORKERS, "strategy": "one_for_all"})]},
                "child 'workers': strategy is 'rest_for_one', expected 'one_for_all'",
            ),
            (
                {"children": [both[0], ("workers", {"children": [("first", Stubborn), ("second", Stubborn)]})]},
                "child 'workers' > 'first' is of Counter, expected Stubborn",
            ),
        ):
            with self.subTest(message):
                self.assertIn(message, await self.found(expected))

    async def test_all_differences_are_named_at_once(self) -> None:
        text = await self.found({"supervisor": Workers, "strategy": "one_for_all", "children": [("x", Counter)]})
        for part in ("expected Workers", "expected 'one_for_all'", "missing: 'x'", "not expected: 'cache', 'workers'"):
            self.assertIn(part, text)

    async def test_a_child_that_does_not_run(self) -> None:
        await terminate_child(self.supervisor, "workers")
        mismatch = await check(self.supervisor, TREE)
        self.assertIn("child 'workers' is undefined, so its children cannot be compared", str(mismatch))

    async def test_dynamic_children_go_by_the_ids_of_their_specs(self) -> None:
        pool = await DynamicSupervisor.start_link()
        await start_child(pool, counter_spec("job"))
        self.assertIsNone(await check(pool, {"supervisor": DynamicSupervisor, "children": [("job", Counter)]}))
        await start_child(pool, ChildSpec("job", Counter))
        mismatch = await check(pool, {"children": [("job", Counter)]})
        self.assertIn("it has 2 children, expected 1", str(mismatch))

    async def test_each_child_is_looked_for_once(self) -> None:
        """Twice the children make no more than twice the work."""
        compared = {count: await self.comparisons(count) for count in (20, 40)}
        self.assertLessEqual(compared[40], 2 * compared[20])

    async def comparisons(self, count: int) -> int:
        made = 0

        class Id:
            def __init__(self, number: int) -> None:
                self.number = number

            def __hash__(self) -> int:
                return self.number

            def __eq__(self, other: object) -> bool:
                nonlocal made
                made += 1
                return isinstance(other, Id) and other.number == self.number

        pool = await Supervisor.start_link([ChildSpec(Id(number), Counter) for number in range(count)])
        made = 0
        self.assertIsNone(await check(pool, {"children": [(Id(number), Counter) for number in range(count)]}))
        await pool.stop()
        return made

    async def test_what_is_expected_has_a_form(self) -> None:
        twice = [("a", Counter), ("a", Counter)]
        for expected, error, message in (
            (
                {"childs": []},
                UsageError,
                r"expected has the unknown key 'childs' \(did you mean 'children'\?\); the known",
            ),
            ({"children": twice}, UsageError, "expected has the child 'a' twice"),
            ({"children": [("a", {"restrat": 1})]}, UsageError, r"expected > 'a' has the unknown key 'restrat'"),
            ({"strategy": "all"}, UsageError, "a strategy is one of .* got 'all'"),
            ({"children": ["a"]}, TypeError, r"a child is \(id, class\) or \(id, mapping\), got 'a'"),
            ({"children": [("a", "Counter")]}, TypeError, "a class or a mapping is expected, got 'Counter'"),
            ({"children": iter(twice)}, TypeError, r"expected: children must be a list of \(id, class\)"),
            ({"children": {"a": Counter}}, TypeError, r"expected: children must be a list of \(id, class\)"),
            (Counter, TypeError, "expected must be a mapping"),
        ):
            with self.subTest(message), self.assertRaisesRegex(error, message):
                await check(self.supervisor, expected)  # type: ignore[arg-type]

    async def test_a_dead_supervisor_is_refused(self) -> None:
        self.supervisor.exit(KILL)
        with self.assertRaisesRegex(UsageError, "assert_supervision_tree_structure: .* is dead"):
            await check(self.supervisor, TREE)
