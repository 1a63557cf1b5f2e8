"""How processes of a run talk: frames of plain data over sockets, and outcomes as such data.

Only plain data crosses, never a test: ids and numbers go there, numbers and text come back.
"""

from __future__ import annotations

import marshal
import socket
import struct
from collections.abc import Iterator
from typing import Any

from supertester.runner import exceptions
from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import Attachment, Problem, Subtest, TestOutcome

__all__ = ["Inbox", "declared_from", "declared_to", "frame", "outcome_from", "outcome_to", "send"]

_HEAD = struct.Struct("=I")
_CHUNK = 1 << 18
_NOW = getattr(socket, "MSG_DONTWAIT", 0)


def frame(message: tuple[Any, ...]) -> bytes:
    """Return *message* as bytes that `Inbox` takes apart."""
    data = marshal.dumps(message)
    return _HEAD.pack(len(data)) + data


def send(channel: socket.socket, message: tuple[Any, ...]) -> bool:
    """Send *message*, and say whether there still was somebody to receive it."""
    try:
        channel.sendall(frame(message))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


class Inbox:
    """Receives the frames of one sender."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.closed = False
        """Whether the sender is gone; what it sent before has been received."""
        self._buffer = bytearray()

    def receive(self, *, wait: bool = False) -> Iterator[tuple[Any, ...]]:
        """Yield what has arrived; with *wait*, something or the end."""
        self._read(0 if wait else _NOW)
        yield from self._frames()

    def drain(self) -> Iterator[tuple[Any, ...]]:
        """Yield all that has arrived, from a sender that is gone."""
        while self._read(_NOW):
            yield from self._frames()

    def _read(self, flags: int) -> bool:
        try:
            data = self.channel.recv(_CHUNK, flags)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self._buffer += data
        return True

    def _frames(self) -> Iterator[tuple[Any, ...]]:
        begin, have = 0, len(self._buffer)
        try:
            while have - begin >= _HEAD.size:
                (size,) = _HEAD.unpack_from(self._buffer, begin)
                end = begin + _HEAD.size + size
                if end > have:
                    break
                message: tuple[Any, ...] = marshal.loads(bytes(self._buffer[begin + _HEAD.size : end]))
                begin = end
                yield message
        finally:  # Also if nobody wants the rest yet.
            del self._buffer[:begin]


# Values as plain data ------------------------------------------------------------------------------------------------


def declared_to(test: DeclaredTest) -> tuple[Any, ...]:
    """Return *test* as plain data."""
    names = type(test).__slots__
    return tuple(dict(test.tags) if name == "tags" else getattr(test, name) for name in names)


def declared_from(data: tuple[Any, ...]) -> DeclaredTest:
    """Return the test that `declared_to` made *data* of."""
    return DeclaredTest(**dict(zip(DeclaredTest.__slots__, data, strict=True)))


def outcome_to(outcome: TestOutcome, output: str) -> tuple[Any, ...]:
    """Return what there is to say of *outcome*, but for which test it is of, as plain data."""
    if outcome.outcome == "passed" and not (output or outcome.subtests_run or outcome.reason or outcome.attachments):
        return ("passed", outcome.started, outcome.duration)
    return (
        outcome.outcome,
        outcome.started,
        outcome.duration,
        output,
        outcome.reason,
        outcome.subtests_run,
        tuple((each.description, each.outcome, each.reason) for each in outcome.subtests),
        tuple(_problem_to(each) for each in outcome.problems),
        tuple((each.name, each.kind, each.content) for each in outcome.attachments),
    )


def _problem_to(problem: Problem) -> tuple[Any, ...]:
    packed = exceptions.pack(problem.exception) if problem.exception is not None else None
    return (problem.kind, problem.message, problem.details, problem.subtest, packed)


def outcome_from(
    data: tuple[Any, ...], declared: DeclaredTest | None, *, worker: int, test_id: str = ""
) -> TestOutcome:
    """Return the outcome of *declared*, or of the fixture *test_id*, that `outcome_to` made *data* of."""
    name, started, duration, *more = data
    given: dict[str, Any] = {}
    if more:
        output, reason, run, subtests, problems, attachments = more
        given = {
            "output": output,
            "reason": reason,
            "subtests_run": run,
            "subtests": tuple(Subtest(description=d, outcome=o, reason=r) for d, o, r in subtests),
            "problems": tuple(_problem_from(*each) for each in problems),
            "attachments": tuple(Attachment(name=n, kind=k, content=c) for n, k, c in attachments),
        }
    return TestOutcome(
        test_id=declared.test_id if declared is not None else test_id,
        outcome=name,
        declared=declared,
        started=started,
        duration=duration,
        worker=worker,
        attempt=declared.attempt if declared is not None else 1,
        **given,
    )


def _problem_from(kind: Any, message: str, details: str, subtest: str | None, packed: bytes | None) -> Problem:
    exception = exceptions.unpack(packed) if packed is not None else None
    return Problem(kind=kind, message=message, details=details, subtest=subtest, exception=exception)
