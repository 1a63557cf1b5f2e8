"""`Env`: where helpers register what has to be undone.

By default that is the test that runs. A custom harness replaces it, with `set_env`, or for the whole process with the
environment variable ``SUPERTESTER_ENV=module:attribute``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from supertester.context import current_context
from supertester.errors import UsageError

__all__ = ["DEFAULT", "VARIABLE", "Env", "PreviousEnv", "TestEnv", "current_env", "set_env"]

VARIABLE = "SUPERTESTER_ENV"


@runtime_checkable
class Env(Protocol):
    """Runs callbacks when whatever is going on has ended."""

    def on_exit(self, callback: Callable[[], object]) -> object:
        """Remember *callback*; it takes no argument, and what it returns is awaited if it can be."""


class PreviousEnv:
    """What `set_env` returns: the environment before, which the end of a ``with`` block puts back."""

    def __init__(self, env: Env | None) -> None:
        self.env = env

    def on_exit(self, callback: Callable[[], object]) -> object:
        return (self.env or current_env()).on_exit(callback)

    def __eq__(self, other: object) -> bool:
        return other is self.env or (isinstance(other, PreviousEnv) and other.env is self.env)

    def __hash__(self) -> int:
        return hash(self.env)

    def __enter__(self) -> PreviousEnv:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_env(self)

    def __repr__(self) -> str:
        return f"<previous environment: {self.env!r}>"


class TestEnv(PreviousEnv):
    """The default: the test that the calling code belongs to."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__(None)

    def on_exit(self, callback: Callable[[], object]) -> object:
        context = current_context.get()
        if context is None:
            raise UsageError(
                "no test is running here, so nothing would call the cleanup; call this from a test of an "
                "IsolatedTestCase, inside `async with isolate(...)`, or give an environment with set_env()"
            )
        context.add_cleanup(callback)
        return None

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return "<environment: the running test>"


DEFAULT = TestEnv()

_chosen: list[Env] = []
_loaded: dict[str, Env] = {}


def current_env() -> Env:
    """Return the environment in force: that of `set_env`, else of ``SUPERTESTER_ENV``, else the running test's."""
    if _chosen:
        return _chosen[-1]
    spec = os.environ.get(VARIABLE)
    return _load(spec) if spec else DEFAULT


def set_env(env: Env | None) -> PreviousEnv:
    """Put *env* in force for the whole process and return the one before.

    ``None`` puts back what is in force without `set_env`. The result is a context manager: ``with set_env(env): ...``
    restores it at the end of the block.

    Raises:
        TypeError: *env* has no method ``on_exit``.
    """
    if isinstance(env, PreviousEnv) and env is not DEFAULT:
        env = env.env
    if env is not None and not isinstance(env, Env):
        raise TypeError(f"an environment needs a method on_exit(callback), got {env!r}")
    before = _chosen[-1] if _chosen else None
    _chosen.clear()
    if env is not None and env is not DEFAULT:
        _chosen.append(env)
    if before is None and not os.environ.get(VARIABLE):
        return DEFAULT
    return PreviousEnv(before)


def _load(spec: str) -> Env:
    if spec in _loaded:
        return _loaded[spec]
    module, _, attribute = spec.partition(":")
    if not module or not attribute:
        raise UsageError(f"{VARIABLE} must be module:attribute, got {VARIABLE}={spec!r}")
    try:
        env: Any = import_module(module)
        for part in attribute.split("."):
            env = getattr(env, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{VARIABLE}={spec!r} cannot be loaded: {error}") from error
    if isinstance(env, type):
        env = env()
    if not isinstance(env, Env):
        raise UsageError(f"{VARIABLE}={spec!r} has no method on_exit(callback): {env!r}")
    _loaded[spec] = env
    return env
