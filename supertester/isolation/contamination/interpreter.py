"""The state of the interpreter: ``sys``, ``builtins``, the garbage collector, hooks, tracing."""

from __future__ import annotations

import atexit
import builtins
import faulthandler
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from supertester.isolation.contamination.difference import ABSENT, Difference, Resource, Since
from supertester.isolation.contamination.kinds import attribute, contents, each, irreversible, slot

__all__ = ["RESOURCES"]

_FREQUENT = {"_", "__warningregistry__"}
"""What the interpreter itself sets in ``builtins``."""


def _builtins() -> dict[str, Any]:
    return {name: value for name, value in vars(builtins).items() if name not in _FREQUENT}


def _put_builtin(name: str, value: Any) -> None:
    if value is ABSENT:
        delattr(builtins, name)
    else:
        setattr(builtins, name, value)


def _put_gc_enabled(enabled: bool) -> None:  # noqa: FBT001 - a value to restore
    (gc.enable if enabled else gc.disable)()


def _put_faulthandler(enabled: bool) -> None:  # noqa: FBT001 - a value to restore
    if enabled:
        faulthandler.enable()  # On the standard error; where it wrote before is not known.
    else:
        faulthandler.disable()


# Functions that run when Python ends can be counted, and neither listed nor told apart. -------------------------------


def _exit_functions() -> tuple[int, bool]:
    return atexit._ncallbacks(), weakref.finalize._registered_with_atexit  # type: ignore[attr-defined]


def _exit_differences(before: tuple[int, bool], since: Since) -> Iterator[Difference]:
    after = _exit_functions()
    # `weakref.finalize` registers one when it is first used, and many modules do when they are imported.
    expected = before[0] + (after[1] and not before[1])
    if after[0] != expected and not (after[0] > expected and since.imported):
        put = irreversible("Python does not say which functions are registered; call atexit.unregister() in the test")
        yield Difference.of("the number of functions registered with atexit", expected, after[0], lambda: put(None))


RESOURCES: list[Resource] = [
    *(contents("sys", name) for name in ("argv", "path", "path_hooks", "meta_path", "warnoptions")),
    *(attribute("sys", name) for name in ("stdin", "stdout", "stderr", "dont_write_bytecode")),
    *(attribute("sys", name) for name in ("excepthook", "unraisablehook", "displayhook", "breakpointhook")),
    attribute("threading", "excepthook"),
    each("builtins", _builtins, _put_builtin, lambda name: f"builtins.{name}"),
    slot("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    slot("the switch interval", sys.getswitchinterval, sys.setswitchinterval),
    slot("the limit of digits of int", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    slot("the trace function (sys.settrace)", sys.gettrace, sys.settrace),
    slot("the profile function (sys.setprofile)", sys.getprofile, sys.setprofile),
    slot("the trace function of threads", threading.gettrace, threading.settrace),
    slot("the profile function of threads", threading.getprofile, threading.setprofile),
    slot("the stack size of threads", threading.stack_size, threading.stack_size),
    slot("gc.isenabled()", gc.isenabled, _put_gc_enabled),
    slot("gc.get_threshold()", gc.get_threshold, lambda value: gc.set_threshold(*value)),
    slot("gc.get_debug()", gc.get_debug, gc.set_debug),
    contents("gc", "callbacks"),
    slot("faulthandler.is_enabled()", faulthandler.is_enabled, _put_faulthandler),
    Resource("atexit", _exit_functions, _exit_differences),
]
