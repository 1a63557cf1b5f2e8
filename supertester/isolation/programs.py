"""Child processes that are started past ``subprocess`` inherit the identity and the variables of their test too.

C code that is given no environment passes on the process's own, which knows nothing of tests; so here it is given one.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from os import environ
from typing import Any

from supertester.isolation.identity import owner
from supertester.isolation.installed import Undo, replace_attribute

__all__ = ["install", "install_in_uvloop"]

Surroundings = Callable[[Mapping[Any, Any] | None], dict[Any, Any]]
"""Makes of the environment that a child process is given, or of ``None``, the one that it gets."""


def install(surroundings: Surroundings) -> list[Undo]:
    """Let the functions of ``os`` that start programs give them *surroundings*; return what undoes it."""
    makers: dict[str, Callable[[Any, Surroundings], Any]] = {
        "execv": _execv,
        "execve": _execve,
        "posix_spawn": _posix_spawn,
        "posix_spawnp": _posix_spawn,
    }
    if os.name == "posix":
        makers["system"] = _system
    return [_replace(name, make, surroundings) for name, make in makers.items() if hasattr(os, name)]


def _replace(name: str, make: Callable[[Any, Surroundings], Any], surroundings: Surroundings) -> Undo:
    previous = getattr(os, name)
    function = functools.wraps(previous)(make(previous, surroundings))
    function.__module__ = "os"  # Not where C has it: there pickle would find another.
    return replace_attribute(os, name, function)


# The other functions of `os`, those with l, p and spawn in their names, end in these two.


def _execv(previous: Any, _: Surroundings) -> Any:
    def execv(path: Any, argv: Any, /) -> Any:
        return previous(path, argv) if owner() is None else os.execve(path, argv, dict(environ))

    return execv


def _execve(previous: Any, surroundings: Surroundings) -> Any:
    def execve(path: Any, argv: Any, env: Any) -> Any:
        if owner() is not None and isinstance(env, Mapping):
            env = surroundings(env)
        return previous(path, argv, env)

    return execve


def _posix_spawn(previous: Any, surroundings: Surroundings) -> Any:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> Any:
        # `None` is welcome since Python 3.13.
        if owner() is not None and (isinstance(env, Mapping) or (env is None and sys.version_info >= (3, 13))):
            env = surroundings(env)
        return previous(path, argv, env, **options)

    return posix_spawn


def _system(previous: Any, _: Surroundings) -> Any:
    def system(command: Any) -> int:
        if owner() is None:
            status: int = previous(command)
            return status
        sys.audit("os.system", os.fsencode(command))
        # It gets its environment there.
        code = subprocess.call(command, shell=True, close_fds=False)
        return code << 8 if code >= 0 else -code

    return system


def install_in_uvloop(surroundings: Surroundings) -> Undo:
    """Let the loops of uvloop, which start programs by themselves, give them *surroundings*; return what undoes it."""
    loop = sys.modules["uvloop"].Loop
    undos = [_replace_method(loop, name, surroundings) for name in ("subprocess_exec", "subprocess_shell")]
    return lambda: [undo() for undo in undos]


def _replace_method(cls: Any, name: str, surroundings: Surroundings) -> Undo:
    previous = getattr(cls, name)

    @functools.wraps(previous)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        if owner() is not None:
            options["env"] = surroundings(options.get("env"))
        return previous(self, *args, **options)

    inherited = name not in vars(cls)
    undo = replace_attribute(cls, name, method)

    def restore() -> None:
        if inherited and vars(cls).get(name) is method:
            delattr(cls, name)
        else:
            undo()

    return restore
