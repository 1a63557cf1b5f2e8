"""`Recording`: log records in the order in which they were made, bounded, and waiting for one of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from supertester._core.clock import Clock
from supertester._core.evidence import shown
from supertester._core.naming import describe
from supertester._core.waiting import Bell, checked_seconds, wait_until

__all__ = ["Entry", "KeptRecord", "Pattern", "Recording", "entry_of"]

Pattern = str | re.Pattern[str] | Callable[[logging.LogRecord], object]

_LONGEST: Final = 10_000
"""Characters that are kept of a message and of a traceback."""
_SHOWN: Final = 1000
"""Characters of a record that the report of a failure shows."""

_formatter = logging.Formatter()


class KeptRecord(logging.LogRecord):
    """A record without the objects that it was about: keeping them would keep them alive.

    It has its ``message``, and ``exc_text`` for a traceback; ``args`` is empty and ``exc_info`` has the class alone.
    """

    def getMessage(self) -> str:  # noqa: N802 - the name is that of the base class
        """Return the message."""
        return self.message


class Entry(NamedTuple):
    """A record and its text, which is made at once, as what it shows may change."""

    record: logging.LogRecord
    message: str
    exception: str

    @property
    def text(self) -> str:
        """The record as ``assertLogs`` would show it: level, logger, message, traceback."""
        line = f"{self.record.levelname}:{self.record.name}:{self.message}"
        return f"{line}\n{self.exception}" if self.exception else line

    def without_objects(self) -> Entry:
        """Return the entry with a `KeptRecord`."""
        record = self.record
        message, exception = _cut(self.message, _LONGEST), _cut(self.exception, _LONGEST)
        kept = KeptRecord.__new__(KeptRecord)
        kept.__dict__.update(record.__dict__)
        kept.message, kept.args, kept.exc_text = message, (), exception or None
        kept.msg = record.msg if isinstance(record.msg, str) else message
        kept.exc_info = (record.exc_info[0], None, None) if isinstance(record.exc_info, tuple) else None  # type: ignore[assignment]
        return Entry(kept, message, exception)


def entry_of(record: logging.LogRecord) -> Entry:
    """Return *record* with its text. The record stays as it is: formatters leave their text in it for the next one."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - of the user's values; logging would print it and go on
        message = f"{shown(record.msg)} % {shown(record.args)} cannot be formatted: {shown(error)}"
    exception = record.exc_text or ""
    if isinstance(record.exc_info, tuple) and not exception:
        exception = _formatter.formatException(record.exc_info)
    return Entry(record, message, exception)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text) - longest} more characters)"


class Recording:
    """The last records of something.

    Records come from any thread and are read from any; no lock is held, so that a child that is forked off meanwhile
    finds none taken.

    Args:
        limit: How many are kept; older ones are dropped, and `text` says so.
        clock: Returns the clock by which `wait_for` waits; ``None`` stands for that of the event loop.
    """

    def __init__(self, limit: int, clock: Callable[[], Clock | None]) -> None:
        self.limit = limit
        self._clock = clock
        self._entries: deque[tuple[int, Entry]] = deque(maxlen=limit)
        self._serial = itertools.count(1)
        self._waiters: list[_Waiter] = []

    def add(self, entry: Entry) -> None:
        """Record *entry*, and wake who waits for it."""
        self._entries.append((next(self._serial), entry))
        for waiter in tuple(self._waiters):
            waiter.look_at(entry)

    def _numbered(self) -> list[tuple[int, Entry]]:
        while True:
            try:
                return list(self._entries)
            except RuntimeError:  # Another thread logged meanwhile.
                continue

    @property
    def entries(self) -> list[Entry]:
        """What is kept, oldest first."""
        return [entry for _, entry in self._numbered()]

    @property
    def records(self) -> list[logging.LogRecord]:
        """The records that are kept, oldest first."""
        return [entry.record for entry in self.entries]

    @property
    def dropped(self) -> int:
        """How many records were dropped because there were too many."""
        numbered = self._numbered()
        return max((serial for serial, _ in numbered), default=0) - len(numbered)

    @property
    def text(self) -> str:
        """The records as text, a line for each: level, logger and message, then the traceback if there is one."""
        lines = [entry.text for entry in self.entries]
        if dropped := self.dropped:
            lines.insert(0, f"({dropped} older records were dropped: {self.limit} are kept)")
        return "".join(line + "\n" for line in lines)

    def last(self, count: int) -> list[str]:
        """Return the last *count* records as text, the long ones cut."""
        return [_cut(entry.text, _SHOWN) for entry in self.entries[-count:]]

    async def wait_for(self, pattern: Pattern, timeout: float = 1.0) -> logging.LogRecord:
        """Wait for a record that matches, and return it; also if it is there already.

        Nothing is polled: the record itself ends the wait, from whatever thread it comes.

        Args:
            pattern: A part of the message, a compiled regular expression that is found in it, or a function that is
                given the record.
            timeout: Seconds, on the clock of the test.

        Raises:
            WaitTimeout: It did not come; the message shows the last records.
            TypeError: *pattern* is none of these.

        Example::

            with self.logs.capture("INFO") as captured:
                server.restart()
                await captured.wait_for(re.compile("listening on port [0-9]+"))
        """
        checked_seconds("timeout", timeout)
        matches, wanted = _matcher(pattern)
        bell = Bell(certain=True)
        waiter = _Waiter(matches, asyncio.get_running_loop(), bell)
        # Listening before looking: a record of another thread must not slip through in between.
        self._waiters.append(waiter)
        try:
            for entry in self.entries:
                waiter.look_at(entry)
            return await wait_until(
                waiter.found, f"a log record {wanted}", timeout=timeout, clock=self._clock(), seen=self._seen, bell=bell
            )
        finally:
            self._waiters.remove(waiter)

    def _seen(self) -> str:
        last = self.last(5)
        if not last:
            return "no record at all; one below the level of its logger is not made, see isolate_level() and capture()"
        return "\n  " + "\n".join(last).replace("\n", "\n  ")


class _Waiter:
    """Looks at each record where it is made, and wakes who waits when it is the one."""

    def __init__(self, matches: Callable[[Entry], object], loop: asyncio.AbstractEventLoop, bell: Bell) -> None:
        self._matches = matches
        self._loop = loop
        self._bell = bell
        self._found: logging.LogRecord | None = None
        self._error: Exception | None = None

    def look_at(self, entry: Entry) -> None:
        if self._found is not None or self._error is not None:
            return
        try:
            if not self._matches(entry):
                return
            self._found = entry.record
        except Exception as error:  # noqa: BLE001 - raised by who waits, not by who logs
            self._error = error
        with contextlib.suppress(RuntimeError):  # The loop may be closed; then nobody waits any more.
            self._loop.call_soon_threadsafe(self._bell.ring)

    def found(self) -> logging.LogRecord | None:
        if self._error is not None:
            raise self._error
        return self._found


def _matcher(pattern: Pattern) -> tuple[Callable[[Entry], object], str]:
    """Return what says whether an entry matches *pattern*, and how to call that."""
    if isinstance(pattern, str):
        text = pattern
        return (lambda entry: text in entry.message), f"with {text!r}"
    if isinstance(pattern, re.Pattern):
        search: Callable[[Any], object] = pattern.search
        return (lambda entry: search(entry.message)), f"matching {pattern.pattern!r}"
    if callable(pattern):
        accepts = pattern
        return (lambda entry: accepts(entry.record)), f"that {describe(pattern)} accepts"
    raise TypeError(f"wait_for() takes a string, a compiled pattern or a function of the record, got {pattern!r}")
