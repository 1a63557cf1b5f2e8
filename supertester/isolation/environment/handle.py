"""`Environment`: the environment of one test, which is `self.environment` in its test case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from supertester.context import IsolationContext
from supertester.errors import UsageError
from supertester.isolation.environment import (
    directory,
    numpy_random,
    process_wide,
    randomness,
    timezone,
    variables,
    warning_filters,
)
from supertester.isolation.environment.overrides import Overrides, check_target, name_of
from supertester.isolation.environment.state import FIRST_USE, State
from supertester.isolation.installed import Undo, install_once

__all__ = ["Environment", "between_tests", "check_setting"]


class Environment(State):
    """The environment of a test, to be entered for as long as the test runs.

    ``os.environ``, ``random``, numpy's legacy random numbers and ``warnings`` need no handle: the test has its own of
    each as soon as it uses them, and nobody else sees what it does to them.
    """

    __slots__ = ("_folder",)

    def __init__(self, context: IsolationContext, setting: Any = None) -> None:
        super().__init__(context)
        self._folder: Path | None = None

    def __enter__(self) -> Environment:
        install_once(_install)
        if numpy_random.is_loaded():
            install_once(numpy_random.install)
        if process_wide.are_any():
            process_wide.welcome(self.context)
        return self

    @property
    def tmp_path(self) -> Path:
        """A temporary folder of the test's own, made when first asked for, and removed at the end with all in it."""
        from supertester.isolation.environment.folder import make_folder, remove_folder

        with FIRST_USE:
            if self._folder is None:
                self._check_open()
                self._folder = folder = make_folder(self.context.test_id)
                self.undos["temporary folder"] = lambda: remove_folder(folder)
            return self._folder

    def config(self, target: Any, /, *, create: bool = False, **overrides: Any) -> Overrides:
        """Override values of a mapping, a module or an object, to the end of a ``with`` block or else of the test.

        Overrides of ``os.environ``, where ``None`` removes a variable, and of tables that the test mirrors are seen in
        this test only. All else is shared with whoever runs in the process, so it needs a test that runs alone.

        Args:
            target: A mutable mapping, e.g. ``os.environ`` or a dict of settings; or a module, a class or another object
                with attributes.
            create: Whether attributes may be made that *target* does not have.
            overrides: The values by key or attribute.

        Returns:
            What takes them back: a context manager, which yields *target*, with a method ``restore()``.

        Raises:
            TypeError: *target* cannot be changed.
            UsageError: It has no such attribute, or other tests run in the process.

        Example::

            with self.config(settings, RETRIES=0):
                await self.fetch()
        """
        self._check_open()
        check_target(target)
        if not overrides:
            raise UsageError(f"config() needs values to override in {name_of(target)}, e.g. config(target, DEBUG=True)")
        target, is_own = _own(target)
        if not is_own:
            self._claim(target, overrides)
        try:
            made = Overrides(target, overrides, create=create, on_restore=self._restored)
        except BaseException:
            self._release(target)
            raise
        # The variables of the test go away as a whole, and did so before its end undoes the rest.
        self.undos[made] = made.forget if variables.is_routed(target) else made.restore
        return made

    def _claim(self, target: Any, overrides: Mapping[str, Any]) -> None:
        if not self.is_forked():
            process_wide.claim(
                self.context,
                ("config", id(target)),
                name_of(target),
                action=f"config({name_of(target)}, {', '.join(overrides)})",
                instead="pass the configuration to the code under test",
            )

    def _restored(self, made: Overrides) -> None:
        self.undos.pop(made, None)
        self._release(made.target)

    def _release(self, target: Any) -> None:
        if not any(isinstance(each, Overrides) and each.target is target for each in self.undos):
            process_wide.release(self.context, ("config", id(target)))

    def _check_open(self) -> None:
        if self.context.closed:
            raise UsageError(f"test {self.context.test_id!r} has ended, and its environment with it")

    def summary(self) -> list[str]:
        """Return what the test has used of its environment, a line each."""
        names = variables.changed(self)
        used = [f"variables {', '.join(names)}"] if names else []
        used += [name for name in ("random", "numpy", "warnings") if getattr(self, name) is not None]
        return used + [str(what) for what in self.undos]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.warnings is not None:
            warning_filters.leave(self)
        if self.undos:
            self._undo_all()

    def _undo_all(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.undos.clear)
            for undo in self.undos.values():
                stack.callback(undo)


def _own(target: Any) -> tuple[Any, bool]:
    """Return what the running test sees as *target*, and whether other tests see something else."""
    table = getattr(type(target), "_supertester_table", None)
    seen = target if table is None else table.route()
    return seen, variables.is_routed(target) or (table is not None and seen is not table.source)


@contextmanager
def between_tests() -> Iterator[None]:
    """Let nobody else disturb what surrounds the tests of this thread in the body, nor be disturbed by that.

    Hypothesis seeds ``random`` for each example, and looks whether it was used while the example was made.
    """
    install_once(_install)
    with randomness.own_generator():
        yield


def check_setting(setting: object) -> None:
    """Refuse a value of the option ``environment`` that would do nothing.

    Raises:
        TypeError: It is neither ``True`` nor ``False``.
    """
    if setting is not None and not isinstance(setting, bool):  # `None` is what the mode says.
        raise TypeError(f"the option environment must be True or False, got environment={setting!r}")


def _install() -> Undo:
    undos = [undo for part in (variables, randomness, warning_filters, directory, timezone) for undo in part.install()]
    return lambda: [undo() for undo in reversed(undos)]
