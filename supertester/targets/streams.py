"""Whether a stream delivers what it should: each chunk, in order, in time, as it is made, and then its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from threading import Thread
from typing import Any, Final

from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.waiting import checked_seconds

__all__ = ["check_streaming_response"]

_CANCELLED: Final = 1.0
"""Seconds in which whoever reads a stream that was cancelled has to come back."""


async def check_streaming_response(
    stream: Any,
    expected_chunks: Sequence[Any],
    *,
    chunk_timeout: float = 5.0,
    ends_with: Any = None,
    after_each: Callable[[int], Any] | None = None,
    min_gap: float = 0.0,
    key: Callable[[Any], Any] | None = None,
) -> Mismatch | None:
    """Read *stream* to its end and say what is wrong with it, or return ``None``.

    Args:
        stream: What yields the chunks, plain or async: the response of a gRPC call, a generator. A plain one is read in
            a thread. If it goes wrong it is cancelled, or closed if it has no ``cancel()``.
        expected_chunks: The chunks, in order; no more and no less.
        chunk_timeout: Seconds in which each chunk, and the end, has to come.
        ends_with: An exception class, or a status of gRPC such as ``"UNAVAILABLE"``, if the stream is to break after
            these chunks, instead of ending.
        after_each: Called, plain or async, with the number of each chunk, from 1, when it has come. If the sender makes
            the next one only then, that proves that it streams: chunks that something collects on their way never come.
        min_gap: Seconds that lie between two chunks on average at the least; another, weaker proof of the same.
        key: Called with each chunk, returns what is compared.

    Example::

        call = channel.unary_stream("/pool.Worker/Count")(b"3")
        mismatch = await check_streaming_response(call, [b"1", b"2", b"3"], after_each=lambda number: go_on.set())
    """
    checked_seconds("chunk_timeout", chunk_timeout)
    checked_seconds("min_gap", min_gap)
    expected = list(expected_chunks)
    reader = _Reader(stream, len(expected) + 1)
    course = _Course(expected)
    try:
        await _follow(reader, course, chunk_timeout, after_each, key)
    finally:
        course.is_stuck = not await reader.close(cancel=not course.is_over)
    return course.judge(chunk_timeout, ends_with, min_gap, lockstep=after_each is not None)


async def _follow(
    reader: _Reader, course: _Course, timeout: float, after_each: Callable[[int], Any] | None, key: Any
) -> None:
    while not course.has_enough:
        try:
            arrival = await asyncio.wait_for(reader.arrivals.get(), timeout)
        except TimeoutError:
            course.stalled = True
            return
        if arrival.kind == "chunk":
            course.add(arrival.value if key is None else key(arrival.value), arrival.at - reader.began)
            if after_each is not None:
                done = after_each(len(course.chunks))
                if isawaitable(done):
                    await done
        else:
            course.is_over, course.error = True, arrival.value
            return


@dataclass(frozen=True)
class _Arrival:
    """Something that came: a chunk, or the end, or the error that is one."""

    kind: str
    value: Any
    at: float


class _Reader:
    """Reads a stream, plain or async, up to so many chunks, and notes when what has come."""

    def __init__(self, stream: Any, most: int) -> None:
        if not isinstance(stream, (AsyncIterable, Iterable)) and not hasattr(stream, "__next__"):
            raise TypeError(f"stream must be something to iterate over, plain or async, got stream={stream!r}")
        self._stream = stream
        self._left = most  # Or an endless one that never waits would run ahead of whoever looks at it, for ever.
        self._loop = asyncio.get_running_loop()
        self.arrivals: asyncio.Queue[_Arrival] = asyncio.Queue()
        self.began = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._thread: Thread | None = None
        self._closing = False
        if isinstance(stream, AsyncIterable):
            self._task = asyncio.ensure_future(self._read_async(stream))
        else:
            self._thread = Thread(target=self._read, name="supertester-stream", daemon=True)
            self._thread.start()

    async def _read_async(self, stream: AsyncIterable[Any]) -> None:
        try:
            async for chunk in stream:
                self._put("chunk", chunk)
                if self._is_last():
                    return
        except Exception as error:  # noqa: BLE001 - it is what the check reports
            self._put("error", error)
        else:
            self._put("end", None)

    def _read(self) -> None:
        try:
            for chunk in self._stream:
                if self._closing:
                    return
                self._put_from_thread("chunk", chunk)
                if self._is_last():
                    return
        except Exception as error:  # noqa: BLE001 - it is what the check reports
            self._put_from_thread("error", error)
        else:
            self._put_from_thread("end", None)

    def _is_last(self) -> bool:
        self._left -= 1
        return not self._left

    def _put(self, kind: str, value: Any) -> None:
        self.arrivals.put_nowait(_Arrival(kind, value, time.monotonic()))

    def _put_from_thread(self, kind: str, value: Any) -> None:
        arrival = _Arrival(kind, value, time.monotonic())
        with suppress(RuntimeError):  # The loop is closed: nobody reads on.
            self._loop.call_soon_threadsafe(self.arrivals.put_nowait, arrival)

    async def close(self, *, cancel: bool) -> bool:
        """Stop reading; say whether that was possible."""
        self._closing = True
        if cancel:
            self._cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            if cancel and isinstance(self._stream, AsyncGenerator):
                await self._stream.aclose()
            return True
        assert self._thread is not None
        await asyncio.to_thread(self._thread.join, _CANCELLED)
        if self._thread.is_alive():
            return False
        if cancel and isinstance(self._stream, Generator):
            self._stream.close()
        return True

    def _cancel(self) -> None:
        is_generator = isinstance(self._stream, (Generator, AsyncGenerator))  # Which cannot be closed while it runs.
        end = getattr(self._stream, "cancel", None) or (None if is_generator else getattr(self._stream, "close", None))
        if end is not None:
            end()


@dataclass
class _Course:
    """What came of what was expected."""

    expected: list[Any]
    chunks: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    is_over: bool = False
    is_stuck: bool = False
    stalled: bool = False
    error: BaseException | None = None

    @property
    def has_enough(self) -> bool:
        return len(self.chunks) > len(self.expected)

    def add(self, chunk: Any, at: float) -> None:
        self.chunks.append(chunk)
        self.times.append(at)

    def judge(self, timeout: float, ends_with: Any, min_gap: float, *, lockstep: bool) -> Mismatch | None:
        problem = (
            self._broken(ends_with)
            or self._stall(timeout, lockstep=lockstep)
            or self._wrong()
            or self._not_broken(ends_with)
            or self._burst(min_gap)
        )
        if problem is None:
            return None
        stuck = "; its reader does not come back, as it cannot be cancelled" if self.is_stuck else ""
        history = [f"{shown(chunk)} after {at:.3f} s" for chunk, at in zip(self.chunks, self.times, strict=True)]
        return Mismatch(problem + stuck, history)

    def _broken(self, ends_with: Any) -> str | None:
        if self.error is None or (ends_with is not None and _is_kind(self.error, ends_with)):
            return None
        wanted = f", expected it to end with {_kind_name(ends_with)}" if ends_with is not None else ""
        progress = f"{len(self.chunks)} of {len(self.expected)} chunks"
        return f"the stream broke after {progress}{wanted}: {_shown_error(self.error)}"

    def _stall(self, timeout: float, *, lockstep: bool) -> str | None:
        if not self.stalled:
            return None
        came, all_ = len(self.chunks), len(self.expected)
        late = f"within {timeout:g} s, and it was cancelled"
        if came == all_:
            return f"all {all_} chunks came, but not the end of the stream {late}"
        held_back = "; if the sender goes on only when a chunk has arrived, something collects chunks on their way"
        return f"the stream stalled: chunk {came + 1} of {all_} did not come {late}{held_back if lockstep else ''}"

    def _wrong(self) -> str | None:
        came, all_ = self.chunks, self.expected
        if self.has_enough and came[:-1] == all_:
            return (
                f"a chunk too many came after the {len(all_)} expected: {shown(came[-1])}, and the stream was cancelled"
            )
        if len(came) < len(all_) and came == all_[: len(came)]:
            return f"the stream ended after {len(came)} of {len(all_)} chunks, missing {shown(all_[len(came) :])}"
        if came == all_:
            return None
        if len(came) == len(all_) and Counter(map(repr, came)) == Counter(map(repr, all_)):
            return f"the chunks came in another order, expected {shown(all_)}"
        place = next(i for i in range(len(came) + 1) if came[i : i + 1] != all_[i : i + 1])
        return f"chunk {place + 1} was {shown(came[place])}, expected {shown(all_[place])}"

    def _not_broken(self, ends_with: Any) -> str | None:
        if ends_with is None or self.error is not None:
            return None
        return (
            f"the stream ended after its {len(self.chunks)} chunks, expected it to break with {_kind_name(ends_with)}"
        )

    def _burst(self, min_gap: float) -> str | None:
        gaps = len(self.times) - 1
        if not min_gap or gaps < 1:
            return None
        spread = self.times[-1] - self.times[0]
        if spread >= min_gap * gaps:
            return None
        return (
            f"{gaps + 1} chunks came in a burst, within {spread:.4f} s, expected {min_gap:g} s or more between two of "
            "them on average: something collects them on their way"
        )


def _is_kind(error: BaseException, kind: Any) -> bool:
    if isinstance(kind, type):
        return isinstance(error, kind)
    from supertester.targets.grpc.statuses import status_name, status_of

    return status_of(error) == status_name(kind)


def _shown_error(error: BaseException) -> str:
    """Return *error* in a line; what gRPC raises has a ``repr`` of several."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    if callable(code) and callable(details):
        return f"{getattr(code(), 'name', code())}: {details()}"
    return repr(error)


def _kind_name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(getattr(kind, "name", kind))
