"""`LeakWatch`: what one test leaves behind, of every kind that its options ask for.

Everything is noted where it is made, so that a clean test pays for a look at a few numbers and no more. What is left
gets the chance to end by itself before it is reported; then it is ended, as far as that is possible.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

from supertester._core.waiting import wait_until
from supertester.context import IsolationContext, Problem
from supertester.errors import WaitTimeout
from supertester.isolation.installed import Undo, install_once
from supertester.isolation.leaks import census, children, descriptors, handlers, pools, signals, threads, timers
from supertester.isolation.leaks.allowed import Allowance, is_allowed
from supertester.isolation.leaks.census import Census
from supertester.isolation.leaks.leak import Leak

__all__ = ["LeakWatch"]

_ENDING = 1.0
"""Seconds that what is ending already gets to end."""
_DYING = 2.0
"""Seconds that what is killed at the end of a test has to end."""
_WATCHERS: dict[str, tuple[Any, ...]] = {
    "timers": (timers,),
    "signals": (signals,),
    "descriptors": (descriptors, census),
}
"""What has to be put into the process for a kind, where that does not depend on what is imported."""
_TURNS = 10
"""Turns of the loop in which callbacks have to become quiet: no time passes in them."""


@functools.cache
def _installer(kinds: frozenset[str]) -> Callable[[], Undo]:
    """Return what puts into the process all that *kinds* need; one look per test tells that it is there."""

    def install() -> Undo:
        for kind, modules in _WATCHERS.items():
            for module in modules if kind in kinds else ():
                module.watch()
        return lambda: None  # Each of them undoes its own.

    return install


class LeakWatch:
    """Watches one test.

    Args:
        context: The test.
        kinds: The kinds to look for.
        allowances: What may be left, beyond what may everywhere.
        report: Takes a problem.
        whole_loop: Whether all that happens on the loop belongs to the test.
    """

    def __init__(
        self,
        context: IsolationContext,
        kinds: frozenset[str],
        allowances: Callable[[], Iterable[Allowance]],
        report: Callable[[Problem], bool],
        *,
        whole_loop: bool,
    ) -> None:
        self._context = context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kinds = kinds
        self._allowances = allowances
        self._report = report
        self._whole_loop = whole_loop
        self._census: Census | None = None
        self._settings: handlers.LoopSettings | None = None
        self._told: list[Leak] = []

    @staticmethod
    def install(kinds: frozenset[str]) -> None:
        """Put into the process what is needed to watch for leaks of *kinds*, unless it is there already."""
        install_once(_installer(kinds))
        if "threads" in kinds:
            threads.watch()

    def begin(self) -> None:
        """Begin to watch."""
        self.install(self._kinds)
        if "descriptors" in self._kinds:
            self._census = Census(self._context)

    def enter_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note of the loop that the test runs on."""
        self._loop = loop
        if self._census is not None:
            self._census.enter_loop(loop, is_new=self._whole_loop)
        if not self._whole_loop and "handlers" in self._kinds:
            self._settings = handlers.LoopSettings(self._context, loop)

    # At the end --------------------------------------------------------------------------------------------------

    def is_suspicious(self) -> bool:
        """Say whether there is anything that the loop would have to run for. This is all that a clean test pays."""
        loop = self._loop
        if (
            loop is not None
            and "timers" in self._kinds
            and (timers.has_timers(loop) or (self._whole_loop and timers.has_ready(loop)))
        ):
            return True
        if self._context.births is not None or (self._census is not None and self._census.has_grown()):
            return bool(self._find())
        return False

    async def end(self) -> None:
        """Report what is left after it had the chance to end, and end it. Needs the loop."""
        await self._let_end()
        leaks = [*self._find(), *self._restless()]
        for leak in leaks:
            self._tell(leak)
        await self._finish(leaks)

    async def _let_end(self) -> None:
        for _ in range(_TURNS):
            if not (self._whole_loop and timers.has_ready(self._loop)):
                break
            await asyncio.sleep(0)
        with contextlib.suppress(WaitTimeout):
            # A look holds what it finds, e.g. an executor that its owner lets go meanwhile: only the next one tells.
            await wait_until(
                lambda: self._is_settled() and self._is_settled(), "the end of what is ending", timeout=_ENDING
            )

    def _is_settled(self) -> bool:
        return not any(leak.is_ending for leak in self._find())

    async def _finish(self, leaks: list[Leak]) -> None:
        for leak in leaks:
            try:
                leak.end()
            except Exception as error:  # noqa: BLE001 - one that cannot be ended must not keep the others alive
                self._context.report(Problem("cleanup", f"could not be ended: {leak.message()}: {error!r}"))
        mortal = [leak for leak in leaks if leak.takes_time]
        if mortal:
            with contextlib.suppress(WaitTimeout):
                await wait_until(lambda: all(leak.has_ended() for leak in mortal), "their end", timeout=_DYING)
        for leak in mortal:
            if not leak.has_ended():
                self._context.report(
                    Problem("cleanup", f"{leak.message()}; it would not end at the end of the test either")
                )

    def settle(self) -> None:
        """Look for what needs no loop to end, and for what was left since `end`; report and end it."""
        births = self._context.births
        leaks: list[Leak] = []
        if self._settings is not None:
            leaks += [*self._settings.find(), *handlers.find(self._context, self._loop)]
        if births is not None and births.signals and "signals" in self._kinds:
            leaks += signals.find(self._context)
        for leak in leaks:
            if not self._is_allowed(leak):
                self._tell(leak)
                leak.end()

    def close(self) -> None:
        """Forget the test, whose loop is closed by now if it had one for itself."""
        context = self._context
        if context.births is None:
            return
        descriptors.disown(context)
        if "children" in self._kinds:
            children.reap(context)
        if "signals" in self._kinds:
            signals.restore_quietly(context)

    # What there is -----------------------------------------------------------------------------------------------

    def _find(self) -> list[Leak]:
        """Return what is left at the moment, without what is allowed, told before, or this library's own."""
        context, kinds, births = self._context, self._kinds, self._context.births
        leaks: list[Leak] = []
        if births is not None:
            if births.children and "children" in kinds:
                leaks += children.find(context)
            if births.threads and "threads" in kinds:
                leaks += threads.find(context, self._loop)
            if births.threads:
                leaks += [leak for leak in pools.find(context) if leak.kind in kinds]
            if births.opened and "descriptors" in kinds:
                leaks += _without_pipes_of(leaks, descriptors.find(context, self._loop))
        if self._loop is not None and "timers" in kinds:
            leaks += timers.find(context, self._loop, whole_loop=self._whole_loop)
        if self._census is not None:
            leaks += self._census.find()
        return [leak for leak in leaks if not (leak.is_own or self._is_told(leak) or self._is_allowed(leak))]

    def _restless(self) -> list[Leak]:
        if not (self._whole_loop and "timers" in self._kinds):
            return []
        return [leak for leak in timers.find_restless(self._context, self._loop) if not self._is_allowed(leak)]

    def _tell(self, leak: Leak) -> None:
        self._told.append(leak)
        self._report(leak.problem())

    def _is_told(self, leak: Leak) -> bool:
        return any(leak.is_same(told) for told in self._told)

    def _is_allowed(self, leak: Leak) -> bool:
        return is_allowed(leak.kind, leak.names, self._allowances())


def _without_pipes_of(found: list[Leak], opened: list[Leak]) -> list[Leak]:
    """Leave out the pipes to child processes that are reported themselves."""
    pipes = [
        getattr(leak.thing, name, None)
        for leak in found
        if leak.kind == "children"
        for name in ("stdin", "stdout", "stderr")
    ]
    return [leak for leak in opened if not any(leak.thing is pipe for pipe in pipes)]
