"""`Watcher`: notes what the user's own lines read and write, so that nobody has to say it.

It is a trace function of the thread that explores, for all code but the standard library's and this library's. A line
is noted when it begins, and again when it goes on after an ``await``. Where an object cannot be known without calling
something, all attributes of that name count as one.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Hashable, Sequence
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from supertester._core.origin import is_foreign, is_standard
from supertester.schedule.accesses import Accesses
from supertester.schedule.watched_classes import CODE
from supertester.schedule.watching.kinds import has_attributes, is_opaque
from supertester.schedule.watching.uses import MUTATING, PURE, How, Use, uses_in
from supertester.schedule.watching.values import NOWHERE, UNKNOWN, member_of, value_of

__all__ = ["Watcher", "note_call"]

_CONTAINERS: Final = (list, dict, set, bytearray)
_NEVER_SET: Final = (FunctionType, BuiltinFunctionType, ModuleType, type)
"""Values of global variables that nobody changes while a program runs."""
_OF_ATTRIBUTES: Final = frozenset({"setattr", "getattr", "delattr"})
_SETTERS: Final = frozenset({"__setattr__", "__delattr__"})
_STEPWISE: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_BY_NAME: Final = _OF_ATTRIBUTES | {"vars", "globals", "locals", "exec", "eval"}


class Watcher:
    """Notes, while it is entered, what lines of the present thread touch.

    Args:
        accesses: Where it notes that.

    Attributes:
        is_on: Whether a step is running: what runs between steps is not the program's.
    """

    def __init__(self, accesses: Accesses) -> None:
        self._accesses = accesses
        self.is_on = False
        self._before: Any = None
        self._is_watched: dict[tuple[str, int], bool] = {}

    def __enter__(self) -> Watcher:
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    # Trace functions -----------------------------------------------------------------------------------------------

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if not self.is_on:
            return None
        code = frame.f_code
        if code.co_name == "__init__" and code.co_argcount:
            self._born(frame.f_locals.get(code.co_varnames[0]))
        if not self._watches(code):
            return None
        if code.co_flags & _STEPWISE:  # It may go on in the middle of a line.
            self._note(frame, goes_on=True)
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == "line" and self.is_on:
            self._note(frame, goes_on=False)
        return self._line

    def _watches(self, code: CodeType) -> bool:
        name = code.co_filename
        key = (name, code.co_firstlineno)
        known = self._is_watched.get(key)
        if known is None:
            known = not (is_foreign(name) or is_standard(name))
            if known and uses_in(code) is None:
                known = False
                # What a dataclass generates has no source either, and does nothing that its user does not see.
                if not name.startswith("<") or code.co_flags & inspect.CO_COROUTINE:
                    self._accesses.untracked.add(f"what {name} does, whose source cannot be read")
            self._is_watched[key] = known
        return known

    def _born(self, item: Any) -> None:
        """Name a new object by who makes it."""
        if has_attributes(item):
            self._accesses.name(item)

    # Notes -----------------------------------------------------------------------------------------------------------

    def _note(self, frame: FrameType, *, goes_on: bool) -> None:
        lines = uses_in(frame.f_code)
        if lines is None or frame.f_lineno is None:
            return
        for use in lines.get(frame.f_lineno, ()):
            if goes_on or not use.is_late:
                self._note_use(use, frame)

    def _note_use(self, use: Use, frame: FrameType) -> None:
        node = use.node
        if isinstance(node, ast.Name):
            self._note_variable(node.id, use, frame)
            if node.id in _BY_NAME and use.call is not None and use.call.func is node:
                self._note_by_name(use.call, frame)
            value = value_of(node, frame) if use.loads else UNKNOWN
        elif isinstance(node, ast.Attribute):
            value = self._note_attribute(node, use, frame)
        else:
            value = self._note_item(node, use, frame)
        if value is NOWHERE or use.how is How.HOLD:
            return
        if value is not UNKNOWN:
            self._note_object(value, use, frame)

    def _note_variable(self, name: str, use: Use, frame: FrameType) -> None:
        code = frame.f_code
        key: Hashable
        if name in code.co_freevars or name in code.co_cellvars:
            key = ("variable", code.co_filename, name)
        elif name not in code.co_varnames and name in frame.f_globals:
            if not use.stores and isinstance(frame.f_globals[name], _NEVER_SET):
                return
            key = ("global", frame.f_globals.get("__name__"), name)
        else:
            return
        self._accesses.note(key, writes=use.stores)

    def _note_attribute(self, node: ast.Attribute, use: Use, frame: FrameType) -> Any:
        base = value_of(node.value, frame)
        if base is NOWHERE:
            return NOWHERE
        if node.attr == "__dict__":
            self._tell(node, frame)
            return UNKNOWN
        if base is UNKNOWN:
            self._accesses.note_unknown(node.attr, writes=use.stores)
            if node.attr in MUTATING:
                self._accesses.note_unknown(None, writes=True)
            return UNKNOWN
        value = member_of(base, node.attr)
        if isinstance(base, ModuleType):
            self._accesses.note(("global", base.__name__, node.attr), writes=use.stores)
        elif has_attributes(base) and (use.stores or not isinstance(value, CODE)):
            self._accesses.note_part(base, node.attr, writes=use.stores)
            self._note_classes(base, node.attr)
        return value

    def _note_classes(self, base: Any, name: str) -> None:
        """Note that an attribute that *base* has not got itself is looked up in its classes, where it may change."""
        is_class = isinstance(base, type)
        if name not in getattr(base, "__dict__", ()):
            for cls in (base if is_class else type(base)).__mro__:
                if name in cls.__dict__:
                    self._accesses.note_part(cls, name, writes=False)
                    return

    def _note_item(self, node: Any, use: Use, frame: FrameType) -> Any:
        if value_of(node.value, frame) is UNKNOWN:
            self._accesses.note_unknown(None, writes=use.stores)
        return value_of(node, frame)

    def _note_object(self, value: Any, use: Use, frame: FrameType) -> None:
        """Note what happens to an object, as far as no line of the user's shows it."""
        how = use.how
        if how is How.PASS:
            assert use.call is not None
            how = self._how_called(use.call, frame)
        if use.how in {How.PASS, How.COMPARE} and how is not How.HOLD and has_attributes(value):
            for name in getattr(value, "__dict__", ()):
                self._accesses.note_part(value, name, writes=False)
        if how is How.HOLD or not is_opaque(value):
            return
        if how in {How.ITERATE, How.COMPARE}:
            how = How.READ if isinstance(value, _CONTAINERS) else How.WRITE
        self._accesses.note_part(value, None, writes=how is How.WRITE or not isinstance(value, _CONTAINERS))

    def _how_called(self, call: ast.Call, frame: FrameType) -> How:
        """Say what a call does to its arguments: nothing, if its own lines will show it."""
        if isinstance(call.func, ast.Name) and call.func.id in PURE:
            return How.READ
        if isinstance(call.func, ast.Name) and call.func.id in _BY_NAME:
            return How.HOLD  # That is noted already.
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SETTERS:
            self._note_named([value_of(each, frame) for each in call.args], call, frame, writes=True)
            return How.HOLD
        function = value_of(call.func, frame)
        if isinstance(function, MethodType):
            function = function.__func__
        if isinstance(function, type):
            function = getattr(function, "__init__", None)
        if isinstance(function, FunctionType) and self._watches(function.__code__):
            return How.HOLD
        return How.WRITE

    def _note_by_name(self, call: ast.Call, frame: FrameType) -> None:
        """Note what a function does that is told a name."""
        function = value_of(call.func, frame)
        if not isinstance(function, BuiltinFunctionType):
            return  # Somebody else's of this name.
        if function.__name__ in _OF_ATTRIBUTES:
            values = [value_of(each, frame) for each in call.args]
            self._note_named(values, call, frame, writes=function.__name__ != "getattr")
        else:
            self._tell(call, frame)

    def _note_named(self, values: Sequence[Any], call: ast.Call, frame: FrameType, *, writes: bool) -> None:
        if len(values) > 1 and isinstance(values[1], str) and values[0] is not UNKNOWN:
            _note_attribute(self._accesses, values[0], values[1], writes=writes)
        else:
            self._tell(call, frame)

    def _tell(self, node: ast.expr, frame: FrameType) -> None:
        place = f"{frame.f_code.co_filename}:{node.lineno}"
        self._accesses.untracked.add(f"what `{ast.unparse(node)}` uses ({place})")


def note_call(accesses: Accesses, function: BuiltinFunctionType, args: Sequence[Any]) -> None:
    """Note what a function without lines does to its arguments."""
    if function.__name__ in _OF_ATTRIBUTES and len(args) > 1 and isinstance(args[1], str):
        _note_attribute(accesses, args[0], args[1], writes=function.__name__ != "getattr")
        return
    for each in args:
        if is_opaque(each):
            accesses.note_part(each, None, writes=function.__name__ not in PURE)


def _note_attribute(accesses: Accesses, item: Any, name: str, *, writes: bool) -> None:
    if not hasattr(type(item), "__tracked__"):  # Which reports that itself.
        accesses.note_part(item, name, writes=writes)
