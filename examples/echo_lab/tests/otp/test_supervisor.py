"""`Supervisor`: who is restarted when a child ends, and when it is too much."""

from __future__ import annotations

from echo_lab import Counter, Echo, EchoLab, WorkerSupervisor
from echo_lab.worker import Worker

from supertester import ChildSpec, IsolatedTestCase, StartFailed, Supervisor, UsageError
from supertester.otp import (
    KILL,
    SHUTDOWN,
    Crash,
    call,
    count_children,
    delete_child,
    exit,
    get_tree,
    intensity_left,
    restart_child,
    start_child,
    strategy,
    sys,
    terminate_child,
    until_idle,
    whereis,
    which_children,
)


async def killed_and_restarted(name: str) -> dict[str, bool]:
    """Kill the worker *name* and say which of the workers are new afterwards."""
    before = {each: whereis(each) for each in ("worker_a", "worker_b")}
    exit(name, KILL)
    await until_idle()
    return {each: whereis(each) is not pid for each, pid in before.items()}


class TestStrategies(IsolatedTestCase):
    async def test_one_for_one_restarts_who_ended(self) -> None:
        """one_for_one: only the child that ended is restarted."""
        await WorkerSupervisor.start_link("one_for_one")
        self.assertEqual(await killed_and_restarted("worker_a"), {"worker_a": True, "worker_b": False})

    async def test_one_for_all_restarts_all(self) -> None:
        """one_for_all: when one child ends, all are restarted."""
        await WorkerSupervisor.start_link("one_for_all")
        self.assertEqual(await killed_and_restarted("worker_b"), {"worker_a": True, "worker_b": True})

    async def test_rest_for_one_restarts_the_later_ones(self) -> None:
        """rest_for_one: the child that ended is restarted, and those that were started after it."""
        supervisor = await WorkerSupervisor.start_link("rest_for_one")
        self.assertEqual(strategy(supervisor), "rest_for_one")
        self.assertEqual(await killed_and_restarted("worker_b"), {"worker_a": False, "worker_b": True})
        self.assertEqual(await killed_and_restarted("worker_a"), {"worker_a": True, "worker_b": True})

    async def test_children_are_stopped_in_reverse(self) -> None:
        """Children start in order and are stopped in reverse, and each is told why."""
        journal = await Echo.start_link()
        supervisor = await WorkerSupervisor.start_link("one_for_one", journal)
        await supervisor.stop()
        self.assertEqual(await sys.get_state(journal), [("worker_b", SHUTDOWN), ("worker_a", SHUTDOWN)])

    async def test_a_restart_begins_afresh(self) -> None:
        """A restarted server has forgotten its state, and the error in it."""
        await Supervisor.start_link([ChildSpec("counter", Counter, args=(5,), kwargs={"name": "counter"})])
        await call("counter", ("add", 1))
        exit("counter", KILL)
        await until_idle()
        self.assertEqual(await call("counter", "value"), 5)

    async def test_restart_types(self) -> None:
        """Permanent always comes back, transient after a crash only, temporary never."""
        kinds = ("permanent", "transient", "temporary")
        children = [ChildSpec(kind, Counter, kwargs={"name": kind}, restart=kind) for kind in kinds]
        await Supervisor.start_link(children, max_restarts=10)
        for reason, back in ((SHUTDOWN, ["permanent"]), (Crash(ValueError()), ["permanent"])):
            with self.subTest(reason=reason):
                for kind in kinds:
                    exit(kind, reason)
                await until_idle()
                self.assertEqual([kind for kind in kinds if whereis(kind)], back)

    async def test_too_many_restarts_end_the_supervisor(self) -> None:
        """A supervisor that restarts more than max_restarts times in max_seconds gives up."""
        children = [ChildSpec("counter", Counter, kwargs={"name": "counter"})]
        supervisor = await Supervisor.start_link(children, max_restarts=2, max_seconds=60.0)
        for left in (1, 0):
            exit("counter", KILL)
            await until_idle()
            self.assertEqual(intensity_left(supervisor), left)
        exit("counter", KILL)
        await until_idle()
        self.assertEqual(supervisor.exit_reason, SHUTDOWN)
        self.assertIsNone(whereis("counter"))


class TestChildren(IsolatedTestCase):
    async def test_children_come_and_go(self) -> None:
        """A child can be added, stopped, started again and forgotten while the supervisor runs."""
        supervisor = await Supervisor.start_link([])
        counter = await start_child(supervisor, ChildSpec("counter", Counter, args=(5,)))
        self.assertEqual(await counter.call("value"), 5)
        await terminate_child(supervisor, "counter")
        self.assertFalse(counter.is_alive())
        again = await restart_child(supervisor, "counter")
        self.assertIsNot(again, counter)
        await terminate_child(supervisor, "counter")
        await delete_child(supervisor, "counter")
        self.assertEqual(await which_children(supervisor), [])

    async def test_a_child_that_does_not_start_is_no_child(self) -> None:
        """A child that fails to start is not kept, and the reason is its own."""
        supervisor = await Supervisor.start_link([])
        with self.assertRaises(StartFailed) as caught:
            await start_child(supervisor, ChildSpec("counter", Counter, args=(-1,)))
        self.assertEqual(caught.exception.reason, ("negative_start", -1))
        self.assertEqual((await count_children(supervisor))["specs"], 0)

    async def test_nonsense_is_refused_before_anything_starts(self) -> None:
        """Two children with one id, or a strategy that does not exist: refused, with the value."""
        twice = [ChildSpec("worker", Worker), ChildSpec("worker", Worker)]
        with self.assertRaisesRegex(UsageError, "'worker'"):
            await Supervisor.start_link(twice)
        with self.assertRaisesRegex(UsageError, "one_for_two"):
            await Supervisor.start_link([], strategy="one_for_two")


class TestTheTreeOfEchoLab(IsolatedTestCase):
    async def test_the_tree_can_be_shown(self) -> None:
        """The supervision tree can be read from the outside."""
        tree = await get_tree(await EchoLab.start_link(name="echo_lab"))
        names = [node.id for node in tree.children]
        self.assertEqual(tree.id, "echo_lab")
        self.assertEqual(names, ["rooms", "room_supervisor", "counter", "echo", "shards", "workers"])
        self.assertEqual([node.id for node in tree.children[-1].children], ["worker_a", "worker_b"])

    async def test_a_crash_deep_inside_stays_there(self) -> None:
        """When a worker crashes, its own supervisor restarts it and nobody else notices."""
        await EchoLab.start_link(5)
        await call("counter", ("add", 1))
        self.assertEqual(await killed_and_restarted("worker_a"), {"worker_a": True, "worker_b": False})
        self.assertEqual(await call("counter", "value"), 6)

    async def test_what_depends_on_the_rooms_starts_afresh_with_them(self) -> None:
        """When the registry of the rooms ends, whatever was started after it is restarted too."""
        await EchoLab.start_link(5)
        await call("counter", ("add", 1))
        exit("rooms", KILL)
        await until_idle()
        self.assertEqual(await call("counter", "value"), 5)
