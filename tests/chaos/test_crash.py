"""`inject_crash`: what was asked for, what was sent, and what became of the target."""

from __future__ import annotations

import json
from typing import Any

from supertester.chaos import inject_crash, journaled
from supertester.errors import UsageError
from supertester.otp import KILL, KILLED, NORMAL, Exit
from tests.otp.support import RuntimeCase, one_turn
from tests.subjects import Counter, Stubborn


class TestInjectCrash(RuntimeCase):
    async def test_at_once(self) -> None:
        server = await Counter.start(name="it")
        injection = await inject_crash("it", "immediate")
        self.assertEqual((injection.fired, injection.died, injection.reason), (True, True, "chaos_injection"))
        self.assertIs(injection.target, server)

    async def test_with_a_reason_of_ones_own(self) -> None:
        injection = await inject_crash(await Counter.start(), "immediate", reason=KILL)
        self.assertEqual(injection.reason, KILLED)

    async def test_a_target_that_traps_exits_survives_and_the_injection_says_so(self) -> None:
        server = await Stubborn.start()
        injection = await inject_crash(server, "immediate")
        await one_turn()
        self.assertEqual((injection.fired, injection.died, injection.reason), (True, False, None))
        server.exit(KILL)
        self.assertTrue(injection.died)

    async def test_a_normal_exit_is_ignored_by_the_target(self) -> None:
        injection = await inject_crash(await Counter.start_link(), "immediate", reason=NORMAL)
        self.assertEqual((injection.fired, injection.died), (True, False))

    async def test_it_comes_from_nobody(self) -> None:
        seen: list[Any] = []

        class Listener(Stubborn):
            def handle_info(self, message: Any) -> None:
                seen.append(message)

        server = await Listener.start_link()
        await inject_crash(server, "immediate")
        await server.call("value")
        self.assertEqual(seen, [Exit(None, "chaos_injection")])

    async def test_later(self) -> None:
        injection = await inject_crash(await Counter.start(), ("after_ms", 50))
        self.assertEqual((injection.fired, injection.died), (False, False))
        self.clock.advance(0.049)
        self.assertFalse(injection.fired)
        self.clock.advance(0.001)
        self.assertEqual((await injection).reason, "chaos_injection")

    async def test_one_that_comes_later_stands_in_the_journal_whoever_lets_the_time_pass(self) -> None:
        server = await Counter.start()
        with journaled() as journal:
            await inject_crash(server, ("after_ms", 5))
        self.clock.advance(0.005)
        self.assertEqual([(server, 5.0)], [(event.target, round(event.at_ms, 3)) for event in journal.events])

    async def test_later_not_into_one_that_has_died_before(self) -> None:
        server = await Counter.start()
        injection = await inject_crash(server, ("after_ms", 50))
        server.exit("first")
        self.clock.advance(1)
        self.assertEqual(((await injection).fired, injection.died, injection.reason), (False, False, "first"))
        self.assertIsNone(self.clock.next_timer())

    async def test_it_can_be_called_off(self) -> None:
        server = await Counter.start_link()
        injection = await inject_crash(server, ("after_ms", 50))
        injection.cancel()
        injection.cancel()
        self.clock.advance(1)
        self.assertFalse((await injection).fired)
        self.assertTrue(server.is_alive())

    async def test_by_chance(self) -> None:
        server = await Counter.start_link()
        self.assertFalse((await inject_crash(server, ("random", 0.0))).fired)
        fired = [(await inject_crash(await Counter.start(), ("random", 0.5), seed=seed)).fired for seed in range(20)]
        self.assertEqual(set(fired), {True, False})
        again = [(await inject_crash(await Counter.start(), ("random", 0.5), seed=seed)).fired for seed in range(20)]
        self.assertEqual(fired, again)
        self.assertTrue((await inject_crash(server, ("random", 1))).died)

    async def test_nonsense_is_refused_and_nothing_is_done(self) -> None:
        server = await Counter.start_link()
        for spec, error, message in (
            ("soon", UsageError, r'a crash comes "immediate", .*; got \'soon\''),
            (("after_ms", -1), UsageError, "after_ms must be 0 or more milliseconds, got after_ms=-1"),
            (("after_ms", "1"), TypeError, "after_ms must be a number of milliseconds"),
            (("random", 1.5), UsageError, "probability must be from 0 to 1, got probability=1.5"),
            (("random", "x"), TypeError, "probability must be a number, got probability='x'"),
        ):
            with self.subTest(spec), self.assertRaisesRegex(error, message):
                await inject_crash(server, spec)
        self.assertTrue(server.is_alive())
        with self.assertRaisesRegex(UsageError, "inject_crash: no process is registered as 'nobody'"):
            await inject_crash("nobody", "immediate")

    async def test_is_noted_and_shown(self) -> None:
        with journaled() as outer, journaled() as inner:
            self.clock.advance(0.5)
            injection = await inject_crash(await Counter.start(), "immediate")
        self.assertEqual(outer.events, inner.events)
        [event] = outer.events
        self.assertEqual((event.fault, event.at_ms), ("crash", 500.0))
        self.assertIn("500.0 ms: crash hit <Pid", str(event))
        self.assertEqual(json.loads(json.dumps([event.to_dict(), injection.to_dict()]))[1]["died"], True)
        self.assertIn("fired, died", repr(injection))
