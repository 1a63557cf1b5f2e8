"""`Root`: a process without handlers, which collects its mailbox for whoever asks (rule 33)."""

from __future__ import annotations

import asyncio
from typing import Any

from supertester._core.clock import checked_timeout
from supertester.errors import WaitTimeout
from supertester.otp.drive import wake
from supertester.otp.messages import Failure, System, payload_of
from supertester.otp.process import Process
from supertester.otp.reasons import INFINITY
from supertester.otp.results import NOTHING
from supertester.otp.runtime import Runtime

__all__ = ["Root", "matches"]


class Root(Process):
    """A process that only receives: the body of a test. It traps exits, so no crash of a server ends it."""

    __slots__ = ("arrivals",)

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, None, None)
        self.initial_call = name
        self.trap_exit = True
        self.current = None  # It has no handler that could be running; `scheduled` stays true: nobody is to run it.
        self.arrivals: set[asyncio.Future[None]] = set()
        append = self.open_mailbox().append

        def put(entry: Any) -> None:
            if isinstance(entry, System):
                entry.settle(Failure("not_a_server"))  # Nobody would ever answer.
                return
            append(entry)
            if self.arrivals:
                runtime.loop.call_soon_threadsafe(self._arrived)

        self.put = put

    def _arrived(self) -> None:
        for arrival in self.arrivals:
            wake(arrival)

    def __repr__(self) -> str:
        return f"<Pid {self.id} {self.initial_call}>"

    def runs_here(self) -> bool:
        return True  # Whoever acts as the root is its body, which cannot answer while it waits.

    @property
    def messages(self) -> list[Any]:
        """What has arrived and was not taken by `receive`, oldest first."""
        return [payload_of(entry)[1] for entry in list(self.queue)]

    async def receive(self, match: Any = NOTHING, timeout: float = 5.0) -> Any:
        """Take and return the first message that matches, waiting for it; the others stay, in order.

        Args:
            match: A value to equal, a class to be an instance of, or a predicate. Left out: any message.
            timeout: Seconds to wait; 0 looks once.

        Raises:
            WaitTimeout: None came; the message says what did.
        """
        clock = self.runtime.clock
        deadline = clock.time() + checked_timeout(timeout)
        while True:
            for index, entry in enumerate(list(self.queue)):
                message = payload_of(entry)[1]
                if matches(match, message):
                    del self.queue[index]
                    return message
            if clock.time() >= deadline:
                wanted = "a message" if match is NOTHING else f"a message that matches {match!r}"
                raise WaitTimeout(f"no {wanted[2:]} within {timeout} s; the mailbox holds {self.messages!r}")
            arrival = self.runtime.loop.create_future()
            self.arrivals.add(arrival)
            timer = None if timeout == INFINITY else clock.call_at(deadline, wake, arrival)
            try:
                await arrival
            finally:
                self.arrivals.discard(arrival)
                if timer is not None:
                    timer.cancel()


def matches(match: Any, message: Any) -> bool:
    """Say whether *message* is what *match* asks for: a value, a class or a predicate."""
    if match is NOTHING:
        return True
    if isinstance(match, type):
        return isinstance(message, match)
    if callable(match):
        return bool(match(message))
    return bool(match == message)
