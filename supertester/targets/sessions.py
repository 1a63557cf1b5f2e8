"""`Sessions`: what a test has opened on a server, ended in one call, with proof that the server knows it no more."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds
from supertester.context import current_context

__all__ = ["Sessions", "SessionsReport"]


@dataclass(frozen=True)
class SessionsReport:
    """How the sessions of a test have ended.

    Attributes:
        ended: Those that were ended.
        lost: Those that were gone already, with the worker that had them.
        failed: Those that could not be ended, as text, with the error.
        baseline: How many sessions the server had before the first was opened; ``None`` if nobody could tell.
        left: How many it has now; ``None`` if nobody can tell.
    """

    ended: tuple[Any, ...] = ()
    lost: tuple[Any, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    baseline: int | None = None
    left: int | None = None

    def check(self) -> Mismatch | None:
        """Say which sessions could not be ended, or how many the server still has, or return ``None``."""
        problems = []
        if self.failed:
            total = len(self.ended) + len(self.lost) + len(self.failed)
            problems.append(f"{len(self.failed)} of {total} sessions could not be ended")
        if self.left is not None and self.baseline is not None and self.left > self.baseline:
            problems.append(f"the server has {self.left} sessions, expected {self.baseline} as before")
        if not problems:
            return None
        return Mismatch("; ".join(problems), [f"{session}: {error}" for session, error in self.failed.items()])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form; sessions are shown as text."""
        return {
            "ended": [shown(each) for each in self.ended],
            "lost": [shown(each) for each in self.lost],
            "failed": dict(self.failed),
            "baseline": self.baseline,
            "left": self.left,
        }


class Sessions:
    """The sessions that a test opens; at its end all of them are ended, and it fails if one cannot be, or is left.

    The functions are the client's, plain or async. Plain ones are called in threads, since they may block.

    Args:
        end: Ends the session that it is given.
        open: Opens a session and returns it; see `open`.
        count: Returns how many sessions the server has, or a mapping of workers to that; it should ask the server, not
            the client. After the cleanup there have to be no more than before the first session was opened.
        lost: Exceptions by which *end* says that the session is gone already, with its worker.
        timeout: Seconds in which each session has to be ended.

    Example::

        sessions = Sessions(pool.end_session, open=pool.open_session, count=pool.session_count, lost=SessionLost)
        first = await sessions.open()
        await asyncio.to_thread(pool.execute, first, "ping")
    """

    def __init__(
        self,
        end: Callable[[Any], Any],
        *,
        open: Callable[..., Any] | None = None,
        count: Callable[[], Any] | None = None,
        lost: type[BaseException] | tuple[type[BaseException], ...] = (),
        timeout: float = 5.0,
    ) -> None:
        for name, function in (("end", end), ("open", open), ("count", count)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, got {name}={function!r}")
        self._end = end
        self._open = open
        self._count = count
        self._lost = lost
        self._timeout = checked_seconds("timeout", timeout)
        self._sessions: list[Any] = []
        self._baseline: int | None = None
        self._has_baseline = False
        self._counting = asyncio.Lock()
        self._is_settled = True
        context = current_context.get()
        if context is not None and not context.closed:
            context.add_cleanup(self._finish)

    @property
    def tracked(self) -> tuple[Any, ...]:
        """The sessions that have not been ended."""
        return tuple(self._sessions)

    async def open(self, *args: Any, **options: Any) -> Any:
        """Open a session, by the function that was given for that, and return it.

        Raises:
            TypeError: None was given; open it by yourself and `track` it.
        """
        if self._open is None:
            raise TypeError("no function open= was given; open the session by yourself, and track() it")
        await self.take_baseline()
        return self.track(await _called(self._open, *args, **options))

    def track(self, session: Any) -> Any:
        """Let *session*, which was opened in another way, be ended with the others; return it.

        The baseline is that of the first `open`; call `take_baseline` if there is none.
        """
        self._sessions.append(session)
        self._is_settled = False
        return session

    async def take_baseline(self) -> int | None:
        """Count the sessions that the server has before the first one of the test; later calls do nothing."""
        async with self._counting:
            if not self._has_baseline:
                self._baseline = await self._counted()
                self._has_baseline = True
        return self._baseline

    async def end(self, session: Any) -> None:
        """End one session of the test."""
        self._sessions.remove(session)
        await _called(self._end, session)

    async def end_all(self) -> SessionsReport:
        """End all sessions of the test at once, whatever happens to one of them, and return how that went."""
        sessions, self._sessions = self._sessions, []
        self._is_settled = True
        errors = await asyncio.gather(*(self._end_one(each) for each in sessions))
        outcomes = list(zip(sessions, errors, strict=True))
        return SessionsReport(
            ended=tuple(each for each, error in outcomes if error is None),
            lost=tuple(each for each, error in outcomes if error is not None and isinstance(error, self._lost)),
            failed={
                shown(each): repr(error)
                for each, error in outcomes
                if error is not None and not isinstance(error, self._lost)
            },
            baseline=self._baseline,
            left=await self._counted(),
        )

    async def _end_one(self, session: Any) -> BaseException | None:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                await _called(self._end, session)
        except TimeoutError as error:
            return TimeoutError(f"it did not end within {self._timeout:g} s") if limit.expired() else error
        except Exception as error:  # noqa: BLE001 - the others are to be ended nevertheless
            return error
        return None

    async def _counted(self) -> int | None:
        if self._count is None:
            return None
        found = await _called(self._count)
        return sum(found.values()) if isinstance(found, Mapping) else found

    async def _finish(self) -> None:
        if self._is_settled:
            return
        mismatch = (await self.end_all()).check()
        if mismatch is not None:
            raise AssertionError(str(mismatch))

    async def __aenter__(self) -> Self:
        await self.take_baseline()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._finish()

    def __repr__(self) -> str:
        return f"<Sessions, {len(self._sessions)} open>"


async def _called(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **options)
    result = await asyncio.to_thread(function, *args, **options)
    return await result if inspect.isawaitable(result) else result
