"""Whether each of many concurrent callers is given the answer to what it has asked."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

from supertester._core.at_once import begin_in_threads
from supertester._core.counts import checked_count
from supertester._core.evidence import shown
from supertester._core.mismatch import Mismatch
from supertester._core.outcome import Outcome
from supertester.targets.stdio.mock_port import MockPort

__all__ = ["check_correlated"]

_SHOWN: Final = 10


async def check_correlated(
    port: Any,
    count: int = 10,
    *,
    mock: MockPort | None = None,
    shuffle: bool = True,
    command: str = "echo",
    timeout: float = 30.0,
) -> Mismatch | None:
    """Make *count* calls at once, and say who was given another's answer, or none; or return ``None``.

    Args:
        port: The client: an object whose method ``call(command, {"value": n})`` returns ``{"value": n}`` or *n*; or a
            function that is given *n* and returns it. Either may be async, or is called in threads of their own.
        count: How many calls are made at once.
        mock: The `MockPort` that the client talks to. It is told to expect the calls, to wait until all have come, and
            to answer them in another order. Without one the server has to know the command.
        shuffle: In which order the mock answers: shuffled, or exactly reversed.
        command: The command that answers its arguments.
        timeout: Seconds for all of it.

    Raises:
        UsageError: *count* is not 1 or more.
    """
    checked_count("count", count)
    call = _call_of(port, command)
    if mock is not None:
        mock.expect_command(command, lambda received: received.args, times=count)
        mock.reorder_replies(count, "shuffled" if shuffle else "reversed")
    try:
        async with asyncio.timeout(timeout):
            outcomes = await (_as_tasks if inspect.iscoroutinefunction(call) else _in_threads)(call, count)
    except TimeoutError:
        return Mismatch(f"{count} concurrent calls were not all answered within {timeout:g} s")
    wrong = [
        f"the caller of {number} got {shown(outcome.value if outcome.ok else outcome.error)}"
        for number, outcome in enumerate(outcomes)
        if not outcome.ok or outcome.value not in (number, {"value": number})
    ]
    if not wrong:
        return None
    more = [f"... and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
    return Mismatch(f"{len(wrong)} of {count} concurrent callers did not get their own answer", wrong[:_SHOWN] + more)


def _call_of(port: Any, command: str) -> Callable[[int], Any]:
    method = getattr(port, "call", None)
    if method is None:
        if not callable(port):
            raise TypeError(f"port must have a method call(), or be a function, got port={port!r}")
        return port  # type: ignore[no-any-return]
    if inspect.iscoroutinefunction(method):

        async def ask(number: int) -> Any:
            return await method(command, {"value": number})

        return ask
    return lambda number: method(command, {"value": number})


async def _as_tasks(call: Callable[[int], Awaitable[Any]], count: int) -> list[Outcome[Any]]:
    results = await asyncio.gather(*map(call, range(count)), return_exceptions=True)
    return [_outcome(result) for result in results]


async def _in_threads(call: Callable[[int], Any], count: int) -> list[Outcome[Any]]:
    return await asyncio.gather(*begin_in_threads(count, call, "supertester-caller"))


def _outcome(result: Any) -> Outcome[Any]:
    return Outcome(error=result) if isinstance(result, BaseException) else Outcome(result)
