"""From names or a folder to tests, by ``unittest``'s own loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from supertester.errors import UsageError
from supertester.runner.declared import DeclaredTest, declare
from supertester.runner.options import Options

if TYPE_CHECKING:
    from supertester.runner.nursery import Nursery

__all__ = ["Loaded", "load", "load_here", "tests_in"]


class Loaded:
    """The tests that were found, and those of them that are to be run.

    A context manager: where its tests live in other processes, leaving the block ends those.
    """

    def __init__(
        self, objects: Sequence[Any], tests: Sequence[DeclaredTest] | None, *, elsewhere: Nursery | None = None
    ) -> None:
        self._objects = objects
        self._elsewhere = elsewhere
        self._tests = None if tests is None else tuple(tests)

    @property
    def tests(self) -> tuple[DeclaredTest, ...]:
        """The tests to run, in order; waits until they are loaded, if another process does that.

        Raises:
            UsageError: They cannot be loaded.
        """
        if self._tests is None:
            assert self._elsewhere is not None
            self._tests = self._elsewhere.tests
        return self._tests

    @classmethod
    def of(cls, suite: Iterable[Any]) -> Loaded:
        """Return the tests of *suite*, in its order."""
        objects = list(tests_in(suite))
        return cls(objects, [declare(index, test) for index, test in enumerate(objects)])

    def choose(self, tests: Iterable[DeclaredTest]) -> Loaded:
        """Return the same load with *tests* to run, in that order; a test may be among them more than once.

        Raises:
            UsageError: One of them is not of this load.
        """
        chosen = list(tests)
        known = len(self._objects) if self._elsewhere is None else len(self._elsewhere.tests)
        for test in chosen:
            if not 0 <= test.index < known:
                raise UsageError(f"{test.test_id} is no test of this load; choose among its `tests`")
        return type(self)(self._objects, chosen, elsewhere=self._elsewhere)

    @property
    def is_here(self) -> bool:
        """Whether the tests themselves are in this process."""
        return self._elsewhere is None

    @contextmanager
    def nursery(self) -> Iterator[Nursery]:
        """Have a process with the tests that forks workers."""
        if self._elsewhere is not None:
            yield self._elsewhere
            return
        from supertester.runner.nursery import Nursery

        with closing(Nursery(lambda: Loaded.of(self._objects))) as nursery:
            yield nursery

    def object_of(self, test: DeclaredTest) -> Any:
        """Return the test itself."""
        return self._objects[test.index]

    def close(self) -> None:
        """End what the tests live in."""
        if self._elsewhere is not None:
            self._elsewhere.close()

    def __enter__(self) -> Loaded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(options: Options, nursery: Nursery | None = None) -> Loaded:
    """Find the tests that *options* names, or discover them; with ``jobs=0`` in this process.

    A module that fails to import is a test that fails, as in ``unittest``.

    Args:
        options: What to load.
        nursery: One that waits to be told that, for ``jobs`` other than 0.

    Raises:
        UsageError: The folder to discover in cannot be imported from; also when `Loaded.tests` is first used.
    """
    if options.jobs == 0:
        return load_here(options)
    if nursery is not None:
        nursery.load(options.loading())
        return Loaded((), None, elsewhere=nursery)
    from supertester.runner.nursery import Nursery

    if options.start_method == "spawn":
        from supertester.runner.spawning import importable

        loading = {**options.loading(), "module": importable(options.module)}
        return Loaded((), None, elsewhere=Nursery(loading=loading))
    return Loaded((), None, elsewhere=Nursery(lambda: load_here(options)))


def load_here(options: Any) -> Loaded:
    """Do the same in this process; *options* needs only what `Options.loading` names."""
    from supertester.runner.finding import load_suite

    return Loaded.of(load_suite(options))


def tests_in(suite: Iterable[Any]) -> Iterator[Any]:
    """Yield the tests of *suite* and of the suites in it."""
    for each in suite:
        if isinstance(each, Iterable):
            yield from tests_in(each)
        elif each is not None:  # A suite that has run holds `None` for each of its tests.
            yield each
