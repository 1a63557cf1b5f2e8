"""Processes of the operating system as targets: who they are, how they end, and what they have started."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from supertester import IsolatedTestCase, OTPAssertions, Unsupported, UsageError, WaitTimeout
from supertester.chaos import inject_crash, kill_random_worker
from supertester.otp import SHUTDOWN
from supertester.targets import LineReady, Target, start_process, target_of
from supertester.targets.os_process import ProcessTarget
from tests.targets.programs import program

MASTER = """
import subprocess, sys
forever = "import signal\\nwhile True: signal.pause()"
workers = [subprocess.Popen([sys.executable, "-c", forever]) for _ in range(2)]
print("ready", *(worker.pid for worker in workers), flush=True)
"""
WAITING_MASTER = MASTER + "print('first', workers[0].wait(), flush=True)\n"


@contextmanager
def started() -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that never ends by itself, for the body."""
    with subprocess.Popen(program()) as popen:
        try:
            yield popen
        finally:
            popen.kill()


class TestWhatCanBeOne(OTPAssertions, IsolatedTestCase):
    async def test_a_popen(self) -> None:
        with started() as popen:
            target = target_of(popen)
            self.assertEqual((target.identity.pid, target.is_alive(), target.state), (popen.pid, True, "running"))
            self.assertEqual(target.identity, target_of(popen).identity)
            target.kill()
            self.assertEqual(await target.wait(), "signal SIGKILL")
            self.assertEqual((target.state, popen.returncode), ("gone", -9))

    async def test_a_popen_that_ends_just_after_it_was_asked_is_waited_for_all_the_same(self) -> None:
        with started() as popen:
            target = target_of(popen)
            ask = popen.poll

            def ask_too_early() -> None:
                popen.poll = ask
                popen.send_signal(signal.SIGKILL)
                os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)

            popen.poll = ask_too_early  # type: ignore[method-assign, assignment]
            self.assertIsNone(target.exit_reason)
            self.assertEqual(target.exit_reason, "signal SIGKILL")
            self.assertEqual((target.state, popen.returncode), ("gone", -9))

    async def test_a_process_of_asyncio(self) -> None:
        process = await asyncio.create_subprocess_exec(*program())
        target = target_of(process)
        target.kill(signal.SIGSEGV)
        self.assertEqual(await target.wait(), "signal SIGSEGV")
        self.assertEqual(await process.wait(), -signal.SIGSEGV)

    async def test_a_process_of_multiprocessing(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=os._exit, args=(3,), name="three")
        with self.assertRaisesRegex(UsageError, "was not started yet"):
            target_of(process)
        process.start()
        target = target_of(process)
        self.assertEqual(target.identity.id, "three")
        self.assertEqual(await target.wait(20), "exit status 3")
        process.join()
        self.assertEqual(target_of(process).exit_reason, "exit status 3")

    async def test_a_process_of_psutil(self) -> None:
        with started() as popen:
            target = target_of(psutil.Process(popen.pid))
            target.kill()
            self.assertEqual(await target.wait(), "signal SIGKILL")
            self.assertEqual(target.state, "zombie")  # To ask is not to take the answer away from who started it.
            self.assertEqual(popen.wait(), -9)
            self.assertEqual((target.state, target.exit_reason), ("gone", "signal SIGKILL"))

    async def test_an_external_process(self) -> None:
        process = await start_process(program(), name="it")
        target = target_of(process)
        self.assertEqual(target.identity.id, "it")
        self.assertEqual(await target.stop(), "signal SIGTERM")
        self.assertEqual(await target.stop(), "signal SIGTERM")

    async def test_a_number(self) -> None:
        with started() as popen:
            target = ProcessTarget(popen.pid, name="number")
            self.assertRegex(repr(target), rf"<ProcessTarget number \(pid {popen.pid}, generation \d+\), running>")
            popen.kill()
            await target.wait()
            self.assertRegex(repr(target), r"<ProcessTarget number \(.*\), ended with 'signal SIGKILL'>")
        with self.assertRaisesRegex(UsageError, f"there is no process with the number {popen.pid}"):
            ProcessTarget(popen.pid)

    async def test_not_what_is_none(self) -> None:
        for thing in (3.5, None, object(), []):
            with self.subTest(thing), self.assertRaisesRegex((TypeError, UsageError), "adapter|no process"):
                target_of(thing)


class TestTheEnd(OTPAssertions, IsolatedTestCase):
    async def test_that_of_a_grandchild_is_known_too(self) -> None:
        master = await start_process(program(WAITING_MASTER), ready=LineReady("^ready"))
        first, _ = target_of(master).workers()
        first.kill()
        self.assertIn(await first.wait(), _known_or_unknown("signal SIGKILL"))
        await master.wait_for_output("^first -9$")  # The master has waited for it.
        self.assertIn(first.exit_reason, _known_or_unknown("signal SIGKILL"))

    async def test_a_process_that_stays(self) -> None:
        process = await start_process(
            program("import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('up')"), ready=LineReady("up"), grace=0
        )
        with self.assertRaisesRegex(WaitTimeout, r"has not ended within 0 s after SIGTERM"):
            await target_of(process).stop(0)
        with self.assertRaisesRegex(WaitTimeout, r"the end of <ProcessTarget .*last seen: it is running"):
            await target_of(process).wait(0)

    async def test_reasons_that_are_none(self) -> None:
        target = target_of(await start_process(program()))
        for reason in ("please", True, 0, 4000):
            with self.subTest(reason), self.assertRaisesRegex(UsageError, "is ended by KILL, SHUTDOWN or a signal"):
                target.kill(reason)
        target.kill(SHUTDOWN)
        self.assertEqual(await target.wait(), "signal SIGTERM")
        target.kill()

    async def test_the_event_comes_once_and_can_be_forgotten(self) -> None:
        target = target_of(await start_process(program()))
        told: list[Target] = []
        forgotten = target.on_exit(lambda _: self.fail("it was forgotten"))
        target.on_exit(told.append)
        forgotten()
        forgotten()
        target.kill()
        await self.assert_eventually(lambda: told)
        late: list[Target] = []
        target.on_exit(late.append)
        await self.assert_eventually(lambda: late)
        self.assertEqual(told + late, [target, target])


class TestHoldingUp(OTPAssertions, IsolatedTestCase):
    async def test_it_stands_still_and_goes_on(self) -> None:
        target = target_of(await start_process(program()))
        await target.suspend()
        self.assertEqual((target.state, target.is_alive()), ("stopped", True))
        await target.resume()
        await self.assert_eventually(lambda: target.state == "running")
        await target.suspend()
        self.assertEqual(await target.stop(), "signal SIGTERM")
        await target.suspend()

    async def test_what_it_cannot(self) -> None:
        target = target_of(await start_process(program()))
        with self.assertRaisesRegex(Unsupported, r"does not support queue_len\(\): what a process has to do is known"):
            target.queue_len()
        self.assertEqual((target.supports("kill"), target.supports("sync")), (True, False))


class TestATree(OTPAssertions, IsolatedTestCase):
    async def test_its_workers(self) -> None:
        master = await start_process(program(MASTER), ready=LineReady("^ready"))
        tree = target_of(master)
        pids = {int(each) for each in master.find(r"ready (\d+) (\d+)").groups()}
        self.assertEqual({worker.identity.pid for worker in tree.workers()}, pids)
        self.assertEqual([w.identity for w in tree.workers()], [w.identity for w in target_of(master).workers()])
        injection = await kill_random_worker(tree)
        self.assertTrue(injection.died)
        self.assertIn(injection.reason, _known_or_unknown("signal SIGKILL"))
        left = [worker.identity.pid for worker in tree.workers()]
        self.assertEqual(left, [*(pids - {injection.target.identity.pid})])  # type: ignore[union-attr]

    async def test_workers_of_ones_own_choice(self) -> None:
        master = await start_process(program(MASTER), ready=LineReady("^ready"))
        none = ProcessTarget(master, is_worker=lambda process: "gunicorn" in process.cmdline())
        self.assertEqual(none.workers(), [])
        with self.assertRaisesRegex(UsageError, "kill_random_worker: <ProcessTarget .* has no worker that runs"):
            await kill_random_worker(none)

    async def test_helpers_of_multiprocessing_are_no_workers(self) -> None:
        source = """
import multiprocessing, signal
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    worker = context.Process(target=signal.pause)
    worker.start()
    print("worker", worker.pid, flush=True)
"""
        # It ends by a signal, so nobody removes the temporary files of its multiprocessing but the test.
        own = {"TMPDIR": str(self.tmp_path)}
        master = await start_process(program(source), env=own, ready=LineReady("^worker"))
        [worker] = target_of(master).workers()
        self.assertEqual(worker.identity.pid, int(master.find(r"worker (\d+)").group(1)))


class TestCrashes(OTPAssertions, IsolatedTestCase):
    async def test_at_once_or_later(self) -> None:
        process = await start_process(program())
        later = await inject_crash(process, ("after_ms", 0), reason=signal.SIGSEGV)
        await later
        self.assertEqual(await target_of(process).wait(), "signal SIGSEGV")
        self.assertEqual((later.died, later.reason), (True, "signal SIGSEGV"))
        with self.assertRaisesRegex(UsageError, "inject_crash: <ProcessTarget .* has ended already"):
            await inject_crash(process, "immediate")

    async def test_a_wrong_reason_is_refused_at_once(self) -> None:
        process = await start_process(program())
        with self.assertRaisesRegex(UsageError, "got 'please'"):
            await inject_crash(process, ("after_ms", 50), reason="please")


def _known_or_unknown(reason: str) -> tuple[Any, ...]:
    """Return what the reason of a process of others may be: older kernels do not tell it."""
    unknown = "unknown: it is no child of this process, and Linux before 6.15 tells nobody else"
    return reason, unknown, f"{unknown}, after signal SIGKILL was sent to it"
