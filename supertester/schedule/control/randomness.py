"""Random numbers of an explored program, which all come from the seed of its schedule."""

from __future__ import annotations

import os
import random
import uuid
from typing import Any

from supertester._core.exploring import current
from supertester._core.random_routing import route_random
from supertester._core.replacing import Undo, importers, replace_attribute

__all__ = ["install"]


def install() -> list[Undo]:
    """Serve ``random``, ``os.urandom``, ``uuid`` and ``secrets``, the last two by way of the first."""
    before = {"urandom": os.urandom, "uuid1": uuid.uuid1}
    served = {"urandom": _serve_urandom(os.urandom), "uuid1": _serve_uuid1(uuid.uuid1)}
    return [
        route_random(_own, first=True),
        replace_attribute(random, "_urandom", served["urandom"]),
        replace_attribute(random.Random, "seed", _serve_seed(random.Random.seed)),
        *(replace_attribute(module, name, served[name]) for module, name in importers(before)),
    ]


def _own() -> random.Random | None:
    loop = current()
    return None if loop is None else loop.random


def _serve_urandom(original: Any) -> Any:
    def urandom(size: int, /) -> bytes:
        loop = current()
        found: bytes = original(size) if loop is None or size < 0 else loop.random.randbytes(size)
        return found

    return urandom


def _serve_seed(original: Any) -> Any:
    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        """Begin with *a*, or with what cannot be foreseen."""
        if a is None and (loop := current()) is not None and (own := loop.random) is not self:
            a = own.getrandbits(128)
        original(self, a, version)

    return seed


def _serve_uuid1(original: Any) -> Any:
    def uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
        """Return a UUID of version 1."""
        loop = current()
        if loop is None:
            found: uuid.UUID = original(node, clock_seq)
            return found
        return uuid.UUID(int=loop.random.getrandbits(128), version=1)

    return uuid1
