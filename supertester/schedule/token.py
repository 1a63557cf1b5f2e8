"""Replay tokens: one schedule of a program as a short text that is valid in every process and every Python.

A token has the *forced switches* of a schedule: the choices that differ from its course, which is to stay on a lane
until it blocks and then go on with the one whose turn came first (see `supertester.schedule.strategies.replay`). Lanes
are named by where they come from, never by what they are called or where they lie in memory. A token is no seed: it
means the same to every version of every strategy.

The text is ``s1.`` and, in the URL-safe alphabet of base 64, the compressed numbers (LEB128, as in DWARF).
"""

from __future__ import annotations

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from supertester.errors import UsageError

__all__ = ["Path", "Schedule", "Switch", "fingerprint", "shown_path"]

Path = tuple[int, ...]
"""The name of a lane: which child it is of which child of ... the main task's lane, which is ``(0,)``."""

_PREFIX: Final = "s1."
_LEAST: Final = -2
"""The least number in the name of a lane; those of faults begin with negative ones."""


class Switch(NamedTuple):
    """One forced switch, named by the lane that gives way and not by what had happened before in others.

    So it is still the same one where another version of Python takes a step more or less elsewhere.

    Attributes:
        giving: The lane that would go on.
        turn: At which of its turns it gives way, from 1.
        lane: The lane that goes on instead.
    """

    giving: Path
    turn: int
    lane: Path


@dataclass(frozen=True)
class Schedule:
    """One schedule of a program.

    Attributes:
        switches: Its forced switches, in order.
        choices: How many choices it has in all, in the Python that made it.
        seed: What the random numbers of the program come from.
        program: The `fingerprint` of the program's name.

    >>> schedule = Schedule((Switch((0, 1), 4, (0, 2)),), choices=9, seed=5, program=fingerprint("test_bank"))
    >>> Schedule.of_token(schedule.token()) == schedule
    True
    """

    switches: tuple[Switch, ...]
    choices: int
    seed: int = 0
    program: int = 0

    def token(self) -> str:
        """Return the token: one line of letters, digits, ``.``, ``-`` and ``_``."""
        packed = zlib.compress(bytes(_packed(self._numbers())), 9)
        return _PREFIX + urlsafe_b64encode(packed).decode().rstrip("=")

    def _numbers(self) -> Iterator[int]:
        yield from (self.choices, self.seed, self.program, len(self.switches))
        for switch in self.switches:
            yield switch.turn
            for lane in (switch.giving, switch.lane):
                yield from (len(lane), *(number - _LEAST for number in lane))

    @classmethod
    def of_token(cls, token: str) -> Schedule:
        """Return the schedule that *token* stands for.

        Raises:
            UsageError: It is none, is damaged, or was made by another version.
            TypeError: It is no text.
        """
        if not isinstance(token, str):
            raise TypeError(f"a replay token is a text such as 's1.eJx...', got {token!r}")
        token = token.strip()
        try:
            numbers = _unpacked(_decoded(token))
            choices, seed, program, count = (next(numbers) for _ in range(4))
            switches = tuple(_switches(numbers, count))
        except StopIteration:
            raise _damaged(token) from None
        except RuntimeError as error:  # What a generator makes of a `StopIteration` inside it.
            raise _damaged(token) from error
        return cls(switches, choices, seed, program)


def _switches(numbers: Iterator[int], count: int) -> Iterator[Switch]:
    for _ in range(count):
        turn = next(numbers)
        giving, lane = (tuple(next(numbers) + _LEAST for _ in range(next(numbers))) for _ in range(2))
        yield Switch(giving, turn, lane)


def _decoded(token: str) -> bytes:
    if not token.startswith(_PREFIX):
        head = token.partition(".")[0]
        if head[:1] == "s" and head[1:].isdecimal():
            raise UsageError(
                f"the replay token {_short(token)} has format {head!r}, and this version of the library reads "
                f"{_PREFIX[:-1]!r}; explore the test again, or use the version that printed it"
            )
        raise UsageError(f"{_short(token)} is no replay token; one begins with {_PREFIX!r} and is printed by a failure")
    body = token.removeprefix(_PREFIX)
    try:
        return zlib.decompress(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, zlib.error, ValueError):
        raise _damaged(token) from None


def _damaged(token: str) -> UsageError:
    return UsageError(f"the replay token {_short(token)} is damaged; copy the whole line, which has no spaces")


def _short(token: str) -> str:
    return repr(token if len(token) <= 40 else f"{token[:37]}...")


def _packed(numbers: Iterable[int]) -> Iterator[int]:
    for number in numbers:
        while number > 0x7F:
            yield number & 0x7F | 0x80
            number >>= 7  # noqa: PLW2901 - the rest of it
        yield number


def _unpacked(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0


def fingerprint(name: str) -> int:
    """Return two bytes that tell a program called *name* from most others."""
    return int.from_bytes(blake2b(name.encode(), digest_size=2).digest(), "big")


def shown_path(path: Path) -> str:
    """Return the name of a lane for readers.

    >>> shown_path((0, 2, 1))
    '0.2.1'
    """
    return ".".join(map(str, path))
