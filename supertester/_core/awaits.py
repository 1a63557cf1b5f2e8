"""What a suspended coroutine waits for: the chain of awaits, as Python holds it."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["await_chain", "frame_of", "frames_of"]


def await_chain(steps: Any) -> list[Any]:
    """Return *steps* and what it awaits, and what that awaits, and so on."""
    chain = [steps]
    while (inner := _awaited_by(chain[-1])) is not None:
        chain.append(inner)
    return chain


def _awaited_by(steps: Any) -> Any:
    return getattr(steps, "cr_await", None) or getattr(steps, "gi_yieldfrom", None) or getattr(steps, "ag_await", None)


def frame_of(steps: Any) -> FrameType | None:
    """Return the frame of a coroutine or generator that has not ended, or ``None``."""
    return getattr(steps, "cr_frame", None) or getattr(steps, "gi_frame", None) or getattr(steps, "ag_frame", None)


def frames_of(steps: Any) -> Iterator[tuple[Any, FrameType]]:
    """Yield each part of the chain of *steps* that has a frame, with that frame, outermost first."""
    for each in await_chain(steps):
        if (frame := frame_of(each)) is not None:
            yield each, frame
