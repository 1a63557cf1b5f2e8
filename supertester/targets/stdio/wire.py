"""How JSON messages are put on a pipe: frames with a length before them, or lines, and what the fields are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from supertester.errors import UsageError
from supertester.targets.stdio.errors import ProtocolViolation

__all__ = ["Decoder", "Wire"]

_FRAMINGS: Final = ("length", "lines")
_HEADER: Final = 4
_SHOWN: Final = 60


@dataclass(frozen=True, kw_only=True)
class Wire:
    r"""What two programs that exchange JSON have agreed on.

    Attributes:
        framing: ``"length"``: four bytes, the length, highest byte first, before each message; that is Erlang's
            ``{packet, 4}``. ``"lines"``: each message is a line.
        limit: Bytes of the longest message.
        id: The field by which an answer is matched with its request.
        command: The field with the name of the command.
        args: The field with its arguments.
        success: The field that says whether it succeeded; ``None``: it did unless there is an error.
        result: The field with the result.
        error: The field with the error.

    >>> Wire(framing="lines").encode({"id": 1})
    b'{"id":1}\n'
    >>> Wire().encode({"id": 1})
    b'\x00\x00\x00\x08{"id":1}'
    """

    framing: str = "length"
    limit: int = 16 << 20
    id: str = "id"
    command: str = "command"
    args: str = "args"
    success: str | None = "success"
    result: str = "result"
    error: str = "error"

    def __post_init__(self) -> None:
        if self.framing not in _FRAMINGS:
            raise UsageError(f"framing must be 'length' or 'lines', got framing={self.framing!r}")
        if isinstance(self.limit, bool) or not isinstance(self.limit, int):
            raise TypeError(f"limit must be a number of bytes, got limit={self.limit!r}")
        if not 1 <= self.limit < 1 << 32:
            raise UsageError(f"limit must be from 1 to 4294967295 bytes, got limit={self.limit!r}")

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """Return *message* as it goes over the pipe.

        Raises:
            UsageError: It is longer than `limit`.
            TypeError: JSON has no such values.
        """
        data = json.dumps(message, separators=(",", ":")).encode()
        if len(data) > self.limit:
            raise UsageError(f"a message of {len(data)} bytes is longer than the limit of {self.limit}")
        return data + b"\n" if self.framing == "lines" else len(data).to_bytes(_HEADER, "big") + data

    def decoder(self) -> Decoder:
        """Return what finds the messages in what comes out of a pipe."""
        return Decoder(self)

    def request(self, number: Any, command: str, args: Any, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request."""
        return {self.id: number, self.command: command, self.args: args, **more}

    def success_of(self, number: Any, result: Any) -> dict[str, Any]:
        """Return the answer to a request that succeeded."""
        flag = {} if self.success is None else {self.success: True}
        return {self.id: number, **flag, self.result: result}

    def failure_of(self, number: Any, error: Any) -> dict[str, Any]:
        """Return the answer to a request that failed."""
        flag = {} if self.success is None else {self.success: False}
        return {self.id: number, **flag, self.error: error}

    def succeeded(self, answer: Mapping[str, Any]) -> bool:
        """Say whether *answer* is that of a request that succeeded."""
        return self.error not in answer if self.success is None else bool(answer.get(self.success))


class Decoder:
    """Finds the messages in what comes out of a pipe, however it is cut into pieces."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = bytearray()
        self._searched = 0

    @property
    def pending(self) -> int:
        """The bytes of a message that has only begun."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take in *data* and return the messages that are whole now.

        Raises:
            ProtocolViolation: Something else than messages came; nothing after it can be understood.
        """
        self._rest += data
        found = []
        while (frame := self._frame()) is not None:
            found.append(self._message(frame))
        return found

    def _frame(self) -> bytes | None:
        return self._line() if self._wire.framing == "lines" else self._packet()

    def _packet(self) -> bytes | None:
        if len(self._rest) < _HEADER:
            return None
        length = int.from_bytes(self._rest[:_HEADER], "big")
        self._check(length)
        if len(self._rest) < _HEADER + length:
            return None
        return self._take(_HEADER, _HEADER + length)

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\n", self._searched)
        self._check(len(self._rest) if end < 0 else end)
        if end < 0:
            self._searched = len(self._rest)
            return None
        self._searched = 0
        return self._take(0, end + 1)

    def _take(self, start: int, end: int) -> bytes:
        frame = bytes(self._rest[start:end])
        del self._rest[:end]
        return frame

    def _check(self, length: int) -> None:
        if length > self._wire.limit:
            raise ProtocolViolation(
                f"a frame of {length} bytes was announced, the limit is {self._wire.limit}: {_excerpt(self._rest)}"
                if self._wire.framing == "length"
                else f"a line has {length} bytes, the limit is {self._wire.limit}: {_excerpt(self._rest)}"
            )

    @staticmethod
    def _message(frame: bytes) -> dict[str, Any]:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError) as error:
            raise ProtocolViolation(f"not JSON ({error}): {_excerpt(frame)}") from error
        if not isinstance(message, dict):
            raise ProtocolViolation(f"not a JSON object: {_excerpt(frame)}")
        return message


def _excerpt(data: bytes | bytearray) -> str:
    return repr(bytes(data[:_SHOWN])) + (" ..." if len(data) > _SHOWN else "")
