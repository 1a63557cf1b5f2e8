"""How servers in processes of their own end: with the true reason, seen by all who are tied to them, and whole."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from supertester import ChaosMixin, OTPAssertions
from supertester.case import IsolatedTestCase
from supertester.errors import CallExit, Unsupported
from supertester.otp import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Agent,
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    Exit,
    Supervisor,
    count_children,
    demonitor,
    exit,
    intensity_left,
    intercept,
    link,
    monitor,
    process_info,
    start_child,
    sys,
    unlink,
    whereis,
    which_children,
)
from supertester.targets import ProcessTarget, RemoteCrash, check_target_contract, os_child_spec
from supertester.targets.tree import living
from supertester.testing import failure_of
from tests.targets.os_servers import PATIENCE, Careful, Counter, start

PLANS: list[tuple[Any, Any]] = [
    (("kill", signal.SIGKILL), "signal SIGKILL"),
    (("kill", signal.SIGSEGV), "signal SIGSEGV"),
    (("exit", 3), "exit status 3"),
    (("exit", 0), NORMAL),
    (("raise", ValueError("boom")), Crash(ValueError("boom"))),
    ("system exit", Crash(SystemExit(3))),
]


def left(*pids: int) -> list[Any]:
    """Return who of these runs a minute later at the most: who was killed takes a moment to end."""
    import psutil

    return living(psutil.wait_procs(living(of_processes(*pids)), timeout=PATIENCE)[1])


def of_processes(*pids: int) -> list[Any]:
    import psutil

    found = []
    for pid in pids:
        try:
            found.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    return found


class TestReasons(OTPAssertions, IsolatedTestCase):
    async def test_are_true_for_callers_links_and_monitors(self) -> None:
        root = self.isolation.root
        for request, reason in PLANS:
            with self.subTest(reason=reason):
                server = await start()
                ref = monitor(server)
                in_flight = asyncio.ensure_future(server.call("later", PATIENCE))
                await sys.sync(server)
                with self.assertRaises(CallExit) as caught:
                    await server.call(request, PATIENCE)
                self.assertEqual(caught.exception.reason, reason)
                with self.assertRaises(CallExit) as caught:
                    await in_flight
                self.assertEqual([caught.exception.reason, server.exit_reason], [reason, reason])
                self.assertEqual(await root.receive(Down), Down(ref, server, reason))
                self.assertEqual(await root.receive(Exit), Exit(server, reason))
                self.assertEqual(living(of_processes(server.os_pid)), [])
                with self.assertRaises(CallExit) as caught:
                    await server.call("value")
                self.assertEqual([caught.exception.reason, process_info(server)], [NOPROC, None])
                server.cast(1)
                server.send(1)

    async def test_of_a_crash_have_the_traceback_from_over_there(self) -> None:
        server = await start()
        with self.assertRaises(CallExit) as caught:
            await server.call("fragile")
        error: Any = caught.exception.__cause__
        self.assertIn(type(error).__name__, ("Fragile", "RemoteCrash"))
        self.assertIn("7: it broke", str(error))
        self.assertIn("os_servers.py", str(error) if isinstance(error, RemoteCrash) else _files_of(error))

    async def test_of_an_exception_that_cannot_come_here_are_text(self) -> None:
        server = await start()
        with self.assertRaises(CallExit) as caught:
            await server.call("local error")
        error = caught.exception.__cause__
        assert isinstance(error, RemoteCrash)
        self.assertTrue(error.type_name.endswith("LocalError"))
        self.assertRegex(str(error), r"(?s)LocalError: nobody knows me.*os_servers\.py.*in handle_call")

    async def test_by_a_signal_from_outside(self) -> None:
        server = await start()
        os.kill(server.os_pid, signal.SIGKILL)
        self.assertEqual(await self.wait_for_process_death(server, timeout=PATIENCE), "signal SIGKILL")

    async def test_the_last_reply_comes_before_the_end(self) -> None:
        server = await start()
        for number in range(200):
            server.cast(number)
        asked = [asyncio.ensure_future(server.call(("add", 0), PATIENCE)) for _ in range(10)]
        stopped = asyncio.ensure_future(server.call(("stop", "enough"), PATIENCE))
        self.assertEqual(await asyncio.gather(*asked, stopped), [sum(range(200))] * 10 + ["stopping"])
        self.assertEqual(await self.wait_for_process_death(server, timeout=PATIENCE), "enough")

    async def test_exit_signals(self) -> None:
        server = await start()
        server.exit(NORMAL)
        self.assertEqual(await server.call("value"), 0)
        server.exit(KILL)
        self.assertEqual([server.exit_reason, living(of_processes(server.os_pid))], [KILLED, []])
        other = await start()
        other.exit(SHUTDOWN)
        self.assertEqual([other.exit_reason, living(of_processes(other.os_pid))], [SHUTDOWN, []])

    async def test_one_that_is_stopped_or_busy_can_be_killed(self) -> None:
        stopped, busy = await start(), await start()
        os.kill(stopped.os_pid, signal.SIGSTOP)
        with self.assertRaises(CallExit):
            await busy.call("busy", 0.01)
        with self.assertRaises(CallExit):
            await stopped.call("value", 0.01)
        stopped.exit(KILL)
        busy.exit(KILL)
        self.assertEqual(living(of_processes(stopped.os_pid, busy.os_pid)), [])

    async def test_all_that_it_has_started_ends_with_it(self) -> None:
        for end in ("exit", "crash", "signal"):
            with self.subTest(end=end):
                server = await start()
                child, stranger = await server.call("family")
                if end == "exit":
                    server.exit(KILL)
                elif end == "crash":
                    server.cast("raise")
                else:
                    os.kill(server.os_pid, signal.SIGKILL)
                await self.wait_for_process_death(server, timeout=PATIENCE)
                self.assertEqual(left(child, stranger), [])

    async def test_stopping_runs_terminate(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said"
            careful = await start(str(path), cls=Careful)
            await careful.stop("well done", PATIENCE)
            self.assertEqual([path.read_text(), careful.exit_reason], ["'well done'", "well done"])

    async def test_one_that_traps_exits_hears_of_them(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said"
            careful = await start(str(path), cls=Careful)
            other = await start()
            self.assertTrue(process_info(careful).trap_exit)
            token = self.isolation.runtime.activate()
            exit(careful, "from nobody")
            self.isolation.runtime.deactivate(token)
            self.assertEqual(await careful.call("all"), [Exit(None, "from nobody")])
            careful.link(other)
            other.exit("gone")
            self.assertEqual((await careful.call("all"))[1:], [Exit(other, "gone")])
            careful.exit(SHUTDOWN)  # From its parent.
            await self.wait_for_process_death(careful, timeout=PATIENCE)
            self.assertEqual([path.read_text(), careful.exit_reason], ["SHUTDOWN", SHUTDOWN])

    async def test_unlinked_and_unwatched_nothing_comes(self) -> None:
        server = await start()
        unlink(server)
        demonitor(monitor(server))
        server.exit("gone")
        link_again = await start()
        link(link_again)
        link_again.exit("gone")
        self.assertEqual(self.isolation.root.messages, [Exit(link_again, "gone")])


def _files_of(error: BaseException) -> str:
    files = []
    frame = error.__traceback__
    while frame is not None:
        files.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    return " ".join(files)


class TestSupervised(OTPAssertions, ChaosMixin, IsolatedTestCase):
    async def test_a_restart_is_a_new_process(self) -> None:
        supervisor = await Supervisor.start_link(
            [
                ChildSpec("here", Counter, kwargs={"name": "here"}),
                os_child_spec("there", Counter, (5,), {"name": "there", "start_method": "forkserver"}),
            ],
            max_restarts=10,
        )
        for end in ("signal", "crash", "exit"):
            with self.subTest(end=end):
                here, there = whereis("here"), whereis("there")
                assert there is not None
                before = process_info(there).os_pid  # type: ignore[union-attr]
                there.cast(1)
                if end == "signal":
                    os.kill(before, signal.SIGSEGV)
                elif end == "crash":
                    there.cast("raise")
                else:
                    there.exit(KILL)
                new = await self.wait_for_process_restart("there", there, timeout=PATIENCE)
                self.assertNotEqual(process_info(new).os_pid, before)  # type: ignore[union-attr]
                self.assertEqual(await new.call("value"), 5)
                self.assertIs(whereis("here"), here)
        self.assertEqual(intensity_left(supervisor), 7)
        self.assertEqual([row.modules for row in await which_children(supervisor)], [[Counter], [Counter]])
        await self.assert_supervision_tree_structure(
            supervisor,
            {"supervisor": Supervisor, "strategy": "one_for_one", "children": [("here", Counter), ("there", Counter)]},
        )
        await self.assert_all_children_alive(supervisor)

    async def test_one_for_all_takes_both_kinds_along(self) -> None:
        supervisor = await Supervisor.start_link(
            [
                os_child_spec("there", Counter, (), {"start_method": "forkserver"}),
                ChildSpec("here", Counter),
            ],
            strategy="one_for_all",
        )
        rows = {row.id: row.pid for row in await which_children(supervisor)}
        rows["here"].exit(KILL)
        await self.wait_for_supervisor_stabilization(supervisor, timeout=PATIENCE)
        after = {row.id: row.pid for row in await which_children(supervisor)}
        self.assertEqual([set(rows), len({*rows.values(), *after.values()})], [set(after), 4])
        self.assertEqual(living(of_processes(rows["there"].os_pid)), [])

    async def test_too_many_restarts_are_too_many(self) -> None:
        supervisor = await Supervisor.start_link(
            [os_child_spec("there", Counter, (), {"start_method": "forkserver", "name": "there"})], max_restarts=1
        )
        first = whereis("there")
        os.kill(process_info("there").os_pid, signal.SIGKILL)
        second = await self.wait_for_process_restart("there", first, timeout=PATIENCE)
        os.kill(process_info(second).os_pid, signal.SIGKILL)
        self.assertEqual(await self.wait_for_process_death(supervisor, timeout=PATIENCE), SHUTDOWN)

    async def test_children_of_a_dynamic_supervisor(self) -> None:
        supervisor = await DynamicSupervisor.start_link()
        spec = os_child_spec("any", Counter, (), {"start_method": "forkserver"}, restart="transient")
        children: list[Any] = [await start_child(supervisor, spec) for _ in range(3)]
        self.assertEqual(len({child.os_pid for child in children}), 3)
        await children[0].stop()
        self.assertEqual((await count_children(supervisor))["active"], 2)
        await supervisor.stop()
        self.assertEqual(living(of_processes(*(child.os_pid for child in children))), [])

    async def test_chaos_hits_them(self) -> None:
        supervisor = await Supervisor.start_link(
            [os_child_spec(n, Counter, (), {"start_method": "forkserver"}) for n in range(2)], max_restarts=1000
        )
        report = await self.chaos_kill_children(supervisor, kill_rate=1.0, duration_ms=60, kill_interval_ms=20, seed=1)
        self.assertGreater(report.killed, 0)
        self.assertFalse(report.supervisor_crashed)

    async def test_chaos_lets_one_stand_still(self) -> None:
        server = await start()
        async with self.pause(server):
            with self.assertRaises(CallExit) as caught:
                await server.call("value", 0.01)
            self.assertEqual([caught.exception.reason, ProcessTarget(server.os_pid).state], [TIMEOUT, "stopped"])
        self.assertEqual(await server.call("value"), 0)
        with self.assertRaisesRegex(Unsupported, r"corrupt_state: .*in another process.*sys\.replace_state\(\)"):
            await self.corrupt_state(server, abs)

    async def test_they_are_targets(self) -> None:
        self.assertIsNone(
            await check_target_contract(start, supports=["kill", "stop", "suspend", "resume", "queue_len", "sync"])
        )


class TestCleanup(IsolatedTestCase):
    async def test_the_end_of_a_test_is_their_end(self) -> None:
        found: list[int] = []

        async def body(case: Any) -> None:
            server = await start()
            found.append(server.os_pid)
            found.extend(await server.call("family"))
            case.fail("planted")

        report = await asyncio.to_thread(failure_of, body)
        self.assertIn("planted", report)
        self.assertNotIn("left", report)
        self.assertEqual(left(*found), [])

    async def test_the_end_of_a_program_is_their_end(self) -> None:
        found: list[Any] = []

        async def program() -> None:
            server = await start()
            agent = await Agent.start(0)
            with intercept(agent, lambda message: found.append(message) or []):
                server.cast(("tell", agent, "hello"))
                await server.call("value")
            found.append(server)

        await asyncio.to_thread(asyncio.run, program())
        message, server = found
        self.assertEqual([message, server.exit_reason, living(of_processes(server.os_pid))], ["hello", KILLED, []])
