"""`DynamicSupervisor` and `Registry`: the rooms of EchoLab, which come and go."""

from __future__ import annotations

from echo_lab import Counter, EchoLab, Worker, close_room, open_room, say

from supertester import CallExit, ChildSpec, DynamicSupervisor, IsolatedTestCase, Registry, UsageError
from supertester.otp import KILL, NOPROC, Agent, call, count_children, start_child, sys, until_idle


class TestRooms(IsolatedTestCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await EchoLab.start_link()

    async def test_rooms_are_found_by_their_topic(self) -> None:
        """A room is started when it is opened, and found by its topic."""
        await open_room("python")
        await open_room("music")
        self.assertEqual(await say("python", "hello"), "python: hello")
        self.assertEqual(await say("music", "la la"), "music: la la")
        self.assertEqual(Registry.count("rooms"), 2)

    async def test_a_closed_room_is_gone(self) -> None:
        """When a room is closed, its topic is free at once."""
        await open_room("python")
        await close_room("python")
        self.assertEqual(Registry.lookup("rooms", "python"), [])
        with self.assertRaises(CallExit) as caught:
            await say("python", "anybody there?")
        self.assertEqual(caught.exception.reason, NOPROC)

    async def test_a_room_that_was_killed_opens_again(self) -> None:
        """A room that is killed is restarted, empty, under its topic."""
        room = await open_room("python")
        await say("python", "hello")
        room.exit(KILL)
        await until_idle()
        again = Registry.whereis("rooms", "python")
        self.assertIsNot(again, room)
        self.assertEqual((await sys.get_state(again))["said"], [])

    async def test_a_topic_has_one_room(self) -> None:
        """The key of a room is unique: a second room on the topic does not start."""
        room = await open_room("python")
        with self.assertRaisesRegex(Exception, "already_started"):
            await open_room("python")
        self.assertIs(Registry.whereis("rooms", "python"), room)

    async def test_a_room_notices_when_a_member_ends(self) -> None:
        """A room monitors its members, and forgets those that end."""
        room = await open_room("python")
        ada, bob = await Worker.start_link("ada"), await Worker.start_link("bob")
        await room.call(("join", ada))
        await room.call(("join", bob))
        ada.exit(KILL)
        self.assertEqual(await room.call("members"), [bob])


class TestDynamicSupervisor(IsolatedTestCase):
    async def test_the_number_of_children_can_be_bounded(self) -> None:
        """A supervisor that is full refuses another child, and says why."""
        supervisor = await DynamicSupervisor.start_link(max_children=1)
        await start_child(supervisor, ChildSpec("any", Counter))
        with self.assertRaises(UsageError) as caught:
            await start_child(supervisor, ChildSpec("any", Counter))
        self.assertEqual(caught.exception.reason, "max_children")
        self.assertEqual((await count_children(supervisor))["active"], 1)


class TestRegistry(IsolatedTestCase):
    async def test_a_key_can_have_many_processes(self) -> None:
        """In a registry with duplicate keys, a message goes to everyone under a key."""
        await Registry.start_link("duplicate", name="topics")
        tallies = [await Agent.start_link(0) for _ in range(3)]
        for agent in tallies:
            Registry.register("topics", "numbers", pid=agent)

        def tell(entries: list[tuple[object, object]]) -> None:
            for agent, _ in entries:
                Agent.cast(agent, lambda total: total + 7)

        Registry.dispatch("topics", "numbers", tell)
        self.assertEqual([await Agent.get(agent) for agent in tallies], [7, 7, 7])

    async def test_an_entry_ends_with_its_process(self) -> None:
        """A registered process that ends leaves the registry at once."""
        await Registry.start_link(name="names")
        counter = await Counter.start_link(5, name=Registry.via("names", "ours"))
        self.assertEqual(await call(Registry.via("names", "ours"), "value"), 5)
        counter.exit(KILL)
        self.assertEqual(Registry.lookup("names", "ours"), [])
