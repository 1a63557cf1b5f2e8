"""`Nursery`: the parent's side of the zygote; where workers come from."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from supertester.errors import UsageError
from supertester.runner import wire
from supertester.runner.capture import Capture, open_file, read
from supertester.runner.declared import DeclaredTest
from supertester.runner.loading import Loaded
from supertester.runner.zygote import DESCRIPTORS, be_zygote, fork

__all__ = ["Nursery", "WorkerProcess"]


@dataclass(kw_only=True)
class WorkerProcess:
    """A worker, as its parent sees it."""

    number: int
    inbox: wire.Inbox
    output: int
    dumps: int
    lifeline: int
    capture: Capture = field(init=False)
    pid: int = 0
    status: int | None = None
    """How it ended: 0 or more is its exit status, less the number of a signal; ``None`` while it runs."""

    def __post_init__(self) -> None:
        self.capture = Capture(self.output)

    def stacks(self) -> str:
        """Return what the interpreter wrote of its threads since the last time."""
        return read(self.dumps)

    def tell(self, *message: Any) -> None:
        """Send it a message."""
        wire.send(self.inbox.channel, message)

    def close(self) -> None:
        """Give back what belongs to it; if it still runs, that ends it."""
        self.inbox.channel.close()
        for each in (self.output, self.dumps, self.lifeline):
            os.close(each)


class Nursery:
    """A zygote, and the workers that it forks.

    Args:
        make: Loads the tests, in the zygote.

    Raises:
        UsageError: There is nothing to load, as *make* says.
        RuntimeError: *make* raised something else, or ended the process.
    """

    def __init__(self, make: Callable[[], Loaded]) -> None:
        self.control, control = socket.socketpair()
        self._descriptors, descriptors = socket.socketpair()
        self._pid = fork()
        if self._pid == 0:
            try:
                self.control.close()
                self._descriptors.close()
                be_zygote(control, descriptors, make)
            finally:
                os._exit(1)
        control.close()
        descriptors.close()
        self.inbox = wire.Inbox(self.control)
        self._numbers = 0
        try:
            self.tests = self._loaded()
        except BaseException:
            self.kill()
            raise

    def _loaded(self) -> tuple[DeclaredTest, ...]:
        while not self.inbox.closed:
            for kind, *values in self.inbox.receive(wait=True):
                if kind == "loaded":
                    return tuple(wire.declared_from(each) for each in values[0])
                error, text = values
                raise (
                    UsageError(text) if error == "usage" else RuntimeError(f"loading the tests raised {error}: {text}")
                )
        raise RuntimeError("loading the tests ended the process; does a test module exit when it is imported?")

    def plan(self, settings: dict[str, Any], tests: Sequence[DeclaredTest]) -> None:
        """Let workers from now on run *tests*."""
        wire.send(self.control, ("plan", settings, [test.index for test in tests]))

    def fork(self, queue: int) -> WorkerProcess:
        """Begin a worker that takes units from the descriptor *queue*."""
        self._numbers += 1
        ours, theirs = socket.socketpair()
        lifeline, kept = os.pipe()
        output, dumps = open_file("output"), open_file("stacks")
        given = {"channel": theirs.fileno(), "queue": queue, "output": output, "dumps": dumps, "lifeline": lifeline}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # Then its end is seen elsewhere.
            wire.send(self.control, ("fork", self._numbers))
            socket.send_fds(self._descriptors, [b"f"], [given[name] for name in DESCRIPTORS])
        theirs.close()
        os.close(lifeline)
        return WorkerProcess(number=self._numbers, inbox=wire.Inbox(ours), output=output, dumps=dumps, lifeline=kept)

    def signal(self, worker: WorkerProcess, number: int, *, whole_group: bool = False) -> None:
        """Send a signal to *worker*, if it still runs."""
        wire.send(self.control, ("signal", worker.number, int(number), whole_group))

    def events(self) -> Iterator[tuple[Any, ...]]:
        """Yield what the zygote said: ``("forked", number, pid)`` and ``("exited", number, status)``."""
        yield from self.inbox.receive()

    def close(self) -> None:
        """End the zygote, and whatever workers are left, and wait for it."""
        self.control.close()
        self._descriptors.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.close()
