"""A server in a process of its own is a server like any other."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys as python
import tempfile
import threading
import unittest
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

from supertester import OTPAssertions, explore, otp
from supertester.case import IsolatedTestCase
from supertester.errors import CallExit, StartFailed, Unsupported, UsageError
from supertester.isolation.children import TEST_ID
from supertester.otp import (
    IGNORE,
    NORMAL,
    TIMEOUT,
    Agent,
    Crash,
    GenServer,
    Pid,
    Runtime,
    Supervisor,
    process_info,
    self_pid,
    sys,
    until_idle,
)
from supertester.otp.process import Process
from supertester.targets import os_child_spec, start_os_server
from supertester.targets.os_server.frames import REPLY, Frame, FrameReader, framed
from supertester.testing import failure_of
from tests.targets.os_servers import PATIENCE, Ciphering, Counter, Odd, Sleeper, Slow, Unimportable, add_ten, start


@contextmanager
def gate() -> Iterator[tuple[str, Any]]:
    """Yield the path of a named pipe for which a handler waits, and what opens it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "gate")
        os.mkfifo(path)
        opened = threading.Event()

        def let_go() -> None:
            if not opened.is_set():
                opened.set()
                os.close(os.open(path, os.O_WRONLY))

        yield path, let_go


class TestMessages(OTPAssertions, IsolatedTestCase):
    async def test_calls_casts_and_infos(self) -> None:
        counter = await start(5)
        self.assertIsInstance(counter, Pid)
        self.assertEqual(await counter.call("value"), 5)
        counter.cast(2)
        counter.cast(3)
        self.assertEqual(await counter.call("value"), 10)
        counter.send("hello")
        self.assertEqual(await counter.call("value"), ("info", "hello"))
        await self.assert_genserver_state(counter, ("info", "hello"))
        os_pid, group, _ = await counter.call("os")
        self.assertEqual([os_pid, group], [process_info(counter).os_pid] * 2)
        self.assertNotEqual(os_pid, os.getpid())

    async def test_what_handlers_may_return(self) -> None:
        counter = await start()
        late = asyncio.ensure_future(counter.call("later"))
        await sys.sync(counter)
        self.assertEqual(await counter.call("now"), "told")
        self.assertEqual(await late, "at last")
        self.assertEqual(await counter.call("from a thread"), "by a thread")
        self.assertEqual(await counter.call("continue"), "first")
        self.assertEqual(await counter.call("value"), ("continued", "then"))
        counter.cast(("set", 0))
        self.assertEqual(await counter.call("messages to itself"), "sent")
        await until_idle(counter, timeout=PATIENCE)
        self.assertIn(await counter.call("value"), (1, ("info", "ring")))  # The timer may take its time.
        self.assertEqual(await counter.call(("stop", "enough")), "stopping")
        self.assertEqual(await self.wait_for_process_death(counter, timeout=PATIENCE), "enough")

    async def test_async_handlers(self) -> None:
        slow = await start("state", cls=Slow)
        self.assertEqual(await slow.call("state"), ("state", "go on"))
        self.assertEqual(await slow.call("job"), process_info(slow).os_pid)
        slow.cast("new")
        self.assertEqual(await slow.call("state"), "new")
        waiting = asyncio.ensure_future(slow.call("for ever", PATIENCE))
        await asyncio.sleep(0)
        with self.assertRaises(CallExit) as caught:
            await slow.call("state", 0.01)
        self.assertEqual(caught.exception.reason, TIMEOUT)
        slow.exit("enough")
        with self.assertRaises(CallExit) as caught:
            await waiting
        self.assertEqual(caught.exception.reason, "enough")

    async def test_many_callers_at_once_and_messages_of_any_size(self) -> None:
        counter = await start()
        results = await asyncio.gather(*(counter.call(("add", 1)) for _ in range(300)))
        self.assertEqual(sorted(results), list(range(1, 301)))
        big = os.urandom(3_000_000)
        replies = await asyncio.gather(*(counter.call(("echo", [number, big]), PATIENCE) for number in range(3)))
        self.assertEqual([number for number, data in replies if data == big], [0, 1, 2])
        for number in range(20_000):
            counter.cast(number)
        self.assertEqual(await counter.call("value", PATIENCE), 300 + sum(range(20_000)))

    async def test_a_slow_answer_leaves_the_loop_to_others(self) -> None:
        counter = await start()
        with gate() as (path, let_go):
            waiting = asyncio.ensure_future(counter.call(("gate", path), PATIENCE))
            ticks = 0
            while ticks < 10:
                await asyncio.sleep(0)
                ticks += 1
            self.assertFalse(waiting.done())
            with self.assertRaises(CallExit) as caught:
                await counter.call("value", 0.01)
            self.assertEqual(caught.exception.reason, TIMEOUT)
            await asyncio.get_running_loop().run_in_executor(None, let_go)
            self.assertEqual(await waiting, "passed")
        await sys.sync(counter)
        self.assertEqual((await sys.statistics(counter)).late_replies, 1)

    async def test_other_tasks_go_on_beside_quick_answers(self) -> None:
        counter = await start()
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        reading, writing = os.pipe()
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, lambda: seen.done() or seen.set_result(None))
        os.write(writing, b"!")
        calls = 0
        while not seen.done() and calls < 1000:
            await counter.call("value")
            calls += 1
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)
        self.assertTrue(seen.done())

    async def test_from_other_threads(self) -> None:
        counter = await start()

        def work() -> Any:
            for _ in range(100):
                counter.cast(1)
            return counter.call_threadsafe("value")

        results = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(3)))
        self.assertEqual(max(results), 300)

    async def test_whatever_wakes_it_does_so_at_once(self) -> None:
        plans = {"by a thread": 100, "by a timer": 10, "by a signal": 10, "by a descriptor": 1}
        plans["by a signal that the loop handles"] = 10
        for how, times in plans.items():
            sleeper = await start(cls=Sleeper)
            for _ in range(times):
                self.assertIn(how, await sleeper.call(how, PATIENCE))

    async def test_pids_travel_and_come_back_as_themselves(self) -> None:
        counter = await start(name="counter")
        me = self_pid()
        self.assertIs(await counter.call("who"), me)
        self.assertIs(await counter.call(("echo", me)), me)
        self.assertEqual(await counter.call("self"), (counter, counter))
        self.assertIs(otp.whereis("counter"), counter)
        counter.cast(("tell", me, "hello"))
        self.assertEqual(await self.isolation.root.receive("hello"), "hello")
        agent = await Agent.start_link(0)
        counter.cast(("call back", agent, 1))
        counter.cast(("tell", counter, "to itself"))
        await sys.sync(counter)
        self.assertEqual(await counter.call("value"), ("info", "to itself"))

    async def test_the_identity_of_the_test_goes_along(self) -> None:
        counter = await start()
        environment = await counter.call("environment")
        self.assertEqual(environment[TEST_ID], self.isolation.test_id)
        self.assertIn("SUPERTESTER_REAPER", environment)

    async def test_by_spawning(self) -> None:
        counter = await start(5, start_method="spawn")
        self.assertEqual(await counter.call(("add", 1)), 6)
        self.assertEqual((await counter.call("os"))[0], process_info(counter).os_pid)
        os.kill(process_info(counter).os_pid, 11)
        self.assertEqual(await self.wait_for_process_death(counter, timeout=PATIENCE), "signal SIGSEGV")


def carried(chunks: Iterable[bytes]) -> list[Frame]:
    """Return the frames that *chunks* are for who reads them from a pipe."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0) as pipe:
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        reader = FrameReader(reading)
        seen: list[Frame] = []
        for chunk in chunks:
            rest = chunk
            while rest:
                with suppress(BlockingIOError):
                    rest = rest[os.write(writing, rest) :]
                with suppress(BlockingIOError):
                    while True:
                        seen += reader.read()
        pipe.close()
        os.set_blocking(reading, True)  # A process that another test has just forked may hold the other end open.
        seen += reader.read()
        assert reader.has_ended
    return seen


class TestFrames(unittest.TestCase):
    def test_of_any_size_come_as_they_were_sent(self) -> None:
        edges = [479, 4096, 1 << 16, 1 << 18]
        sizes = [0, 1, *(edge + nearby for edge in edges for nearby in (-14, -13, -12, -1, 0, 1)), 500, 500, 0, 3, 3]
        sent = [(REPLY, number, os.urandom(size)) for number, size in enumerate(sizes)]
        self.assertEqual(carried(framed(*frame) for frame in sent), sent)
        self.assertEqual(carried([b"".join(framed(*frame) for frame in sent)]), sent)

    def test_none_is_waited_for_when_a_thread_has_called_at_the_last_moment(self) -> None:
        source = """
            import os
            from supertester.targets.os_server.loop import ServerLoop

            def read():
                raise SystemExit("it would sleep")

            loop = ServerLoop()
            loop.serve(os.pipe()[0], read, print, lambda: loop.call_soon_threadsafe(loop.stop))
            loop.run_forever()
            loop.close()
            print("awake")
        """
        done = subprocess.run([python.executable, "-c", dedent(source)], capture_output=True, check=False)
        self.assertEqual([done.stdout, done.stderr], [b"awake\n", b""])

    def test_the_process_of_a_server_imports_little(self) -> None:
        source = "import sys, supertester.targets.os_server.child, supertester.targets.os_server.start\n"
        source += (
            "print({'tempfile', 'random', 'shutil', 'uuid', '_ssl', 'multiprocessing.connection'} & set(sys.modules))"
        )
        done = subprocess.run([python.executable, "-c", source], capture_output=True, check=True)
        self.assertEqual(done.stdout, b"set()\n")


class TestCiphering(IsolatedTestCase):
    async def test_is_there_when_it_is_used(self) -> None:
        for method in ("spawn", "forkserver"):
            with self.subTest(method):
                server = await start(cls=Ciphering, start_method=method)
                for _ in range(2):
                    self.assertEqual(await server.call("hello"), b"\x16\x03")  # A handshake, of TLS 1.


class TestVirtualTime(IsolatedTestCase, clock="virtual"):
    async def test_leaps_while_a_server_elsewhere_has_nothing_to_do(self) -> None:
        counter = await start()
        for _ in range(3):
            await asyncio.sleep(3600)
            await asyncio.wait_for(asyncio.gather(*(counter.call(("add", 1)) for _ in range(3))), 1.0)
        self.assertEqual(await counter.call("value"), 9)


class TestSystemMessages(IsolatedTestCase):
    async def test_state_status_and_statistics(self) -> None:
        counter = await start(5, name="counter")
        self.assertEqual(await sys.get_state(counter), 5)
        self.assertEqual(await sys.replace_state(counter, add_ten), 15)
        self.assertEqual(await counter.call("value"), 15)
        status = await sys.get_status(counter)
        self.assertEqual(
            status,
            {
                "pid": counter,
                "module": Counter,
                "status": "running",
                "parent": self_pid(),
                "name": "counter",
                "state": 15,
            },
        )
        statistics = await sys.statistics(counter)
        self.assertEqual([statistics.messages_in, statistics.reductions, statistics.message_queue_len], [1, 1, 0])

    async def test_replacing_with_what_cannot_go_there_or_raises_there(self) -> None:
        counter = await start(5)
        with self.assertRaisesRegex(UsageError, "lambda.* is to go to .*Counter.*cannot be pickled"):
            await sys.replace_state(counter, lambda state: state)
        counter.cast(("set", "text"))
        with self.assertRaises(CallExit) as caught:
            await sys.replace_state(counter, add_ten)
        self.assertIsInstance(caught.exception.__cause__, TypeError)
        self.assertEqual(await counter.call("value"), "text")

    async def test_the_state_cannot_be_read_from_outside(self) -> None:
        counter: Any = await start(5)
        with self.assertRaisesRegex(Unsupported, r"state\.real: .*sys\.get_state\(\)"):
            _ = counter.server.state.real
        with self.assertRaisesRegex(Unsupported, r"state\.\['a'\]"):
            _ = counter.server.state["a"]

    async def test_suspended_it_queues_exactly(self) -> None:
        counter = await start()
        await sys.suspend(counter)
        for number in (1, 2, 3):
            counter.cast(number)
        with self.assertRaises(CallExit):
            await counter.call("value", 0.01)
        info = process_info(counter)
        assert info is not None
        self.assertEqual([info.status, info.message_queue_len], ["suspended", 4])
        self.assertEqual(info.messages, (1, 2, 3, "value"))
        self.assertEqual(await sys.get_state(counter), 0)
        await sys.resume(counter)
        self.assertEqual(await counter.call("value"), 6)
        self.assertEqual(process_info(counter).message_queue_len, 0)

    async def test_the_length_of_the_mailbox_is_exact_while_it_is_busy(self) -> None:
        counter = await start()
        with gate() as (path, let_go):
            counter.cast(("gate", path))
            counter.cast(1)
            counter.cast(2)
            await asyncio.get_running_loop().run_in_executor(None, let_go, *())
            await sys.sync(counter)
            self.assertEqual(process_info(counter).message_queue_len, 0)
        with gate() as (path, let_go):
            for message in (("gate", path), 1, 2):
                counter.cast(message)
            await asyncio.to_thread(os.close, await asyncio.to_thread(os.open, path, os.O_WRONLY))
            await until_idle(counter, timeout=PATIENCE)
        info = process_info(counter)
        assert info is not None
        self.assertEqual([info.message_queue_len, info.status, info.reductions], [0, "waiting", 6])

    async def test_until_idle_waits_for_it(self) -> None:
        counter = await start()
        await until_idle(timeout=PATIENCE)
        with gate() as (path, let_go):
            counter.cast(("gate", path))
            counter.cast(4)
            waiting = asyncio.ensure_future(until_idle(timeout=PATIENCE))
            await asyncio.to_thread(let_go)
            await waiting
        self.assertEqual(process_info(counter).reductions, 2)
        self.assertEqual(await sys.get_state(counter), 4)

    async def test_tracing(self) -> None:
        counter = await start()
        events: list[Any] = []
        await sys.trace(counter, events.append)
        counter.cast(1)
        await counter.call("value")
        counter.send("hello")
        await sys.trace(counter, None)
        counter.cast(("set", 0))
        await sys.sync(counter)
        self.assertEqual(
            [(event.kind, event.message, event.to) for event in events],
            [
                ("cast", 1, None),
                ("call", "value", None),
                ("reply", 1, self_pid()),
                ("info", "hello", None),
            ],
        )
        self.assertEqual({event.pid for event in events}, {counter})

    async def test_interceptors_stand_between(self) -> None:
        counter = await start()
        with otp.intercept(counter, lambda message: [] if message == 1 else [message, message]):
            counter.cast(1)
            counter.cast(5)
        self.assertEqual(await counter.call("value"), 10)


class TestRefusals(IsolatedTestCase):
    async def test_of_init(self) -> None:
        self.assertIs(await start("ignore", cls=Odd), IGNORE)
        with self.assertRaises(StartFailed) as caught:
            await start("stop", cls=Odd)
        self.assertEqual(caught.exception.reason, "no wish")
        with self.assertRaises(StartFailed) as caught:
            await start("raise", cls=Odd)
        self.assertEqual(caught.exception.reason, Crash(LookupError("nothing there")))
        assert caught.exception.__cause__ is not None
        frame = caught.exception.__cause__.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        assert frame is not None
        self.assertEqual(Path(frame.tb_frame.f_code.co_filename).name, "os_servers.py")

    async def test_of_an_end_without_a_word(self) -> None:
        with self.assertRaises(StartFailed) as caught:
            await start("killed", cls=Odd)
        self.assertEqual(caught.exception.reason, "signal SIGKILL")
        self.assertIn("ended before it could say why", caught.exception.__notes__[0])

    async def test_of_an_init_that_takes_too_long(self) -> None:
        with self.assertRaises(StartFailed) as caught:
            await start_os_server(Odd, "for ever", timeout=0.05)
        self.assertEqual(caught.exception.reason, TIMEOUT)

    async def test_of_a_taken_name(self) -> None:
        agent = await Agent.start_link(0, name="taken")
        with self.assertRaises(StartFailed) as caught:
            await start(name="taken")
        self.assertEqual(caught.exception.reason, ("already_started", agent))

    async def test_of_arguments_that_cannot_go_there(self) -> None:
        with self.assertRaisesRegex(UsageError, r"Counter and its arguments .* cannot be pickled: .*let init\(\) make"):
            await start(lambda: None)
        with self.assertRaises(StartFailed) as caught:
            await start(Unimportable(1))
        self.assertIsInstance(caught.exception.__cause__, ImportError)

    async def test_of_classes_that_cannot_be_found_there(self) -> None:
        class Local(GenServer):
            pass

        with self.assertRaisesRegex(UsageError, "inside a function.* move the class to the top of a module"):
            await start_os_server(Local)

    async def test_of_what_is_no_server(self) -> None:
        with self.assertRaisesRegex(TypeError, "takes a GenServer class first, got 3"):
            await start_os_server(3)  # type: ignore[arg-type]
        with self.assertRaisesRegex(Unsupported, "Supervisor is a supervisor, .*os_child_spec"):
            await start_os_server(Supervisor, [])
        with self.assertRaisesRegex(UsageError, "must be 'spawn' or 'forkserver', got start_method='fork'"):
            await start(start_method="fork")
        with self.assertRaisesRegex(UsageError, "start_method"):
            os_child_spec("child", Counter, kwargs={"start_method": "fork"})

    async def test_of_controlled_schedules(self) -> None:
        async with Runtime(seed=1):
            with self.assertRaisesRegex(Unsupported, r"this schedule is controlled.*start_link\(\)"):
                await start()

    async def test_of_messages_that_cannot_go_there(self) -> None:
        counter = await start()
        for send in (counter.cast, counter.send, counter.call):
            with self.assertRaisesRegex(UsageError, "lambda.* is to go to <Pid .*Counter.*cannot be pickled"):
                result = send(lambda: None)
                if result is not None:
                    await result
        with self.assertRaises(CallExit) as caught:
            await counter.call(("echo", Unimportable(2)))
        self.assertIn("not to be had", str(caught.exception.__cause__))
        self.assertEqual(await counter.call("value"), 0)

    async def test_of_replies_that_cannot_come_here(self) -> None:
        counter = await start()
        for request in ("cannot be pickled", "only here"):
            with self.assertRaises(CallExit) as caught:
                await counter.call(request)
            assert caught.exception.__cause__ is not None
            self.assertIn("pickled", "".join(caught.exception.__cause__.__notes__))
        self.assertEqual(await counter.call("value"), 0)


class TestExploredSchedules(unittest.TestCase):
    def test_are_refused(self) -> None:
        @explore(schedules=1)
        async def test(self: Any) -> None:
            await start_os_server(Counter)

        self.assertIn("this schedule is controlled", failure_of(test))


class TestPidsElsewhere(IsolatedTestCase):
    def test_a_pid_that_nobody_remembers_is_dead(self) -> None:
        from supertester.otp.elsewhere import place, reference

        gone = reference(place(), 10**9, "<Pid 1 Gone>")
        self.assertFalse(gone.is_alive())
        gone.cast("nothing happens")

    async def test_what_one_from_elsewhere_can_do(self) -> None:
        from supertester.otp.elsewhere import reference

        pid = reference("elsewhere", 1, "<Pid 1 Far>")
        self.assertIs(pickle.loads(pickle.dumps(pid)), pid)
        self.assertEqual(repr(pid), "<Pid 1 Far elsewhere>")
        for use in (pid.is_alive, lambda: pid.cast(1), lambda: otp.send(pid, 1), lambda: otp.link(pid)):
            with self.assertRaisesRegex(Unsupported, "Pid 1 Far elsewhere> lives in another process"):
                use()

    async def test_one_from_here_is_itself(self) -> None:
        agent = await Agent.start_link(0)
        self.assertIs(pickle.loads(pickle.dumps(agent)), agent)
        self.assertIsInstance(agent, Process)
        await agent.stop(NORMAL)
        self.assertIs(pickle.loads(pickle.dumps(agent)), agent)
