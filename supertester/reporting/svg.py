"""Charts as SVG, to stand inside an HTML page: the colours are those of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["Axis", "Series", "chart", "linear_axis", "log_axis"]

_WIDTH: Final = 760
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 44
_LETTER: Final = 6.2
"""How wide a letter of the labels is, about."""
_LETTERING: Final = 14
"""How high a line of them is, about."""


@dataclass(frozen=True)
class Axis:
    """A direction of a chart: what it shows, from where to where, and what is written beside it."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where *value* lies, from 0 to 1."""
        if self.logarithmic:
            value, low, high = (math.log10(max(each, 1e-12)) for each in (value, self.low, self.high))
        else:
            low, high = self.low, self.high
        return min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)


@dataclass(frozen=True)
class Series:
    """Something that a chart shows: points in order, joined by a line, or each a bar down to the axis."""

    name: str
    points: tuple[tuple[float, float], ...]
    style: str = "first"
    bars: bool = False


def linear_axis(label: str, values: Iterable[float], *, low: float | None = 0.0) -> Axis:
    """Return an axis for *values*, from *low* or the least of them, with five round ticks or so.

    >>> [text for _, text in linear_axis("s", [0, 97]).ticks]
    ['0', '20', '40', '60', '80', '100']
    """
    found = list(values) or [0.0]
    low = min(found) if low is None else low
    step = _round_step((max(*found, low) - low) or 1.0)
    first, last = math.floor(low / step), math.ceil((max(*found, low) or step) / step - 1e-9)
    last = max(last, first + 1)
    ticks = tuple((number * step, _text(number * step)) for number in range(first, last + 1))
    return Axis(label, first * step, last * step, ticks)


def _round_step(span: float) -> float:
    rough = span / 5
    unit: float = 10 ** math.floor(math.log10(rough))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)


def log_axis(label: str, values: Iterable[float]) -> Axis:
    """Return a logarithmic axis for *values*, with a tick at each power of ten.

    >>> [text for _, text in log_axis("ms", [0.2, 30]).ticks]
    ['0.1', '1', '10', '100']
    """
    found = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    last = max(last, first + 1)
    ticks = tuple((10.0**power, _text(10.0**power)) for power in range(first, last + 1))
    return Axis(label, 10.0**first, 10.0**last, ticks, logarithmic=True)


def _text(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = 1e3 if letter == "k" else limit
            return f"{value / scale:g}{letter}"
    return f"{value:g}"


def chart(
    title: str, x: Axis, y: Axis, series: Sequence[Series], *, marks: Sequence[tuple[float, str, str]] = ()
) -> str:
    """Return the chart of *series*; each of the *marks* is a vertical line at that place, with its text and its class.

    Where marks are close to each other, only one has its text beside it; the others show it to the mouse.
    """
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
        *_frame(x, y),
        *_marks(x, marks),
        *(_drawn(x, y, each) for each in series),
        *_legend(series),
        "</svg>",
    ]
    return "\n".join(parts)


def _across(x: Axis, value: float) -> float:
    return round(_LEFT + x.share(value) * (_WIDTH - _LEFT - _RIGHT), 1)


def _down(y: Axis, value: float) -> float:
    return round(_HEIGHT - _BOTTOM - y.share(value) * (_HEIGHT - _TOP - _BOTTOM), 1)


def _frame(x: Axis, y: Axis) -> Iterable[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value, text in y.ticks:
        at = _down(y, value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>'
        yield f'<text class="tick" x="{_LEFT - 8}" y="{at + 4}" text-anchor="end">{escape(text)}</text>'
    for value, text in x.ticks:
        at = _across(x, value)
        yield f'<line class="grid" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 4}"/>'
        yield f'<text class="tick" x="{at}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>'
    yield f'<text class="label" x="{right}" y="{_HEIGHT - 6}" text-anchor="end">{escape(x.label)}</text>'
    yield f'<text class="label" x="8" y="14">{escape(y.label)}</text>'


def _drawn(x: Axis, y: Axis, series: Series) -> str:
    if series.bars:
        floor = _HEIGHT - _BOTTOM
        width = max(min((_WIDTH - _LEFT - _RIGHT) / max(len(series.points), 1) * 0.6, 14), 1)
        lines = [
            f'<rect class="{series.style}" x="{_across(x, at) - width / 2:.1f}" width="{width:.1f}" '
            f'y="{_down(y, value)}" height="{max(floor - _down(y, value), 0):.1f}">'
            f"<title>{escape(series.name)} {_text(value)}</title></rect>"
            for at, value in series.points
            if value
        ]
        return "\n".join(lines)
    points = " ".join(f"{_across(x, at)},{_down(y, value)}" for at, value in series.points)
    dots = "".join(
        f'<circle class="{series.style}" cx="{_across(x, at)}" cy="{_down(y, value)}" r="3">'
        f"<title>{escape(series.name)} {value:.4g}</title></circle>"
        for at, value in series.points
    )
    line = f'<polyline class="{series.style}" points="{points}"/>'
    return line + (dots if len(series.points) <= 30 else "")


def _marks(x: Axis, marks: Sequence[tuple[float, str, str]]) -> Iterable[str]:
    free = -math.inf
    for at, text, kind in sorted(marks):
        place = _across(x, at)
        line = f'x1="{place}" x2="{place}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"'
        yield f'<line class="mark {kind}" {line}><title>{at:.2f} s: {escape(text)}</title></line>'
        if place < free:
            continue
        free = place + _LETTERING
        turned = f'transform="rotate(-90 {place} {_TOP})"'
        shown = text if len(text) <= 30 else text[:29] + "…"
        yield (
            f'<text class="marked {kind}" x="{place - 4}" y="{_TOP - 4}" text-anchor="end" {turned}>'
            f"{escape(shown)}</text>"
        )


def _legend(series: Sequence[Series]) -> Iterable[str]:
    right = float(_WIDTH - _RIGHT)
    for each in reversed(series):
        right -= len(each.name) * _LETTER
        yield f'<text class="tick" x="{right:.0f}" y="14">{escape(each.name)}</text>'
        yield f'<rect class="{each.style}" x="{right - 16:.0f}" y="5" width="10" height="10" rx="2"/>'
        right -= 34
