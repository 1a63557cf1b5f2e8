"""Rules 5 to 10: exit signals, links, monitors, parents, and how a death spreads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from supertester.errors import CallExit
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Pid,
    Shutdown,
    Stop,
    call,
    cast,
    demonitor,
    exit,
    flag_trap_exit,
    intercept,
    link,
    monitor,
    process_info,
    register,
    self_pid,
    send,
    send_after,
    sys,
    unlink,
    unregister,
    until_idle,
    whereis,
)
from tests.alone import alone
from tests.otp.support import Asynchronous, Probe, RuntimeCase, one_turn, raising, returning

OTHER_REASONS = ("boom", SHUTDOWN, Shutdown("term"), KILLED, NOPROC, Crash(ValueError("x")), ("tuple", 1), 42)


class Rule05ExitSignals(RuntimeCase):
    """The cells of the table: reason by whether the target traps."""

    async def test_rule_05_normal_is_ignored_by_a_server_that_does_not_trap(self) -> None:
        server = await self.start()
        exit(server, NORMAL)
        self.assertTrue(server.is_alive())
        self.assertEqual([], await self.diary_of(server))
        self.assertEqual("echo", await server.call("echo"))

    async def test_rule_05_normal_is_a_message_to_a_server_that_traps(self) -> None:
        server = await self.start(Probe, trap=True)
        exit(server, NORMAL)
        self.assertEqual([("info", Exit(self.root, NORMAL))], await self.diary_of(server))
        self.assertTrue(server.is_alive())

    async def test_rule_05_kill_ends_a_server_that_does_not_trap_without_terminate(self) -> None:
        server = await self.start(Probe, diary := [])
        exit(server, KILL)
        self.assertEqual(KILLED, server.exit_reason)
        await until_idle()
        self.assertEqual([], diary)

    async def test_rule_05_kill_ends_a_server_that_traps_without_terminate(self) -> None:
        server = await self.start(Probe, diary := [], trap=True)
        exit(server, KILL)
        self.assertEqual(KILLED, server.exit_reason)
        await until_idle()
        self.assertEqual([], diary)

    async def test_rule_05_another_reason_ends_a_server_that_does_not_trap_without_terminate(self) -> None:
        for reason in OTHER_REASONS:
            with self.subTest(reason=reason):
                server = await self.start(Probe, diary := [])
                exit(server, reason)
                self.assertEqual(reason, server.exit_reason)
                await until_idle()
                self.assertEqual([], diary)

    async def test_rule_05_another_reason_is_a_message_to_a_server_that_traps(self) -> None:
        server = await self.start(Probe, trap=True)
        for reason in OTHER_REASONS:
            exit(server, reason)
        expected = [("info", Exit(self.root, reason)) for reason in OTHER_REASONS]
        self.assertEqual(expected, await self.diary_of(server))
        self.assertTrue(server.is_alive())

    async def test_rule_05_the_method_of_a_pid_does_the_same(self) -> None:
        server, trapping = await self.start(), await self.start(Probe, trap=True)
        server.exit(NORMAL)
        self.assertTrue(server.is_alive())
        server.exit("boom")
        self.assertEqual("boom", server.exit_reason)
        trapping.exit("boom")
        self.assertEqual([("info", Exit(self.root, "boom"))], await self.diary_of(trapping))
        trapping.exit(KILL)
        self.assertEqual(KILLED, trapping.exit_reason)

    async def test_rule_05_the_message_names_the_sender(self) -> None:
        server, sender = await self.start(Probe, trap=True), await self.start()
        await sender.call(lambda _: exit(server, "boom"))
        self.assertEqual([("info", Exit(sender, "boom"))], await self.diary_of(server))

    async def test_rule_05_trapping_can_be_switched_on_and_off(self) -> None:
        server = await self.start()
        self.assertEqual(False, await server.call(lambda _: flag_trap_exit(True)))
        self.assertEqual(True, await server.call(lambda _: flag_trap_exit(True)))
        exit(server, "boom")
        self.assertTrue(server.is_alive())
        self.assertEqual(True, await server.call(lambda _: flag_trap_exit(False)))
        exit(server, "boom")
        self.assertEqual("boom", server.exit_reason)

    async def test_rule_05_a_server_ends_itself_with_normal(self) -> None:
        server = await self.start(Probe, diary := [])
        with self.exits(NORMAL):
            await server.call(lambda _: exit(self_pid(), NORMAL))
        self.assertEqual(NORMAL, server.exit_reason)
        self.assertEqual([], diary)

    async def test_rule_05_a_server_ends_itself_with_kill_or_another_reason(self) -> None:
        for reason, result in ((KILL, KILLED), ("boom", "boom")):
            with self.subTest(reason=reason):
                server = await self.start(Probe, diary := [])
                with self.exits(result):
                    await server.call(lambda _, reason=reason: exit(self_pid(), reason))
                self.assertEqual(result, server.exit_reason)
                self.assertEqual([], diary)

    async def test_rule_05_a_server_that_traps_gets_its_own_signal_as_a_message(self) -> None:
        for reason in (NORMAL, "boom"):
            with self.subTest(reason=reason):
                server = await self.start(Probe, trap=True)
                await server.call(lambda _, reason=reason: exit(self_pid(), reason))
                self.assertEqual([("info", Exit(server, reason))], await self.diary_of(server))

    async def test_rule_05_an_exit_does_not_queue_behind_unread_messages(self) -> None:
        server = await self.start(Probe, diary := [])
        for number in range(3):
            cast(server, number)
        exit(server, "boom")
        self.assertFalse(server.is_alive())
        self.assertEqual("boom", server.exit_reason)
        await until_idle()
        self.assertEqual([], diary)

    async def test_rule_05_an_exit_ends_a_handler_that_waits(self) -> None:
        for reason, result in ((KILL, KILLED), ("boom", "boom")):
            with self.subTest(reason=reason):
                server, gate, finished = await self.start(Probe, diary := []), asyncio.Event(), []

                async def handler(_: Any, gate: Any = gate, finished: Any = finished) -> None:
                    await gate.wait()
                    finished.append("not reached")

                server.cast(handler)
                await self.turn_until(lambda s=server: process_info(s).current_function, "the handler waits")
                exit(server, reason)
                self.assertEqual(result, server.exit_reason)
                gate.set()
                await until_idle()
                self.assertEqual(([], []), (finished, diary))

    async def test_rule_05_an_exit_ends_a_suspended_server(self) -> None:
        server = await self.start()
        await sys.suspend(server)
        exit(server, "boom")
        self.assertEqual("boom", server.exit_reason)

    async def test_rule_05_an_exit_to_a_dead_process_changes_nothing(self) -> None:
        server = await self.start()
        exit(server, "first")
        exit(server, "second")
        server.exit(KILL)
        self.assertEqual("first", server.exit_reason)

    async def test_rule_05_the_first_of_two_signals_counts(self) -> None:
        server = await self.start()
        exit(server, NORMAL)
        exit(server, "second")
        exit(server, KILL)
        self.assertEqual("second", server.exit_reason)


class Rule05ExitSignalsToAsyncServers(Asynchronous, Rule05ExitSignals):
    pass


class SignalCase(RuntimeCase):
    async def linked(self, one: Pid, other: Pid) -> None:
        await one.call(lambda _: link(other))


class Rule06Links(SignalCase):
    async def test_rule_06_a_link_works_in_both_directions(self) -> None:
        for victim, survivor in ((0, 1), (1, 0)):
            with self.subTest(victim=victim):
                pair = [await self.start(), await self.start()]
                await self.linked(*pair)
                exit(pair[victim], "boom")
                self.assertEqual("boom", pair[survivor].exit_reason)

    async def test_rule_06_links_show_on_both_sides_once(self) -> None:
        one, other = await self.start(), await self.start()
        await self.linked(one, other)
        await self.linked(one, other)
        await self.linked(other, one)
        self.assertEqual(([other], [one]), ([*process_info(one).links], [*process_info(other).links]))

    async def test_rule_06_linking_twice_is_linking_once(self) -> None:
        one, other = await self.start(Probe, trap=True), await self.start()
        await self.linked(one, other)
        await self.linked(other, one)
        exit(other, "boom")
        self.assertEqual([("info", Exit(other, "boom"))], await self.diary_of(one))

    async def test_rule_06_one_unlink_undoes_any_number_of_links(self) -> None:
        one, other = await self.start(), await self.start()
        await self.linked(one, other)
        await self.linked(one, other)
        await other.call(lambda _: unlink(one))
        self.assertEqual(((), ()), (process_info(one).links, process_info(other).links))
        exit(other, "boom")
        self.assertTrue(one.is_alive())

    async def test_rule_06_a_normal_end_is_ignored_by_a_link_that_does_not_trap(self) -> None:
        one, other = await self.start(), await self.start()
        await self.linked(one, other)
        await other.stop(NORMAL)
        self.assertEqual([], await self.diary_of(one))
        self.assertEqual((), process_info(one).links)

    async def test_rule_06_a_normal_end_is_a_message_to_a_link_that_traps(self) -> None:
        one, other = await self.start(Probe, trap=True), await self.start()
        await self.linked(one, other)
        await other.stop(NORMAL)
        self.assertEqual([("info", Exit(other, NORMAL))], await self.diary_of(one))

    async def test_rule_06_another_end_ends_a_link_that_does_not_trap_without_terminate(self) -> None:
        for reason in OTHER_REASONS:
            with self.subTest(reason=reason):
                one, other = await self.start(Probe, diary := []), await self.start()
                await self.linked(one, other)
                with self.exits(reason):
                    await other.call(returning(Stop(reason)))
                self.assertEqual(reason, one.exit_reason)
                await until_idle()
                self.assertEqual([], diary)

    async def test_rule_06_another_end_is_a_message_to_a_link_that_traps(self) -> None:
        for reason in OTHER_REASONS:
            with self.subTest(reason=reason):
                one, other = await self.start(Probe, trap=True), await self.start()
                await self.linked(one, other)
                with self.exits(reason):
                    await other.call(returning(Stop(reason)))
                self.assertEqual([("info", Exit(other, reason))], await self.diary_of(one))

    async def test_rule_06_a_crash_reaches_the_links_as_that_crash(self) -> None:
        one, other, error = await self.start(), await self.start(), ValueError("broken")
        await self.linked(one, other)
        with self.assertRaises(CallExit):
            await other.call(raising(error))
        self.assertIs(error, one.exit_reason.exception)

    async def test_rule_06_links_of_a_killed_process_see_killed(self) -> None:
        plain, trapping, victim = await self.start(), await self.start(Probe, trap=True), await self.start()
        await self.linked(plain, victim)
        await self.linked(trapping, victim)
        exit(victim, KILL)
        self.assertEqual(KILLED, plain.exit_reason)
        self.assertEqual([("info", Exit(victim, KILLED))], await self.diary_of(trapping))

    async def test_rule_06_a_link_signal_with_reason_kill_can_be_trapped_and_stays_kill(self) -> None:
        plain, trapping, victim = await self.start(), await self.start(Probe, trap=True), await self.start()
        await self.linked(plain, victim)
        await self.linked(trapping, victim)
        with self.exits(KILL):
            await victim.call(returning(Stop(KILL)))
        self.assertEqual(KILL, victim.exit_reason)
        self.assertEqual(KILL, plain.exit_reason)
        self.assertEqual([("info", Exit(victim, KILL))], await self.diary_of(trapping))
        self.assertTrue(trapping.is_alive())

    async def test_rule_06_a_death_runs_along_a_chain_until_somebody_traps(self) -> None:
        chain = [await self.start() for _ in range(4)]
        last = await self.start(Probe, trap=True)
        for one, other in zip(chain, [*chain[1:], last], strict=True):
            await self.linked(one, other)
        exit(chain[0], "boom")
        self.assertEqual(["boom"] * 4, [pid.exit_reason for pid in chain])
        self.assertEqual([("info", Exit(chain[-1], "boom"))], await self.diary_of(last))

    async def test_rule_06_a_ring_of_links_ends_too(self) -> None:
        ring = [await self.start() for _ in range(5)]
        for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
            await self.linked(one, other)
        exit(ring[2], "boom")
        self.assertEqual(["boom"] * 5, [pid.exit_reason for pid in ring])

    async def test_rule_06_a_link_to_oneself_means_nothing(self) -> None:
        server = await self.start()
        await self.linked(server, server)
        self.assertEqual((), process_info(server).links)
        exit(server, "boom")
        self.assertEqual("boom", server.exit_reason)

    async def test_rule_06_start_link_links(self) -> None:
        server = await self.start_link()
        self.assertEqual([self.root], [*process_info(server).links])
        exit(server, "boom")
        self.assertEqual(Exit(server, "boom"), await self.root.receive())

    async def test_rule_06_start_does_not_link(self) -> None:
        server = await self.start()
        self.assertEqual((), process_info(server).links)
        exit(server, "boom")
        self.assertEqual([], self.root.messages)


class Rule06LinksOfAsyncServers(Asynchronous, Rule06Links):
    pass


class Rule07LinksToTheDead(SignalCase):
    async def test_rule_07_linking_to_the_dead_is_a_noproc_message_to_one_who_traps(self) -> None:
        dead, one = await self.start(), await self.start(Probe, trap=True)
        exit(dead, "boom")
        await self.linked(one, dead)
        self.assertEqual([("info", Exit(dead, NOPROC))], await self.diary_of(one))
        link(dead)
        self.assertEqual([Exit(dead, NOPROC)], self.root.messages)

    async def test_rule_07_linking_to_the_dead_raises_noproc_for_one_who_does_not_trap(self) -> None:
        dead, one = await self.start(), await self.start()
        exit(dead, "boom")

        def try_it(_: Any) -> Any:
            try:
                link(dead)
            except CallExit as error:
                return error.reason

        self.assertEqual(NOPROC, await one.call(try_it))
        self.assertTrue(one.is_alive())
        self.assertEqual((), process_info(one).links)

    async def test_rule_07_linking_to_an_unknown_name_is_refused_and_shown(self) -> None:
        with self.assertRaises((ValueError, LookupError, CallExit)) as caught:
            link("nobody")
        self.assertIn("'nobody'", str(caught.exception))

    async def test_rule_07_after_unlink_nothing_arrives(self) -> None:
        one, trapping, other = await self.start(), await self.start(Probe, trap=True), await self.start()
        for pid in (one, trapping):
            await self.linked(pid, other)
            await pid.call(lambda _: unlink(other))
        exit(other, "boom")
        self.assertEqual([], await self.diary_of(one))
        self.assertEqual([], await self.diary_of(trapping))

    async def test_rule_07_unlinking_what_is_not_linked_or_dead_is_no_error(self) -> None:
        other = await self.start()
        unlink(other)
        exit(other, KILL)
        unlink(other)
        self.assertEqual([], self.root.messages)

    async def test_rule_07_a_link_can_be_made_again(self) -> None:
        one, other = await self.start(), await self.start()
        await self.linked(one, other)
        await one.call(lambda _: unlink(other))
        await self.linked(one, other)
        exit(other, "boom")
        self.assertEqual("boom", one.exit_reason)


class Rule07LinksOfAsyncServers(Asynchronous, Rule07LinksToTheDead):
    pass


class Rule08Monitors(RuntimeCase):
    async def test_rule_08_each_monitor_has_its_own_reference_and_its_own_down(self) -> None:
        server = await self.start()
        refs = [monitor(server) for _ in range(3)]
        self.assertEqual(3, len(set(refs)))
        exit(server, "boom")
        self.assertEqual([Down(ref, server, "boom") for ref in refs], self.root.messages)

    async def test_rule_08_a_down_comes_once(self) -> None:
        server = await self.start()
        monitor(server)
        exit(server, "boom")
        exit(server, KILL)
        await until_idle()
        self.assertEqual(1, len(self.root.messages))

    async def test_rule_08_a_down_shows_the_pid_or_the_name_that_was_monitored(self) -> None:
        server = await self.start(Probe, name="named")
        by_pid, by_name = monitor(server), monitor("named")
        exit(server, "boom")
        self.assertEqual([Down(by_pid, server, "boom"), Down(by_name, "named", "boom")], self.root.messages)

    async def test_rule_08_a_down_tells_every_reason(self) -> None:
        for reason, seen in ((NORMAL, NORMAL), (KILL, KILL), ("boom", "boom"), (Shutdown(1), Shutdown(1))):
            with self.subTest(reason=reason):
                server = await self.start()
                ref = monitor(server)
                server.cast(returning(Stop(reason)))
                self.assertEqual(Down(ref, server, seen), await self.root.receive())
        server = await self.start()
        ref = monitor(server)
        exit(server, KILL)
        self.assertEqual(Down(ref, server, KILLED), await self.root.receive())

    async def test_rule_08_a_down_reaches_handle_info(self) -> None:
        watcher, server = await self.start(), await self.start()
        ref = await watcher.call(lambda _: monitor(server))
        exit(server, "boom")
        self.assertEqual([("info", Down(ref, server, "boom"))], await self.diary_of(watcher))

    async def test_rule_08_a_dead_target_is_down_with_noproc_at_once(self) -> None:
        server = await self.start()
        exit(server, "boom")
        ref = monitor(server)
        self.assertEqual([Down(ref, server, NOPROC)], self.root.messages)

    async def test_rule_08_an_unknown_name_is_down_with_noproc_at_once(self) -> None:
        ref = monitor("nobody")
        self.assertEqual([Down(ref, "nobody", NOPROC)], self.root.messages)

    async def test_rule_08_a_watcher_and_its_target_do_not_harm_each_other(self) -> None:
        watcher, server = await self.start(), await self.start()
        await watcher.call(lambda _: monitor(server))
        exit(watcher, "boom")
        self.assertTrue(server.is_alive())
        self.assertEqual((), process_info(server).monitored_by)
        other = await self.start()
        await other.call(lambda _: monitor(server))
        exit(server, "boom")
        self.assertTrue(other.is_alive())

    async def test_rule_08_monitors_show_on_both_sides(self) -> None:
        watcher, server = await self.start(), await self.start()
        await watcher.call(lambda _: monitor(server))
        self.assertEqual([server], [*process_info(watcher).monitors])
        self.assertEqual([watcher], [*process_info(server).monitored_by])
        exit(server, KILL)
        self.assertEqual((), process_info(watcher).monitors)

    async def test_rule_08_demonitor_before_the_end_means_no_down(self) -> None:
        server = await self.start()
        kept, dropped = monitor(server), monitor(server)
        demonitor(dropped)
        exit(server, "boom")
        self.assertEqual([Down(kept, server, "boom")], self.root.messages)

    async def test_rule_08_demonitor_leaves_a_queued_down_and_flush_removes_it(self) -> None:
        server = await self.start()
        first, second, third = (monitor(server) for _ in range(3))
        exit(server, "boom")
        demonitor(first)
        demonitor(second, flush=True)
        self.assertEqual([first, third], [down.ref for down in self.root.messages])

    async def test_rule_08_demonitor_twice_or_after_a_flush_is_no_error(self) -> None:
        server = await self.start()
        ref = monitor(server)
        demonitor(ref)
        demonitor(ref, flush=True)
        exit(server, "boom")
        demonitor(ref, flush=True)
        self.assertEqual([], self.root.messages)

    async def test_rule_08_flush_removes_a_down_that_a_busy_watcher_has_not_read(self) -> None:
        watcher, server, gate = await self.start(), await self.start(), asyncio.Event()

        async def look_away(_: Any) -> None:
            ref = monitor(server)
            await gate.wait()
            demonitor(ref, flush=True)

        watcher.cast(look_away)
        await self.turn_until(lambda: process_info(server).monitored_by, "the monitor is set")
        exit(server, "boom")
        watcher.cast("after")
        gate.set()
        self.assertEqual([("cast", "after")], await self.diary_of(watcher))

    async def test_rule_08_a_monitor_by_name_belongs_to_the_process_that_had_the_name(self) -> None:
        first = await self.start(Probe, name="named")
        ref = monitor("named")
        unregister("named")
        second = await self.start(Probe, name="named")
        exit(second, "second")
        self.assertEqual([], self.root.messages)
        exit(first, "first")
        self.assertEqual([Down(ref, "named", "first")], self.root.messages)

    async def test_rule_08_the_dead_are_not_alive_and_nameless_before_anybody_hears_of_it(self) -> None:
        for how in (monitor, link):
            with self.subTest(how=how.__name__):
                server = await self.start(Probe, name="named")
                watcher = await self.start(Witness, server)
                await watcher.call(lambda _, how=how, server=server: how(server) and None)
                exit(server, "boom")
                self.assertEqual([(False, "boom", None, None, None)], await sys.get_state(watcher))

    async def test_rule_08_callbacks_at_the_end_see_the_dead_as_dead(self) -> None:
        for end in (lambda pid: exit(pid, "boom"), lambda pid: pid.cast(returning(Stop("boom")))):
            server, seen = await self.start(Probe, name="named"), []
            server.on_exit(lambda pid, seen=seen: seen.append(what_is_left_of(pid)))
            end(server)
            await self.dead(server)
            self.assertEqual([(False, "boom", None, None, None)], seen)

    async def test_rule_08_the_name_can_be_taken_by_whoever_hears_of_the_end(self) -> None:
        server = await self.start(Probe, name="named")
        heirs = []
        server.on_exit(lambda _: heirs.append(register(self.root, "named")))
        exit(server, "boom")
        self.assertIs(self.root, whereis("named"))

    async def test_rule_08_a_failed_caller_finds_the_name_free(self) -> None:
        server = await self.start(Probe, name="named")
        with self.exits("enough"):
            await server.call(returning(Stop("enough")))
        self.assertEqual((False, None), (server.is_alive(), whereis("named")))

    async def test_rule_08_on_exit_of_a_dead_process_calls_at_once_and_can_be_taken_back(self) -> None:
        server, seen = await self.start(), []
        forget = server.on_exit(lambda _: seen.append("forgotten"))
        server.on_exit(lambda _: seen.append("called"))
        forget()
        exit(server, "boom")
        server.on_exit(lambda pid: seen.append(pid.exit_reason))
        self.assertEqual(["called", "boom"], seen)


def what_is_left_of(pid: Pid) -> tuple[Any, ...]:
    return pid.is_alive(), pid.exit_reason, whereis("named"), process_info(pid), process_info("named")


class Witness(Probe):
    """Looks at a process when it hears of its end."""

    def init(self, target: Pid) -> Any:  # type: ignore[override]
        super().init(trap=True)
        self.target = target
        return self.diary

    def handle_info(self, message: Any) -> Any:
        self.diary.append(what_is_left_of(self.target))


class Rule08MonitorsOfAsyncServers(Asynchronous, Rule08Monitors):
    pass


class Rule09Parents(RuntimeCase):
    async def test_rule_09_an_exit_from_the_parent_terminates_one_who_traps(self) -> None:
        for reason in ("boom", SHUTDOWN, Shutdown("term"), NORMAL):
            with self.subTest(reason=reason):
                child = await self.start_link(Probe, diary := [], trap=True)
                exit(child, reason)
                self.assertEqual(reason, await self.dead(child))
                self.assertEqual([("terminate", reason)], diary)

    async def test_rule_09_the_death_of_the_parent_terminates_one_who_traps(self) -> None:
        parent = await self.start()
        child = await self.start_under(parent, Probe, diary := [], trap=True)
        exit(parent, "boom")
        self.assertEqual("boom", await self.dead(child))
        self.assertEqual([("terminate", "boom")], diary)

    async def test_rule_09_a_killed_parent_terminates_one_who_traps_with_killed(self) -> None:
        parent = await self.start()
        child = await self.start_under(parent, Probe, diary := [], trap=True)
        exit(parent, KILL)
        self.assertEqual(KILLED, await self.dead(child))
        self.assertEqual([("terminate", KILLED)], diary)

    async def test_rule_09_a_normal_end_of_the_parent_terminates_one_who_traps(self) -> None:
        parent = await self.start()
        child = await self.start_under(parent, Probe, diary := [], trap=True)
        await parent.stop()
        self.assertEqual(NORMAL, await self.dead(child))
        self.assertEqual([("terminate", NORMAL)], diary)

    async def test_rule_09_a_parent_ends_one_who_does_not_trap_without_terminate(self) -> None:
        child = await self.start_link(Probe, diary := [])
        exit(child, "boom")
        self.assertEqual("boom", child.exit_reason)
        self.assertEqual([], diary)

    async def test_rule_09_an_exit_from_anyone_else_goes_to_handle_info(self) -> None:
        parent, stranger = await self.start(), await self.start()
        child = await self.start_under(parent, Probe, diary := [], trap=True)
        exit(child, "from the root")
        await stranger.call(lambda _: exit(child, "from a stranger"))
        await child.call(lambda _: link(stranger))
        exit(stranger, "link")
        await until_idle()
        seen = [Exit(self.root, "from the root"), Exit(stranger, "from a stranger"), Exit(stranger, "link")]
        self.assertEqual([("info", message) for message in seen], diary)
        self.assertTrue(child.is_alive())

    async def test_rule_09_who_only_started_a_process_is_not_its_parent(self) -> None:
        server = await self.start(Probe, diary := [], trap=True)
        link(server)
        exit(server, "boom")
        await until_idle()
        self.assertEqual([("info", Exit(self.root, "boom"))], diary)
        self.assertTrue(server.is_alive())

    async def test_rule_09_the_messages_before_the_exit_are_handled_first(self) -> None:
        child = await self.start_link(Probe, diary := [], trap=True)
        for number in range(3):
            cast(child, number)
        exit(child, "boom")
        cast(child, "after")
        await self.dead(child)
        self.assertEqual([("cast", 0), ("cast", 1), ("cast", 2), ("terminate", "boom")], diary)

    async def test_rule_09_a_suspended_child_obeys_its_parent_too(self) -> None:
        child = await self.start_link(Probe, diary := [], trap=True)
        await sys.suspend(child)
        exit(child, SHUTDOWN)
        self.assertEqual(SHUTDOWN, await self.dead(child))
        self.assertEqual([("terminate", SHUTDOWN)], diary)


class Rule09ParentsOfAsyncServers(Asynchronous, Rule09Parents):
    pass


class Rule10OrderAndPropagation(RuntimeCase):
    async def test_rule_10_messages_of_one_sender_arrive_in_order(self) -> None:
        server = await self.start(Probe, diary := [])

        async def talk(_: Any) -> None:
            for number in range(50):
                cast(server, number)
                send(server, number)
                if number % 10 == 0:
                    await server.call(lambda me, number=number: me.note("call", number))

        await (await self.start()).call(talk)
        await until_idle()
        expected = []
        for number in range(50):
            expected += [("cast", number), ("info", number)]
            if number % 10 == 0:
                expected.append(("call", number))
        self.assertEqual(expected, diary)

    async def test_rule_10_messages_of_several_senders_keep_each_senders_order(self) -> None:
        server = await self.start(Probe, diary := [])

        def talk(name: str) -> Callable[[Any], Any]:
            async def say(_: Any) -> None:
                for number in range(30):
                    cast(server, (name, number))
                    await one_turn()

            return say

        for name in "abc":
            (await self.start()).cast(talk(name))
        await until_idle()
        for name in "abc":
            self.assertEqual([("cast", (name, n)) for n in range(30)], [e for e in diary if e[1][0] == name])

    async def test_rule_10_a_signal_and_messages_of_one_sender_arrive_in_order(self) -> None:
        server = await self.start(Probe, trap=True)
        cast(server, 1)
        exit(server, "boom")
        send(server, 2)
        expected = [("cast", 1), ("info", Exit(self.root, "boom")), ("info", 2)]
        self.assertEqual(expected, await self.diary_of(server))

    @alone("so big that nothing else gets its turn")
    async def test_rule_10_a_chain_of_5000_linked_processes_ends_without_recursion(self) -> None:
        chain = [await self.start(Linked, None)]
        for _ in range(4_999):
            chain.append(await self.start(Linked, chain[-1]))
        link(chain[-1])
        exit(chain[0], "boom")
        self.assertEqual({"boom"}, {pid.exit_reason for pid in chain})
        self.assertEqual([Exit(chain[-1], "boom")], self.root.messages)

    @alone("so big that nothing else gets its turn")
    async def test_rule_10_a_star_of_5000_linked_processes_ends_without_recursion(self) -> None:
        centre = await self.start(Linked, None)
        rays = [await self.start(Linked, centre) for _ in range(5_000)]
        for pid in rays:
            monitor(pid)
        exit(rays[2_500], "boom")
        self.assertEqual({"boom"}, {pid.exit_reason for pid in [centre, *rays]})
        self.assertEqual(5_000, len(self.root.messages))

    async def test_rule_10_a_callback_that_fails_does_not_keep_the_news_from_the_others(self) -> None:
        server, linked, seen = await self.start(), await self.start(), []
        await linked.call(lambda _: link(server))
        server.on_exit(lambda _: 1 / 0)
        server.on_exit(lambda _: seen.append("second callback"))
        ref = monitor(server)
        exit(server, "boom")
        self.assertEqual("boom", linked.exit_reason)
        self.assertEqual([Down(ref, server, "boom")], self.root.messages)
        self.assertEqual(["second callback"], seen)
        self.assertEqual([ZeroDivisionError], [type(context["exception"]) for context in self.loop_errors])
        self.loop_errors.clear()

    async def test_rule_10_an_interceptor_that_fails_does_not_keep_the_news_from_the_others(self) -> None:
        server = await self.start()
        first, second = await self.start(Probe, trap=True), await self.start(Probe, trap=True)
        for watcher in (first, second):
            await watcher.call(lambda _: link(server))
        with intercept(first, lambda _: 1 / 0):
            exit(server, "boom")
        self.assertEqual([("info", Exit(server, "boom"))], await self.diary_of(second))
        self.assertEqual("boom", server.exit_reason)
        self.loop_errors.clear()

    async def test_rule_10_a_callback_may_kill_others_and_start_new_signals(self) -> None:
        first, second, third = [await self.start() for _ in range(3)]
        first.on_exit(lambda _: exit(second, "next"))
        second.on_exit(lambda _: exit(third, "last"))
        ref = monitor(third)
        exit(first, "boom")
        self.assertEqual(["boom", "next", "last"], [pid.exit_reason for pid in (first, second, third)])
        self.assertEqual([Down(ref, third, "last")], self.root.messages)


class Linked(Probe):
    def init(self, other: Pid | None) -> Any:  # type: ignore[override]
        if other is not None:
            link(other)


class Rule10OrderWithAsyncServers(Asynchronous, Rule10OrderAndPropagation):
    pass


class Rule10TheDoomed(RuntimeCase):
    """A process killed by its own action runs on until its next runtime call or the end of its handler."""

    async def test_rule_10_the_result_of_a_doomed_handler_is_discarded(self) -> None:
        for reason, result in ((KILL, KILLED), ("boom", "boom")):
            with self.subTest(reason=reason):
                server = await self.start()

                def end_yourself(me: Any, reason: Any = reason) -> str:
                    exit(me.pid, reason)
                    return "a reply that nobody gets"

                with self.exits(result):
                    await server.call(end_yourself)
                self.assertEqual(result, server.exit_reason)

    async def test_rule_10_a_doomed_process_is_dead_for_everybody_at_once(self) -> None:
        server, seen = await self.start(Probe, name="named"), []

        def end_yourself(me: Any) -> None:
            exit(me.pid, KILL)
            seen.extend([me.pid.is_alive(), me.pid.exit_reason, "named" in self.rt.names, me.pid in self.rt.processes])

        server.cast(end_yourself)
        self.assertEqual(KILLED, await self.dead(server))
        await until_idle()
        self.assertEqual([False, KILLED, False, False], seen)

    async def test_rule_10_a_process_killed_by_a_link_that_it_broke_itself_is_doomed_too(self) -> None:
        server, other = await self.start(), await self.start()
        await server.call(lambda _: link(other))

        def break_link(_: Any) -> str:
            exit(other, "boom")
            return "a reply that nobody gets"

        with self.exits("boom"):
            await server.call(break_link)
        self.assertEqual(("boom", "boom"), (server.exit_reason, other.exit_reason))

    async def test_rule_10_a_doomed_process_ends_at_its_next_runtime_call(self) -> None:
        bystander = await self.start(Probe, trap=True)
        calls: dict[str, Callable[[], Any]] = {
            "self_pid": self_pid,
            "link": lambda: link(bystander),
            "unlink": lambda: unlink(bystander),
            "monitor": lambda: monitor(bystander),
            "flag_trap_exit": flag_trap_exit,
            "exit": lambda: exit(bystander, "signal of a dead process"),
            "cast": lambda: cast(bystander, "cast of a dead process"),
            "send": lambda: send(bystander, "message of a dead process"),
            "send_after": lambda: send_after(bystander, "timer of a dead process", 0.0),
            "register": lambda: register(bystander, "name by a dead process"),
        }
        for what, function in calls.items():
            with self.subTest(what):
                server, diary = await self.start(), []

                def end_yourself(me: Any, function: Any = function, diary: Any = diary) -> None:
                    exit(me.pid, KILL)
                    diary.append("runs on")
                    function()
                    diary.append("after a runtime call")

                with self.exits(KILLED):
                    await server.call(end_yourself)
                await until_idle()
                self.assertEqual(["runs on"], diary)
        self.clock.advance(1.0)
        self.assertEqual([], await self.diary_of(bystander))
        self.assertIsNone(process_info(bystander).registered_name)

    async def test_rule_10_a_doomed_process_ends_at_its_next_awaited_runtime_call(self) -> None:
        bystander = await self.start()
        calls: dict[str, Callable[[], Any]] = {
            "call": lambda: call(bystander, lambda me: me.note("call of a dead process")),
            "start": lambda: Probe.start(name="started"),
            "start_link": lambda: Probe.start_link(name="started"),
            "sync": lambda: sys.sync(bystander),
        }
        for what, function in calls.items():
            with self.subTest(what):
                server, diary = await self.start(), []

                async def end_yourself(me: Any, function: Any = function, diary: Any = diary) -> None:
                    exit(me.pid, KILL)
                    diary.append("runs on")
                    await function()
                    diary.append("after a runtime call")

                with self.exits(KILLED):
                    await server.call(end_yourself)
                await until_idle()
                self.assertEqual(["runs on"], diary)
                self.assertIsNone(whereis("started"))
        self.assertEqual([], await self.diary_of(bystander))

    async def test_rule_10_except_exception_does_not_save_the_doomed(self) -> None:
        server, diary = await self.start(), []

        def resist(me: Any) -> str:
            exit(me.pid, KILL)
            try:
                link(self.root)
            except Exception:  # noqa: BLE001
                diary.append("caught")
            return "saved"

        with self.exits(KILLED):
            await server.call(resist)
        self.assertEqual([], diary)

    async def test_rule_10_the_doomed_handle_no_further_message_and_do_not_terminate(self) -> None:
        server = await self.start(Probe, diary := [])
        server.cast(lambda me: exit(me.pid, "boom"))
        cast(server, "next")
        await self.dead(server)
        await until_idle()
        self.assertEqual([], diary)

    async def test_rule_10_an_exception_of_the_doomed_does_not_change_the_reason(self) -> None:
        server = await self.start(Probe, diary := [])

        def fail(me: Any) -> None:
            exit(me.pid, KILL)
            raise ValueError("too late")

        with self.exits(KILLED):
            await server.call(fail)
        self.assertEqual((KILLED, []), (server.exit_reason, diary))

    async def test_rule_10_a_process_can_end_itself_in_init(self) -> None:
        with self.does_not_start("boom"):
            await self.start(Suicidal, "boom")
        self.assertEqual([], [pid for pid in self.rt.processes if pid is not self.root])


class Suicidal(Probe):
    def init(self, reason: Any) -> Any:  # type: ignore[override]
        exit(self_pid(), reason)
        return super().init()


class Rule10TheDoomedOfAsyncServers(Asynchronous, Rule10TheDoomed):
    pass
