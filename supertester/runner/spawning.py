"""Zygote and workers that are fresh interpreters, where to fork is impossible or unsafe: ``--start-method spawn``.

A spawned zygote loads the tests to say which there are; each worker loads them again and finds those that it is to run
by place and id. All else, from the wire to the end of what is left behind, is as it is for those that are forked.
"""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from supertester._core.seeds import adopt_seed
from supertester.errors import UsageError
from supertester.runner.beginning import Found, Given, be_worker
from supertester.runner.capture import Capture, open_file
from supertester.runner.declared import DeclaredTest, declare
from supertester.runner.forking import DESCRIPTORS
from supertester.runner.loading import load_here
from supertester.runner.plan import Settings

__all__ = ["importable", "spawn_zygote", "worker", "zygote"]

_ENDS = ("control", "descriptors", "lifeline")


def importable(module: str | None) -> str | None:
    """Return the name by which another process can import *module*, also if it is ``"__main__"``.

    Raises:
        UsageError: There is none.
    """
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None:
        raise UsageError("the tests are in no file that a fresh interpreter could load; use start_method='fork'")
    return Path(file).stem


# A fresh interpreter -------------------------------------------------------------------------------------------------


class _World:
    """What a fresh interpreter has to know in order to load what this one would."""

    def __init__(self, loading: Mapping[str, Any], seed: int) -> None:
        self._path = [str(folder) for folder in sys.path]
        self._environment = dict(os.environ)
        self._given = {
            "loading": dict(loading),
            "seed": seed,
            "arguments": list(sys.argv),
            "folder": str(Path.cwd()),
            "part": _part_of_coverage(),
        }

    def spawn(self, entry: str, descriptors: Mapping[str, int]) -> int:
        """Begin the function *entry* of this module in a process group of its own; return the process id."""
        if not sys.executable:
            raise UsageError("this interpreter does not know its own file, so it cannot be spawned; see sys.executable")
        first = max(descriptors.values()) + 1
        there = {name: first + number for number, name in enumerate(descriptors)}
        code = (
            f"import sys; sys.path[:] = {self._path!r}\n"
            f"from supertester.runner.spawning import {entry}\n"
            f"{entry}({there!r}, {self._given!r})"
        )
        command = [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", code]  # type: ignore[attr-defined]
        # A descriptor that is duplicated outlives the change of program; those of others do not.
        actions = [(os.POSIX_SPAWN_DUP2, descriptors[name], number) for name, number in there.items()]
        sys.stdout.flush()
        sys.stderr.flush()
        return os.posix_spawn(sys.executable, command, self._environment, file_actions=actions, setpgroup=0)


def _enter(descriptors: Mapping[str, int], given: Mapping[str, Any]) -> None:
    for descriptor in descriptors.values():
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - they are not for processes that this one begins
    os.chdir(given["folder"])
    sys.argv[:] = given["arguments"]
    adopt_seed(given["seed"])
    if given["part"]:
        from supertester.runner.covering import begin_part

        begin_part(given["part"])


def _part_of_coverage() -> str:
    if "coverage" not in sys.modules:
        return ""
    from supertester.runner.covering import part_file

    return part_file()


# The zygote ----------------------------------------------------------------------------------------------------------


def spawn_zygote(loading: Mapping[str, Any], seed: int, ends: tuple[int, int, int]) -> int:
    """Begin a zygote that loads what *loading* says, with its *ends* of the lines to its parent."""
    return _World(loading, seed).spawn("zygote", dict(zip(_ENDS, ends, strict=True)))


def zygote(ends: Mapping[str, int], given: Mapping[str, Any]) -> NoReturn:
    """Be a zygote; what `spawn_zygote` begins."""
    from supertester.runner.zygote import be_zygote

    _enter(ends, given)
    loading = given["loading"]
    world = _World(loading, given["seed"])  # As it is before modules of tests change it, which they do in workers too.
    be_zygote(
        socket.socket(fileno=ends["control"]),
        socket.socket(fileno=ends["descriptors"]),
        ends["lifeline"],
        lambda: load_here(SimpleNamespace(**loading)),
        _Spawner(world).begin,
    )


class _Spawner:
    """Begins workers for a zygote."""

    def __init__(self, world: _World) -> None:
        self._world = world

    def begin(self, given: Given, settings: Settings, plan: Sequence[DeclaredTest]) -> int:
        """Begin a worker; the plan goes into a file, because a worker that is not ready could not take it all."""
        file = open_file("plan")
        try:
            data = marshal.dumps((vars(settings), [(test.index, test.test_id) for test in plan]))
            while data:
                data = data[os.write(file, data) :]
            return self._world.spawn("worker", {**given, "plan": file})
        finally:
            os.close(file)


# A worker ------------------------------------------------------------------------------------------------------------


def worker(descriptors: Mapping[str, int], given: Mapping[str, Any]) -> NoReturn:
    """Be a worker; what a spawned zygote begins."""
    _enter(descriptors, given)
    file = descriptors["plan"]
    settings, wanted = marshal.loads(os.pread(file, os.fstat(file).st_size, 0))
    os.close(file)

    def find() -> Found:
        found = _find(wanted, given["loading"])
        Capture(descriptors["output"]).take()  # What modules write when they are imported, the zygote has shown.
        return found

    be_worker({name: descriptors[name] for name in DESCRIPTORS}, Settings(**settings), find)


def _find(wanted: Sequence[tuple[int, str]], loading: Mapping[str, Any]) -> Found:
    loaded = load_here(SimpleNamespace(**loading))
    places: dict[str, list[int]] = {}
    for test in loaded.tests:
        places.setdefault(test.test_id, []).append(test.index)
    tests: list[DeclaredTest] = []
    others: dict[int, unittest.TestCase] = {}
    for place, name in wanted:
        here = places.get(name, [])
        if here:
            tests.append(loaded.tests[place if place in here else here[0]])
        else:
            others[-len(others) - 1] = other = _Elsewhere(name)
            tests.append(declare(-len(others), other))
    return tests, lambda test: others[test.index] if test.index in others else loaded.object_of(test)


class _Elsewhere(unittest.TestCase):
    """Stands for a test that was there when the tests were loaded first, and is not now."""

    def __init__(self, name: str) -> None:
        super().__init__("is_found")
        self._name = name

    def id(self) -> str:
        return self._name

    def is_found(self) -> None:
        """Fail."""
        raise LookupError(
            f"{self._name} was not there when a worker loaded the tests again; each process has to find the same"
        )
