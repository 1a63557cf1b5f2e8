"""What the tests of the runtime share: a case with its own runtime, and a server that does what a test tells it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
import unittest
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from supertester._core.clock import ManualClock
from supertester.errors import CallExit, StartFailed, UsageError
from supertester.otp import (
    KILL,
    KILLED,
    ChildSpec,
    GenServer,
    Pid,
    Runtime,
    Stop,
    Supervisor,
    exit,
    flag_trap_exit,
    self_pid,
    sys,
    until_idle,
    which_children,
)

CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "handle_continue", "terminate")
PATIENCE = 300.0  # Real seconds after which a hanging test is cancelled; no test waits for real time.
TURNS = 1_000


@types.coroutine
def one_turn() -> Any:
    """Let everything that is scheduled on the loop run once."""
    yield


@functools.cache
def asynchronous(cls: type[GenServer]) -> type[GenServer]:
    """Return *cls* with every callback as an ``async def`` that suspends once before it does its work."""

    def variant(callback: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(callback)
        async def suspending(self: GenServer, *args: Any, **kwargs: Any) -> Any:
            await one_turn()
            result = callback(self, *args, **kwargs)
            return await result if inspect.iscoroutine(result) else result

        return suspending

    callbacks = {name: variant(getattr(cls, name)) for name in CALLBACKS}
    return type(cls)(f"Async{cls.__name__}", (cls,), {**callbacks, "__module__": cls.__module__})


class Probe(GenServer):
    """Runs the functions that it is sent inside its process, echoes other calls, and keeps a diary of the rest."""

    def init(self, diary: list[Any] | None = None, *, label: str | None = None, trap: bool = False) -> Any:
        self.diary = [] if diary is None else diary
        self.label = label
        self.pid = self_pid()
        self.on_terminate: Callable[[Any], Any] | None = None
        if trap:
            flag_trap_exit(True)
        return self.diary

    def note(self, *entry: Any) -> None:
        self.diary.append(entry if self.label is None else (self.label, *entry))

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.sender = sender
        return request(self) if callable(request) else request

    def handle_cast(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.note("cast", message)
        return None

    def handle_info(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.note("info", message)
        return None

    def handle_continue(self, arg: Any) -> Any:
        if callable(arg):
            return arg(self)
        self.note("continue", arg)
        return None

    def terminate(self, reason: Any) -> Any:
        self.note("terminate", reason)
        return self.on_terminate(reason) if self.on_terminate is not None else None


class Child(Probe):
    """A probe that writes down its start and, as it traps exits, its orderly end."""

    def init(self, diary: list[Any], label: str, *, trap: bool = True) -> Any:
        state = super().init(diary, label=label, trap=trap)
        self.note("start")
        return state


def parked(gate: asyncio.Event, result: Any = None) -> Callable[[Any], Any]:
    """Return a function for a `Probe` that waits in its handler until *gate* is set, then returns *result*."""

    async def wait_for_gate(_: Any) -> Any:
        await gate.wait()
        return result

    return wait_for_gate


def raising(error: BaseException) -> Callable[[Any], Any]:
    """Return a function for a `Probe` that raises *error* in its handler."""

    def fail(_: Any) -> Any:
        raise error

    return fail


def returning(result: Any) -> Callable[[Any], Any]:
    """Return a function for a `Probe` that returns *result* from its handler."""
    return lambda _: result


class RuntimeCase(unittest.IsolatedAsyncioTestCase):
    """A test with a runtime, a clock that stands still, and a root process as which the test's body acts."""

    runtime_options: ClassVar[dict[str, Any]] = {}

    @staticmethod
    def flavour(server: type[GenServer]) -> type[GenServer]:
        """Return the variant of a server class that this test case is about."""
        return server

    async def asyncSetUp(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(False)  # Its traces of where each task and callback was made take most of the time.
        self.loop_errors: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))
        self.addCleanup(loop.call_later(PATIENCE, self._give_up, loop).cancel)
        self.addAsyncCleanup(self._check_nothing_is_left)
        self.clock = ManualClock()
        self.rt = await self.enterAsyncContext(Runtime(clock=self.clock, **self.runtime_options))
        self.root = self.rt.new_root()
        self.rt.activate(self.root)

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel(f"{self.id()} hangs")

    async def _check_nothing_is_left(self) -> None:
        await one_turn()
        self.assertEqual([], list(self.rt.processes), "processes outlived their runtime")
        self.assertEqual([], list(self.rt.tasks), "tasks outlived their runtime")
        self.assertEqual([], self.loop_errors, "something failed where nobody awaited it")

    # Starting ----------------------------------------------------------------------------------------------------

    async def start(self, cls: type[GenServer] = Probe, *args: Any, **kwargs: Any) -> Pid:
        """Start a server without a link, so that the root is not its parent."""
        return await self.flavour(cls).start(*args, **kwargs)

    async def start_link(self, cls: type[GenServer] = Probe, *args: Any, **kwargs: Any) -> Pid:
        """Start a server whose parent is the root."""
        return await self.flavour(cls).start_link(*args, **kwargs)

    async def start_under(self, parent: Pid, cls: type[GenServer] = Probe, *args: Any, **kwargs: Any) -> Pid:
        """Start a server whose parent is the probe *parent*."""
        return await parent.call(lambda _: self.flavour(cls).start_link(*args, **kwargs))

    def child(self, label: str, diary: list[Any], cls: type[GenServer] = Child, **options: Any) -> ChildSpec:
        """Return the specification of a `Child` that is named after its label."""
        trap = options.pop("trap", True)
        return ChildSpec(label, self.flavour(cls), (diary, label), {"name": label, "trap": trap}, **options)

    async def supervise(self, *children: ChildSpec, **options: Any) -> Pid:
        """Start a supervisor linked to the root."""
        return await Supervisor.start_link(list(children), **options)

    def background(self, awaitable: Awaitable[Any]) -> asyncio.Task[Any]:
        """Await something beside the test; what is still running at the end is cancelled."""
        task = asyncio.ensure_future(awaitable)

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

        self.addAsyncCleanup(end)
        return task

    # Waiting -----------------------------------------------------------------------------------------------------

    async def turn_until(self, condition: Callable[[], object], what: str) -> None:
        """Let the loop turn, without any pause, until *condition* holds."""
        for _ in range(TURNS):
            if condition():
                return
            await one_turn()
        self.fail(f"{what}: not within {TURNS} turns of the loop")

    async def still_pending(self, task: asyncio.Task[Any]) -> None:
        """Fail if *task* ends although everything that can run has run."""
        for _ in range(30):
            await one_turn()
        self.assertFalse(task.done(), f"{task!r} should still wait")

    async def dead(self, pid: Pid) -> Any:
        """Wait for the end of *pid* and return its exit reason."""
        ended = asyncio.get_running_loop().create_future()
        pid.on_exit(lambda _: ended.done() or ended.set_result(None))
        await ended
        return pid.exit_reason

    async def diary_of(self, pid: Pid) -> list[Any]:
        """Return what a probe has written down, after it has handled all its messages."""
        return list(await sys.get_state(pid))

    async def end(self, pid: Pid, reason: Any) -> None:
        """End *pid* with *reason*, from inside where a signal would be ignored, and let everybody react."""
        if isinstance(reason, BaseException):
            pid.cast(raising(reason))
        elif reason is KILLED:
            exit(pid, KILL)
        else:
            pid.cast(returning(Stop(reason)))
        await self.dead(pid)
        await until_idle()

    async def rows(self, supervisor: Any) -> dict[Any, Any]:
        """Return the pid column of `which_children` by id, in start order."""
        return {row.id: row.pid for row in reversed(await which_children(supervisor))}

    # Asserting ---------------------------------------------------------------------------------------------------

    @contextmanager
    def exits(self, reason: Any) -> Iterator[Any]:
        """Expect `CallExit` with *reason*."""
        with self.assertRaises(CallExit) as caught:
            yield caught
        self.assertEqual(reason, caught.exception.reason)

    @contextmanager
    def does_not_start(self, reason: Any) -> Iterator[Any]:
        """Expect `StartFailed` with *reason*."""
        with self.assertRaises(StartFailed) as caught:
            yield caught
        self.assertEqual(reason, caught.exception.reason)

    @contextmanager
    def refused(self, reason: Any) -> Iterator[Any]:
        """Expect `UsageError` with *reason*."""
        with self.assertRaises(UsageError) as caught:
            yield caught
        self.assertEqual(reason, caught.exception.reason)

    @contextmanager
    def misuse(self, *words: str) -> Iterator[Any]:
        """Expect `UsageError` or `TypeError` that shows all *words*, and that no process or name came or went."""
        before = list(self.rt.processes), dict(self.rt.names)
        with self.assertRaises((UsageError, TypeError)) as caught:
            yield caught
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(before, (list(self.rt.processes), dict(self.rt.names)), "something was half started")


class Asynchronous:
    """Mixin: the same tests with servers whose callbacks are ``async def`` and suspend."""

    @staticmethod
    def flavour(server: type[GenServer]) -> type[GenServer]:
        return asynchronous(server)


class Seeded:
    """Mixin: the same tests while a seeded scheduler chooses who runs next."""

    runtime_options: ClassVar[dict[str, Any]] = {"seed": 20}


class Direct:
    """Mixin: the same tests with calls that run the handler inside the caller."""

    runtime_options: ClassVar[dict[str, Any]] = {"direct_calls": True}


class OnUvloop:
    """Mixin: the same tests on uvloop, if it is installed."""

    @classmethod
    def setUpClass(cls) -> None:
        try:
            import uvloop
        except ImportError:
            raise unittest.SkipTest("uvloop is not installed") from None
        super().setUpClass()
        cls.addClassCleanup(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
