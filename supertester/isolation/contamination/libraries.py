"""The global state of modules of the standard library, and of OpenTelemetry."""

from __future__ import annotations

import asyncio
import contextlib
import copyreg
import decimal
import random
import shutil
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from supertester.isolation.contamination.difference import ABSENT, Difference, Resource, Since
from supertester.isolation.contamination.kinds import attribute, contents, irreversible, slot

__all__ = ["RESOURCES"]

_ = copyreg, shutil, sysconfig, tempfile  # Imported so that there is something to compare.


def _temporary_folder() -> Any:
    """Return where temporary files go, asked for here: so the first of the process to ask is none of the tests."""
    if tempfile.tempdir is None:
        with contextlib.suppress(OSError):  # There may be none that can be written to.
            tempfile.gettempdir()
    return tempfile.tempdir


def _policy() -> Any:
    return getattr(asyncio.events, "_event_loop_policy", None)


def _put_policy(policy: Any) -> None:
    asyncio.set_event_loop_policy(policy)


def _is_default_policy(before: Any, after: Any) -> bool:
    return before is None and type(after) is asyncio.DefaultEventLoopPolicy


# Randomness: to draw from the common generator is what it is for; to seed it takes it away from the others. --------

_MANY = 200
"""Blocks of 624 numbers that a test may draw and still be told from one that seeded the generator."""


def _was_drawn(before: Any, after: Any) -> bool:
    """Say whether drawing numbers makes the state *before* the state *after*."""
    if before[0] != after[0]:
        return False
    generator = random.Random()
    generator.setstate(before)
    for _ in range(_MANY):
        state = generator.getstate()
        if state[1][:-1] == after[1][:-1]:
            return True
        # The block is made anew with the first number that is drawn beyond it.
        generator.getrandbits(32 * (624 - state[1][-1] + 1))
    return False


def _random_state() -> Any:
    # Past what gives each test randomness of its own.
    return random.Random.getstate(random._inst)


def _put_random_state(state: Any) -> None:
    random.Random.setstate(random._inst, state)


def _random_differences(before: Any, since: Since) -> Iterator[Difference]:
    after = _random_state()
    if after == before:
        return
    if _was_drawn(before, after):
        _put_random_state(before)
        return
    yield Difference(
        "the state of random",
        f"state {hash(before):x}",
        f"state {hash(after):x}, which no drawing of numbers leads to: it was seeded",
        partial(_put_random_state, before),
    )


# Files and objects that are to be closed ------------------------------------------------------------------------------


def _url_files() -> list[str]:
    return list(getattr(sys.modules.get("urllib.request"), "_url_tempfiles", ()))


def _url_file_differences(before: list[str], since: Since) -> Iterator[Difference]:
    for name in _url_files():
        if name not in before:
            what = "a temporary file of urllib.request"
            yield Difference.of(what, ABSENT, name, partial(_remove_url_file, name))


def _remove_url_file(name: str) -> None:
    sys.modules["urllib.request"]._url_tempfiles.remove(name)
    Path(name).unlink(missing_ok=True)


def _socket_map() -> dict[Any, Any]:
    return dict(getattr(sys.modules.get("asyncore"), "socket_map", ()))


def _socket_map_differences(before: dict[Any, Any], since: Since) -> Iterator[Difference]:
    for key, dispatcher in _socket_map().items():
        if key not in before:
            yield Difference.of(f"asyncore.socket_map[{key!r}]", ABSENT, dispatcher, partial(_end_dispatcher, key))


def _end_dispatcher(key: Any) -> None:
    dispatcher = sys.modules["asyncore"].socket_map.pop(key)
    dispatcher.close()


def _patches() -> list[Any]:
    # By name, because whoever does not use it should not have to load it.
    return list(getattr(getattr(sys.modules.get("unittest.mock"), "_patch", None), "_active_patches", ()))


def _patch_differences(before: list[Any], since: Since) -> Iterator[Difference]:
    known = set(map(id, before))
    for patch in reversed(_patches()):
        if id(patch) not in known:
            target = getattr(patch.getter(), "__name__", patch.getter())
            yield Difference.of(f"the patch of {target}.{patch.attribute}", ABSENT, "started", patch.stop)


# Decimal and OpenTelemetry --------------------------------------------------------------------------------------------


def _decimal(name: str, get: Callable[[], decimal.Context], put: Callable[[decimal.Context], object]) -> Resource:
    def differences(before: decimal.Context, since: Since) -> Iterator[Difference]:
        after = get()
        if repr(after) != repr(before):
            yield Difference(name, repr(before), repr(after), partial(put, before))

    return Resource(name, lambda: get().copy(), differences)


def _template(name: str) -> Resource:
    """Return the resource of a context that all new ones are copies of; it can only be changed in place."""

    def put(before: decimal.Context) -> None:
        present = getattr(decimal, name)
        for field in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp"):
            setattr(present, field, getattr(before, field))
        for signal in before.traps:
            present.traps[signal] = before.traps[signal]
            present.flags[signal] = before.flags[signal]

    return _decimal(f"decimal.{name}", lambda: getattr(decimal, name), put)


def _provider(name: str, module: str, attribute_: str) -> Resource:
    """Return the resource of one of the providers of OpenTelemetry, each of which can be set once in a process."""

    def get() -> Any:
        return getattr(sys.modules.get(module), attribute_, None)

    return slot(name, get, irreversible("OpenTelemetry lets it be set only once in a process"))


RESOURCES: list[Resource] = [
    slot("the event loop policy", _policy, _put_policy, is_lazy=_is_default_policy),
    contents("shutil", "_ARCHIVE_FORMATS"),
    contents("shutil", "_UNPACK_FORMATS"),
    contents("sysconfig", "_CONFIG_VARS"),
    contents("sysconfig", "_INSTALL_SCHEMES"),
    contents("copyreg", "dispatch_table"),
    attribute("urllib.request", "_opener", fresh=None),
    Resource("urllib", _url_files, _url_file_differences),
    Resource("asyncore", _socket_map, _socket_map_differences),
    Resource("patches", _patches, _patch_differences),
    slot("tempfile.tempdir", _temporary_folder, partial(setattr, tempfile, "tempdir")),
    slot("the default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    Resource("random", _random_state, _random_differences),
    _decimal("decimal.getcontext()", decimal.getcontext, decimal.setcontext),
    *map(_template, ("DefaultContext", "BasicContext", "ExtendedContext")),
    _provider("the tracer provider of OpenTelemetry", "opentelemetry.trace", "_TRACER_PROVIDER"),
    _provider("the meter provider of OpenTelemetry", "opentelemetry.metrics._internal", "_METER_PROVIDER"),
    _provider("the logger provider of OpenTelemetry", "opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
    attribute("opentelemetry.propagate", "_HTTP_TEXT_FORMAT"),
]
