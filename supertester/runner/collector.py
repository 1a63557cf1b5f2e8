"""Python's garbage collector, while a command loads its own modules: there is nothing to collect then."""

from __future__ import annotations

import gc

__all__ = ["pause", "resume"]

_is_paused = False


def pause() -> None:
    """Let it rest until `resume`, if it is on."""
    global _is_paused  # noqa: PLW0603 - so is the collector
    _is_paused = gc.isenabled()
    gc.disable()


def resume() -> None:
    """Turn it on again, if `pause` turned it off; whoever goes on to what is not ours does that."""
    global _is_paused  # noqa: PLW0603
    if _is_paused:
        _is_paused = False
        gc.freeze()  # Makes everything old, and by that spares the collector to look through it all at once.
        gc.unfreeze()
        gc.enable()
