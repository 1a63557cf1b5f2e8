"""Names: made unique, and shown."""

from __future__ import annotations

import re
from functools import partial
from itertools import count
from typing import Any

__all__ = ["describe", "unique_name"]

_next_serial = count(1).__next__
_NOT_WORD = re.compile(r"\W+")


def unique_name(*parts: object) -> str:
    """Return a name made of *parts* that this process never returned before.

    Runs of characters other than letters, digits and ``_`` become one ``_``; empty parts are left out.

    >>> unique_name("Counter", "", "when it crashes").rpartition("_")[0]
    'Counter_when_it_crashes'
    """
    words = (_NOT_WORD.sub("_", str(part)).strip("_") for part in parts)
    return "_".join([*(word for word in words if word), str(_next_serial())])


def describe(thing: Any) -> str:
    """Return what a reader would call *thing*: the qualified name of a function or class, else its ``repr``.

    >>> describe(print), describe(partial(print, 1)), describe(3)
    ('print', 'print', '3')
    """
    while isinstance(thing, partial):
        thing = thing.func
    name = getattr(thing, "__qualname__", None)
    return name if isinstance(name, str) else repr(thing)
