"""`Nursery`: the parent's side of the zygote; where workers come from."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from supertester._core.seeds import run_seed
from supertester.runner import frames
from supertester.runner.forking import DESCRIPTORS, fork

if TYPE_CHECKING:  # The zygote begins to load the tests as soon as it can, while its parent loads the rest.
    from supertester.runner.declared import DeclaredTest
    from supertester.runner.loading import Loaded
    from supertester.runner.plan import Settings

__all__ = ["Nursery", "WorkerProcess"]


class WorkerProcess:
    """A worker, as its parent sees it."""

    def __init__(self, *, number: int, inbox: frames.Inbox, output: int, dumps: int, lifeline: int) -> None:
        from supertester.runner.capture import Capture

        self.number = number
        self.inbox = inbox
        self.capture = Capture(output)
        self.status: int | None = None
        """How it ended: 0 or more is its exit status, less the number of a signal; ``None`` while it runs."""
        self._dumps = dumps
        self._kept = (output, dumps, lifeline)

    def stacks(self) -> str:
        """Return what the interpreter wrote of its threads since the last time."""
        from supertester.runner.capture import read

        return "\n".join(_without_runner(read(self._dumps).splitlines()))

    def tell(self, *message: Any) -> None:
        """Send it a message."""
        frames.send(self.inbox.channel, message)

    def close(self) -> None:
        """Give back what belongs to it; if it still runs, that ends it."""
        self.inbox.channel.close()
        for each in self._kept:
            os.close(each)


_OURS = __file__.replace("nursery.py", "walking.py")


def _without_runner(lines: Iterable[str]) -> Iterator[str]:
    """Leave out the lines of each thread from where the runner called the test."""
    is_ours = False
    for line in lines:
        if not line.startswith("  File"):
            is_ours = False
        is_ours = is_ours or _OURS in line
        if not is_ours:
            yield line


class Nursery:
    """A zygote, and the workers that it begins.

    Args:
        make: Loads the tests, in a zygote that is forked; ``None`` waits for `load` to say which, and gets ready
            meanwhile.
        loading: What to load, as `Options.loading` says it, in a zygote that is a fresh interpreter, as its workers
            will be.

    Raises:
        UsageError: ``SUPERTESTER_SEED`` holds no seed.
    """

    def __init__(self, make: Callable[[], Loaded] | None = None, *, loading: Mapping[str, Any] | None = None) -> None:
        seed = run_seed()  # Drawn here, so that all processes have it.
        self.control, control = socket.socketpair()
        self._descriptors, descriptors = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        if loading is None:
            self._pid = fork()
            if self._pid == 0:
                self._be_zygote(control, descriptors, lifeline, make)
        else:
            from supertester.runner.spawning import spawn_zygote

            self._pid = spawn_zygote(loading, seed, (control.fileno(), descriptors.fileno(), lifeline))
        control.close()
        descriptors.close()
        os.close(lifeline)
        self.inbox = frames.Inbox(self.control)
        self._numbers = 0
        self._is_gone = False
        self._tests: tuple[DeclaredTest, ...] | None = None

    def _be_zygote(
        self,
        control: socket.socket,
        descriptors: socket.socket,
        lifeline: int,
        make: Callable[[], Loaded] | None,
    ) -> NoReturn:
        try:
            self.control.close()
            self._descriptors.close()
            os.close(self._lifeline)
            from supertester.runner.zygote import be_zygote  # Here: the parent has no need of it.

            be_zygote(control, descriptors, lifeline, make)
        finally:
            os._exit(1)

    def load(self, loading: Mapping[str, Any]) -> None:
        """Let it load what `Options.loading` says."""
        frames.send(self.control, ("load", dict(loading)))

    @property
    def tests(self) -> tuple[DeclaredTest, ...]:
        """The tests that were loaded; the zygote does that meanwhile.

        Raises:
            UsageError: There is nothing to load, as *make* says.
            RuntimeError: *make* raised something else, or ended the process.
        """
        if self._tests is None:
            try:
                self._tests = self._loaded()
            except BaseException:
                self.kill()
                raise
        return self._tests

    def _loaded(self) -> tuple[DeclaredTest, ...]:
        from supertester.errors import UsageError
        from supertester.runner import wire

        while not self.inbox.closed:
            for kind, *values in self.inbox.receive(wait=True):
                if kind == "loaded":
                    return tuple(wire.declared_from(each) for each in values[0])
                error, text, trace = values
                if error == "usage":
                    raise UsageError(text)
                failure = RuntimeError(f"loading the tests raised {error}: {text}")
                failure.add_note(f"\nWhere the tests are loaded:\n{trace}")
                raise failure
        raise RuntimeError("loading the tests ended the process; does a test module exit when it is imported?")

    def plan(self, settings: Settings, tests: Sequence[DeclaredTest]) -> None:
        """Let workers from now on run *tests*."""
        if self.tests:  # They are loaded, so it listens.
            frames.send(self.control, ("plan", vars(settings), [test.index for test in tests]))

    def begin(self, queue: int) -> WorkerProcess:
        """Begin a worker that takes units from the descriptor *queue*."""
        self._numbers += 1
        ours, theirs = socket.socketpair()
        lifeline, kept = os.pipe()
        from supertester.runner.capture import open_file

        output, dumps = open_file("output"), open_file("stacks")
        given = {"channel": theirs.fileno(), "queue": queue, "output": output, "dumps": dumps, "lifeline": lifeline}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # Then its end is seen elsewhere.
            frames.send(self.control, ("begin", self._numbers))
            socket.send_fds(self._descriptors, [b"f"], [given[name] for name in DESCRIPTORS])
        theirs.close()
        os.close(lifeline)
        return WorkerProcess(number=self._numbers, inbox=frames.Inbox(ours), output=output, dumps=dumps, lifeline=kept)

    def signal(self, worker: WorkerProcess, number: int, *, whole_group: bool = False) -> None:
        """Send a signal to *worker*, if it still runs."""
        frames.send(self.control, ("signal", worker.number, int(number), whole_group))

    def events(self) -> Iterator[tuple[Any, ...]]:
        """Yield what the zygote said: ``("exited", number, status)`` of workers."""
        yield from self.inbox.receive()

    def close(self) -> None:
        """End the zygote, and whatever workers are left, and wait for it."""
        self.control.close()
        self._descriptors.close()
        if not self._is_gone:
            self._is_gone = True
            os.close(self._lifeline)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        if not self._is_gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self.close()
