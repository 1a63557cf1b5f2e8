"""Strategies by their names."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Final

from supertester.errors import UsageError
from supertester.schedule.strategies.auto import Auto
from supertester.schedule.strategies.base import Strategy
from supertester.schedule.strategies.bounded import Bounded
from supertester.schedule.strategies.dpor import Dpor
from supertester.schedule.strategies.fifo import Fifo
from supertester.schedule.strategies.pct import Pct
from supertester.schedule.strategies.pos import Pos
from supertester.schedule.strategies.random_walk import RandomWalk
from supertester.schedule.strategies.roles import Roles
from supertester.schedule.strategies.sticky import Sticky
from supertester.schedule.strategies.urw import Urw

__all__ = ["STRATEGIES", "can_be_complete", "named_strategy"]

STRATEGIES: Final[dict[str, Callable[..., Strategy]]] = {
    "auto": Auto,
    "fifo": Fifo,
    "random": RandomWalk,
    "pos": Pos,
    "roles": Roles,
    "pct": Pct,
    "urw": Urw,
    "sticky": Sticky,
    "bounded": Bounded,
    "dpor": Dpor,
}


def named_strategy(name: str) -> Strategy:
    """Return a new strategy.

    Args:
        name: One of ``auto``, ``fifo``, ``random``, ``pos``, ``roles``, ``pct``, ``urw``, ``sticky``, ``bounded`` and
            ``dpor``. Three of them take a parameter: ``"pct:3"`` is the depth, ``"sticky:0.9"`` how likely the lane
            that ran goes on, ``"bounded:2"`` the most preemptions.

    Raises:
        UsageError: There is none of this name, or its parameter makes no sense.

    >>> named_strategy("fifo").name
    'fifo'
    >>> named_strategy("pct:3").name
    'pct:3'
    """
    plain, colon, parameter = name.partition(":")
    if plain not in STRATEGIES:
        close = difflib.get_close_matches(plain, STRATEGIES, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(f"unknown strategy {name!r}{hint}; the known ones are {', '.join(STRATEGIES)}")
    make = STRATEGIES[plain]
    return make(_parameter(name, plain, parameter)) if colon else make()


def can_be_complete(strategy: Strategy) -> bool:
    """Say whether *strategy* may ever find that no schedule is left; one that draws them never does."""
    kind = type(strategy)
    is_own = kind not in STRATEGIES.values() and kind.begin is not Strategy.begin
    return strategy.is_systematic or is_own


def _parameter(name: str, plain: str, text: str) -> Any:
    if plain not in _PARAMETERS:
        raise UsageError(f"strategy {plain!r} takes no parameter, got {name!r}; those with one are {_SHOWN}")
    example, meaning, read = _PARAMETERS[plain]
    try:
        return read(text)
    except ValueError:
        raise UsageError(f"strategy {name!r}: {meaning}, as in {example!r}") from None


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if (number := int(text)) < least:
            raise ValueError(text)
        return number

    return read


def _inertia(text: str) -> tuple[float]:
    if not 0 <= (inertia := float(text)) < 1:
        raise ValueError(text)
    return (inertia,)


_PARAMETERS: Final[dict[str, tuple[str, str, Callable[[str], Any]]]] = {
    "pct": ("pct:3", "the depth must be a whole number from 1", _whole(1)),
    "sticky": ("sticky:0.9", "the probability must be a number from 0 and less than 1", _inertia),
    "bounded": ("bounded:2", "the most preemptions must be a whole number from 0", _whole(0)),
}
_SHOWN: Final = ", ".join(example for example, _, _ in _PARAMETERS.values())
