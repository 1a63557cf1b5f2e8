"""What a test adds to the report of its run: texts, pages, and the reports of loads and scenarios.

Where nobody collects them nothing is kept, so a test may attach whatever helps to understand it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["MOST", "Attached", "attach", "collected", "is_collecting"]

MOST: Final = 50
"""Attachments of one test that are kept, the first ones."""


@dataclass(frozen=True)
class Attached:
    """Something that a test attached: its name, its media type if it says one, and itself."""

    name: str
    content: Any
    kind: str | None = None


@dataclass(eq=False)
class _Collection:
    attached: list[Attached] = field(default_factory=list)
    left_out: int = 0


_current: ContextVar[_Collection | None] = ContextVar("supertester_attachments", default=None)
_open: list[_Collection] = []
_lock = threading.Lock()


def attach(name: str, content: Any, *, kind: str | None = None) -> None:
    """Attach *content* to the running test, for the report of the run (``--html``, ``--junit``).

    Reports of `run_load` and `run_scenario` attach themselves.

    Args:
        name: What to call it.
        content: A text, or an object whose ``str`` tells of it.
        kind: A media type: ``text/plain`` unless something else is said, or ``text/html`` for a page.

    Raises:
        TypeError: The name is no text, or a kind is given for what is no text.

    >>> attach("the plan of the query", "Seq Scan on orders")
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of an attachment is a text, got {name!r}")
    if kind is not None and not isinstance(content, str):
        raise TypeError(f"an attachment of the kind {kind!r} is a text, got {type(content).__name__}")
    collection = _collection()
    if collection is None:
        return
    if len(collection.attached) < MOST:
        collection.attached.append(Attached(name, content, kind))
    else:
        collection.left_out += 1


def is_collecting() -> bool:
    """Say whether what the running test attaches is kept: somebody collects it, and there is not too much already."""
    collection = _collection() if _open else None
    return collection is not None and len(collection.attached) < MOST


def _collection() -> _Collection | None:
    """Return where the running test's attachments go; what has no context of a test belongs to the only one."""
    if not _open:
        return None
    found = _current.get()
    if found in _open:
        return found
    return _open[0] if len(_open) == 1 else None


@contextmanager
def collected() -> Iterator[list[Attached]]:
    """Keep what is attached in the block, and return it as a list, which grows."""
    collection = _Collection()
    with _lock:
        _open.append(collection)
    before = _current.get()
    _current.set(collection)
    try:
        yield collection.attached
    finally:
        _current.set(before)  # Not by a token: the end of a test need not have the context of its beginning.
        with _lock:
            _open.remove(collection)
        if collection.left_out:
            collection.attached.append(Attached("left out", f"{collection.left_out} more attachments"))
