"""`start_process`: any program, in a process of its own that is ready when the test goes on and gone when it ends."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self

from supertester._core.waiting import Bell, checked_seconds, wait_until
from supertester.context import current_context
from supertester.errors import StartFailed, UsageError, WaitTimeout
from supertester.targets.death import told_of_death
from supertester.targets.looks import Looks
from supertester.targets.output import Output
from supertester.targets.readiness import FdReady, Readiness
from supertester.targets.reaper import reaper
from supertester.targets.system import need_posix
from supertester.targets.tree import descendants, kill_tree, living, signal_group, stand_still

if TYPE_CHECKING:
    import psutil

__all__ = ["ExternalProcess", "start_process"]

_KEPT: Final = 1 << 20
"""Bytes of output that are kept."""
_SHOWN: Final = 20
"""Lines of output that failures show."""
_LAST_WORDS: Final = 0.5
"""Seconds in which a program that has ended has to have closed its output, unless others hold it open."""
_KILL: Final = 5.0
"""Seconds in which a killed process has to be gone."""
_STILL: Final = 5.0
"""Seconds in which a suspended process has to stand still."""


async def start_process(
    argv: Sequence[str | os.PathLike[str]],
    *,
    ready: Readiness | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 10.0,
    grace: float = 5.0,
    pass_fds: Iterable[Any] = (),
    stdout: Any = None,
    name: str | None = None,
) -> ExternalProcess:
    r"""Start a program, wait until it is ready, and return it.

    It has a process group of its own, and its output is kept and shown when the test fails. It ends at the end of the
    test, or of an ``async with`` block, with all that it has started: first asked by SIGTERM, and killed after *grace*
    seconds. Nothing is left even if the process of the tests is killed.

    Args:
        argv: The program and its arguments, e.g. ``[sys.executable, "-m", "http.server", str(port.release_to())]``.
        ready: How it says that it is ready: `LineReady`, `FdReady`, `HttpReady`, `GrpcReady` or `PortReady`; without
            any it is at once.
        env: Variables on top of those of this process.
        cwd: Where it runs.
        timeout: Seconds in which it has to be ready.
        grace: Seconds that it has to end by itself when it is asked to.
        pass_fds: Descriptors, or what has a ``fileno()`` such as a reserved port, that it inherits under the same
            number.
        stdout: A descriptor, or what has a ``fileno()``, that its standard output goes to instead; what is kept and
            shown is its standard error alone then.
        name: What messages call it; by default the name of the program.

    Raises:
        StartFailed: It cannot be started, or ends before it is ready; its output is in the message.
        WaitTimeout: It is not ready in time; it has been killed, and its output is in the message.
        UsageError: The arguments make no sense.
        Unsupported: This system has no process groups; Windows has none.

    Example::

        server = await start_process([sys.executable, "server.py", "0"], ready=LineReady("listening on"))
        port = int(server.find(r"listening on (\d+)").group(1))
    """
    need_posix("start_process()", "process groups and signals")
    process = ExternalProcess(_checked_argv(argv), ready, grace=checked_seconds("grace", grace), name=name)
    checked_seconds("timeout", timeout)
    if ready is not None and not isinstance(ready, Readiness):
        raise TypeError(f"ready must be a readiness such as LineReady('listening'), got ready={ready!r}")
    out = None if stdout is None else _descriptor(stdout)
    process._begin({**os.environ, **(env or {})}, cwd, [_descriptor(each) for each in pass_fds], out)
    try:
        await process._become_ready(timeout)
    except BaseException as error:
        await process.stop(grace=0)
        if isinstance(error, WaitTimeout):
            raise WaitTimeout(f"{error}\n{process.report()}") from None
        raise
    return process


def _checked_argv(argv: Any) -> list[str]:
    if isinstance(argv, (str, bytes)) or not isinstance(argv, Sequence):
        raise TypeError(f"argv must be a list of strings, the program and its arguments, got argv={argv!r}")
    if not argv:
        raise UsageError("argv must have the program at least, got argv=[]")
    return [os.fspath(each) for each in argv]


def _descriptor(thing: Any) -> int:
    return thing if isinstance(thing, int) else int(thing.fileno())


class ExternalProcess:
    """A program that runs; see `start_process`.

    Attributes:
        argv: What was started.
        name: What messages call it.
    """

    def __init__(self, argv: list[str], ready: Readiness | None, *, grace: float, name: str | None) -> None:
        self.argv = tuple(argv)
        self.name = name or Path(argv[0]).name
        self._ready = ready
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._bells: set[Bell] = set()
        self._ready_pipe = -1
        self._refusal = ""
        self._stopped = False
        self._popen: subprocess.Popen[bytes]
        self._output: Output

    # Starting ----------------------------------------------------------------------------------------------------

    def _begin(
        self, env: Mapping[str, str], cwd: str | os.PathLike[str] | None, inherited: list[int], out: int | None
    ) -> None:
        reading, writing = os.pipe()
        with ExitStack() as closing:
            closing.callback(os.close, writing)
            variables = {**env, **reaper.environment()}
            if isinstance(self._ready, FdReady):
                self._ready_pipe, telling = os.pipe()
                os.set_blocking(self._ready_pipe, False)
                closing.callback(os.close, telling)
                inherited = [*inherited, telling]
                variables[self._ready.variable] = str(telling)
            try:
                self._popen = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.PIPE,
                    stdout=writing if out is None else out,
                    stderr=writing,
                    env=variables,
                    cwd=cwd,
                    pass_fds=inherited,
                    start_new_session=True,
                    bufsize=0,
                )
            except OSError as error:
                os.close(reading)
                self._close_ready_pipe()
                raise StartFailed(str(error), kind="program", name=self.name) from error
        reaper.add(self.pid)
        self._output = Output(reading, _KEPT, self._ring, f"supertester-output-{self.pid}")
        context = current_context.get()
        if context is not None and not context.closed:
            context.add_cleanup(self.stop)
            context.evidence.append(self.report)

    async def _become_ready(self, timeout: float) -> None:
        if self._ready is None:
            return
        looks, deadline = Looks(self._ready, self._loop.time), self._loop.time() + timeout
        with self._waking(death=True) as bell:
            await wait_until(
                partial(self._look, looks, deadline),
                f"{self.name} to be ready ({self._ready!r})",
                timeout=timeout,
                bell=bell,
                seen=lambda: looks.seen() if self.is_alive() else "it has ended",
            )

    async def _look(self, looks: Looks, deadline: float) -> bool:
        has_ended = not self.is_alive()
        if await looks.look(self, at_once=has_ended or self._loop.time() >= deadline):
            return True
        if has_ended:
            self._output.close(_LAST_WORDS)
            if await looks.look(self, at_once=True):  # Its last words.
                return True
            raise StartFailed(
                f"it ended with {self.outcome} before it was ready\n{self.report()}", kind="program", name=self.name
            )
        return False

    def told_ready(self) -> bool:
        """Say whether it has written to the descriptor of `FdReady`."""
        with suppress(BlockingIOError):
            return bool(os.read(self._ready_pipe, 1))
        return False

    # Waking who waits --------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        with suppress(RuntimeError):  # The loop is closed: nobody waits.
            self._loop.call_soon_threadsafe(self._ring_here)

    def _ring_here(self) -> None:
        for bell in self._bells:
            bell.ring()

    @contextmanager
    def _waking(self, *, death: bool) -> Iterator[Bell]:
        """Yield a bell that rings for output and, if asked for, for the end."""
        bell = Bell()
        self._bells.add(bell)
        watching = told_of_death(self._popen, bell.ring) if death and self.is_alive() else nullcontext()
        try:
            with watching:
                yield bell
        finally:
            self._bells.discard(bell)

    # What it is ----------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The operating system's number of the process, which is also that of its group."""
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        """Its standard input, a pipe without a buffer."""
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def output(self) -> str:
        """What it has written to its output and its errors; the last megabyte of it."""
        return self._output.text

    @property
    def lines(self) -> str:
        """The same without what it has begun to write since its last line."""
        output = self.output
        return output if not self.is_alive() else output[: output.rfind("\n") + 1]

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal, or ``None`` while it runs."""
        return self._popen.poll()

    @property
    def outcome(self) -> str:
        """How it ended, in words, e.g. ``"signal SIGKILL"``."""
        code = self.returncode
        if code is None:
            return "nothing yet, it runs"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def is_alive(self) -> bool:
        """Say whether it runs; one that is suspended does."""
        return self.returncode is None

    def find(self, pattern: str) -> re.Match[str]:
        """Return where the regular expression *pattern* is found first in the output.

        Raises:
            AssertionError: Nowhere.
        """
        found = re.search(pattern, self.output, re.MULTILINE)
        if found is None:
            raise AssertionError(f"{self.name} has not written anything like {pattern!r}\n{self.report()}")
        return found

    def report(self) -> str:
        """Return what it is and the last lines that it has written."""
        lines = self.output.splitlines()
        state = "runs" if self.is_alive() else f"ended with {self.outcome}{self._refusal}"
        said = [f"  | {line}" for line in lines[-_SHOWN:]] or ["  | (nothing)"]
        dropped = [f"  | ... {len(lines) - _SHOWN} lines before"] if len(lines) > _SHOWN else []
        return "\n".join([f"output of {self.name} (pid {self.pid}, {state}):", *dropped, *said])

    def children(self) -> list[psutil.Process]:
        """Return what it has started, directly or not."""
        return descendants(self.pid)

    def measured(self) -> psutil.Process:
        """Return it as a ``psutil.Process``, to be asked for memory, processor time, descriptors and threads."""
        import psutil

        return psutil.Process(self.pid)

    # Waiting -----------------------------------------------------------------------------------------------------

    async def wait(self, timeout: float = 10.0) -> int:
        """Wait until it has ended, and return its exit status; `output` has all that it has written then.

        Raises:
            WaitTimeout: It has not.
        """
        code = await self._ended(timeout)
        is_read = self._output.catch_up()
        with self._waking(death=False) as bell:
            await wait_until(is_read, "its last words", timeout=math.inf, bell=bell)
            with suppress(WaitTimeout):  # What it has started may hold the pipe open.
                await wait_until(lambda: self._output.has_ended, "their end", timeout=_LAST_WORDS, bell=bell)
        return code

    async def _ended(self, timeout: float) -> int:
        with self._waking(death=True) as bell:
            bell.certain = True
            await wait_until(
                lambda: not self.is_alive(), f"{self.name} to end", timeout=timeout, bell=bell, seen=self.report
            )
        code = self.returncode
        assert code is not None
        return code

    async def wait_for_output(self, pattern: str, timeout: float = 10.0) -> re.Match[str]:
        """Wait until the regular expression *pattern* is found in the lines that it has written, and return where.

        Raises:
            WaitTimeout: That does not happen.
        """
        with self._waking(death=False) as bell:
            return await wait_until(
                lambda: re.search(pattern, self.lines, re.MULTILINE),
                f"{self.name} to write {pattern!r}",
                timeout=timeout,
                bell=bell,
                seen=self.report,
            )

    # Acting on it ------------------------------------------------------------------------------------------------

    def send_signal(self, number: int) -> None:
        """Send a signal to it alone."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it, and all that it has started."""
        kill_tree(self.pid)

    def suspend(self) -> None:
        """Let it and its group stand still, as if it hung; block until they do.

        Raises:
            WaitTimeout: Somebody has not come to a stand in five seconds.
        """
        if moving := stand_still(self.pid, _STILL):
            raise WaitTimeout(f"{self.name} does not stand still within {_STILL:g} s after SIGSTOP: {moving}")

    def resume(self) -> None:
        """Let it go on."""
        signal_group(self.pid, signal.SIGCONT)

    async def stop(self, *, grace: float | None = None) -> None:
        """End it with all that it has started: ask it to, and kill it after *grace* seconds; later calls do nothing.

        Raises:
            AssertionError: Something cannot be killed; the message names it.
        """
        if self._stopped:
            return
        self._stopped = True
        started = descendants(self.pid)
        try:
            await self._ask_to_end(self._grace if grace is None else grace)
        finally:
            await self._be_gone(kill_tree(self.pid, started))

    async def _ask_to_end(self, grace: float) -> None:
        if not self.is_alive() or not grace:
            return
        self.stdin.close()
        self.send_signal(signal.SIGTERM)
        signal_group(self.pid, signal.SIGCONT)  # One that is suspended could not hear it.
        try:
            await self._ended(grace)
        except WaitTimeout:
            self._refusal = f", as it had not ended {grace:g} s after it was asked to"

    async def _be_gone(self, started: list[psutil.Process]) -> None:
        try:
            with self._waking(death=True) as bell:
                await wait_until(
                    lambda: not self.is_alive() and not living(started),
                    f"{self.name} to be gone after it was killed",
                    timeout=_KILL,
                    bell=bell,
                    seen=lambda: f"{self.name} {self.outcome}, of what it started {living(started)}",
                )
        finally:
            if not self.is_alive():
                reaper.discard(self.pid)
            self.stdin.close()
            self._output.close(_LAST_WORDS)
            self._close_ready_pipe()

    def _close_ready_pipe(self) -> None:
        if self._ready_pipe >= 0:
            os.close(self._ready_pipe)
            self._ready_pipe = -1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<ExternalProcess {self.name} {self.pid}, {'alive' if self.is_alive() else self.outcome}>"
