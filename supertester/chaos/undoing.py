"""What chaos did is undone: at the end of a block, by hand, or at the end of the test at the latest."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, ClassVar, Self

from supertester.context import current_context
from supertester.telemetry.emission import told

__all__ = ["Undoable", "at_end_of_test"]


def at_end_of_test(undo: Callable[[], object]) -> Callable[[], None]:
    """Call *undo*, plain or async, at the end of the running test, if one runs; return a function that forgets it."""
    context = current_context.get()
    if context is None or context.closed:
        return lambda: None
    context.add_cleanup(undo)
    entry = context.cleanups[-1]

    def forget() -> None:
        with suppress(ValueError):  # The end of the test has taken it.
            context.cleanups.remove(entry)

    return forget


class Undoable:
    """Chaos that is done when it is awaited or entered, and undone by `cleanup`.

    ``async with`` undoes it at the end of the block. After a plain ``await`` it stays until `cleanup` is awaited, or to
    the end of the test.
    """

    _name: ClassVar[str]
    """What the span is called that lasts from one to the other."""
    _begun = False
    _over = False
    _forget: Callable[[], None]
    _span: ExitStack

    async def cleanup(self) -> None:
        """Undo it, and return when that is done; later calls do nothing."""
        if self._begun and not self._over:
            self._over = True
            self._forget()
            with self._span:
                await self._undo()

    def __call__(self) -> Coroutine[Any, Any, None]:
        """Be the cleanup itself, so that the summary of the test shows what it is about."""
        return self.cleanup()

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._begin().__await__()

    async def _begin(self) -> Self:
        if not self._begun:
            self._begun = True
            self._forget = at_end_of_test(self)
            self._span = ExitStack()
            # Not the current one: who undoes it may be another task than who did it.
            tell = self._span.enter_context(told(self._name, vars(self), current=False))
            try:
                await self._do()
                tell(self)
            except BaseException as error:
                self._span.__exit__(type(error), error, error.__traceback__)
                await self.cleanup()
                raise
        return self

    async def __aenter__(self) -> Self:
        return await self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cleanup()

    async def _do(self) -> None:
        raise AssertionError("each kind says what it does")

    async def _undo(self) -> None:
        raise AssertionError("each kind says what it does")
