"""The trace of supervision: every event, in order, with the true reason."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from supertester.errors import UsageError, WaitTimeout
from supertester.otp import (
    KILL,
    KILLED,
    SHUTDOWN,
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Supervisor,
    SupervisorSpec,
    exit,
    start_child,
    terminate_child,
    until_idle,
    whereis,
)
from supertester.supervision import trace_supervision_events
from tests.otp.support import RuntimeCase
from tests.subjects import Counter, counter_spec, team


class SlowToStart(GenServer):
    """Takes until its gate opens, from the second start on."""

    async def init(self, gate: asyncio.Event, starts: list[int]) -> None:
        starts.append(1)
        if len(starts) > 1:
            await gate.wait()


class SlowTeam(Supervisor):
    """Takes until its gate opens."""

    async def init(self, begun: asyncio.Event, gate: asyncio.Event) -> Any:
        begun.set()
        await gate.wait()
        return SupervisorSpec([counter_spec("late")])


def brief(events: Any) -> list[Any]:
    return [(type(event).__name__.removeprefix("Child"), event.id, event.reason) for event in events]


class TestTrace(RuntimeCase):
    async def test_as_a_context_manager(self) -> None:
        supervisor = await team("a", "b")
        first = whereis("a")
        async with trace_supervision_events(supervisor) as trace:
            self.clock.advance(2.0)
            whereis("a").exit(KILL)  # type: ignore[union-attr]
        self.assertEqual(brief(trace.events), [("Terminated", "a", KILLED), ("Restarted", "a", KILLED)])
        ended, restarted = trace.events
        self.assertEqual((ended.pid, restarted.pid, restarted.old_pid), (first, whereis("a"), first))  # type: ignore[attr-defined]
        self.assertEqual((ended.at, ended.supervisor), (self.clock.time(), supervisor))

    async def test_until_it_is_stopped(self) -> None:
        supervisor = await team("a")
        trace = await trace_supervision_events(supervisor)
        for reason in ("planned", SHUTDOWN, "planned"):
            whereis("a").exit(reason)  # type: ignore[union-attr]
            await until_idle()
        events = await trace.stop()
        reasons = ["planned", "planned", SHUTDOWN, SHUTDOWN, "planned", "planned"]
        self.assertEqual([event.reason for event in events], reasons)
        whereis("a").exit(KILL)  # type: ignore[union-attr]
        await until_idle()
        self.assertEqual(await trace.stop(), events)

    async def test_what_a_strategy_takes_along(self) -> None:
        supervisor = await team("a", "b", strategy="one_for_all")
        async with trace_supervision_events(supervisor) as trace:
            whereis("b").exit("bug")  # type: ignore[union-attr]
        wanted = [
            ("Terminated", "b", "bug"),
            ("Terminated", "a", SHUTDOWN),
            ("Restarted", "a", SHUTDOWN),
            ("Restarted", "b", "bug"),
        ]
        self.assertEqual(brief(trace.events), wanted)

    async def test_requests(self) -> None:
        pool = await DynamicSupervisor.start_link()
        async with trace_supervision_events(pool) as trace:
            child = await start_child(pool, ChildSpec("job", Counter))
            await terminate_child(pool, child)
        self.assertEqual(brief(trace.events), [("Started", "job", None), ("Terminated", "job", SHUTDOWN)])

    async def test_nested_supervisors_those_included_that_start_meanwhile(self) -> None:
        inner = ChildSpec("inner", Supervisor, args=([counter_spec("x")],), kwargs={"name": "inner"})
        outer = await Supervisor.start_link([inner])
        async with trace_supervision_events(outer) as trace:
            whereis("x").exit("bug")  # type: ignore[union-attr]
            await until_idle()
            whereis("inner").exit(KILL)  # type: ignore[union-attr]
            await until_idle()
            whereis("x").exit("late")  # type: ignore[union-attr]
        wanted = [
            ("Terminated", "x", "bug"),
            ("Restarted", "x", "bug"),
            ("Terminated", "inner", KILLED),
            ("Started", "x", None),
            ("Restarted", "inner", KILLED),
            ("Terminated", "x", "late"),
            ("Restarted", "x", "late"),
        ]
        self.assertEqual(brief(trace.events), wanted)
        whereis("x").exit("unheard")  # type: ignore[union-attr]
        await until_idle()
        self.assertEqual(len(trace.events), len(wanted))

    async def test_a_supervisor_that_gives_up(self) -> None:
        supervisor = await team("a", "b", max_restarts=0)
        async with trace_supervision_events(supervisor) as trace:
            whereis("a").exit("bug")  # type: ignore[union-attr]
        wanted = [("Terminated", "a", "bug"), ("LimitExceeded", None, SHUTDOWN), ("Terminated", "b", SHUTDOWN)]
        self.assertEqual(brief(trace.events), wanted)
        self.assertEqual(trace.events[1].pid, supervisor)
        self.assertIn("gives up", str(trace.events[1]))

    async def test_two_at_once(self) -> None:
        supervisor = await team("a")
        async with trace_supervision_events(supervisor) as outer:
            async with trace_supervision_events(supervisor) as inner:
                whereis("a").exit(KILL)  # type: ignore[union-attr]
            whereis("a").exit(KILL)  # type: ignore[union-attr]
        self.assertEqual((len(inner.events), len(outer.events)), (2, 4))

    async def test_events_as_text_and_json(self) -> None:
        supervisor = await team("a")
        async with trace_supervision_events(supervisor) as trace:
            whereis("a").exit(OSError("disk"))  # type: ignore[union-attr]
        self.assertIn("'a' terminated", str(trace.events[0]))
        self.assertIn("restarted as", str(trace.events[1]))
        data = json.loads(json.dumps([event.to_dict() for event in trace.events]))
        self.assertEqual((data[0]["event"], data[0]["reason"]), ("ChildTerminated", "OSError('disk')"))

    async def test_the_body_comes_first(self) -> None:
        supervisor = await team("a")
        with self.assertRaisesRegex(OSError, "planted"):
            async with trace_supervision_events(supervisor):
                raise OSError("planted")
        self.assertEqual(supervisor.server.listeners, [])

    async def test_a_supervisor_that_does_not_come_to_it_is_named(self) -> None:
        gate, starts = asyncio.Event(), list[int]()
        spec = ChildSpec("slow", SlowToStart, args=(gate, starts), kwargs={"name": "slow"})
        supervisor = await Supervisor.start_link([spec], name="sup")
        trace = await trace_supervision_events(supervisor)
        whereis("slow").exit(KILL)  # type: ignore[union-attr]
        with self.assertRaisesRegex(WaitTimeout, "sup.* did not get through its messages within 0 s.*lack its last"):
            await trace.stop(timeout=0)
        gate.set()

    async def test_what_is_no_supervisor_is_refused(self) -> None:
        await team("a")
        for wrong, message in (("a", "is no supervisor"), ("nobody", "no process is registered as 'nobody'")):
            with self.assertRaisesRegex(UsageError, f"trace_supervision_events: .*{message}|{message}"):
                await trace_supervision_events(wrong)

    async def test_a_supervisor_that_was_starting_when_the_trace_began(self) -> None:
        pool, begun, gate = await DynamicSupervisor.start_link(), asyncio.Event(), asyncio.Event()
        starting = asyncio.create_task(start_child(pool, ChildSpec("team", SlowTeam, args=(begun, gate))))
        await begun.wait()
        async with trace_supervision_events(pool) as trace:
            gate.set()
            await starting
            exit("late", KILL)
        wanted = [("Started", "late", None), ("Started", "team", None), ("Terminated", "late", KILLED)]
        self.assertEqual([*wanted, ("Restarted", "late", KILLED)], brief(trace.events))
