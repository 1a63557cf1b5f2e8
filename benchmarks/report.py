"""What is shown of the figures: a table for people, plain data for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measure import Compared, Measured, Spread, Subject, Verdict

__all__ = ["as_data", "is_missed", "quantity", "summary", "table"]

_SCALES = {
    "seconds": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns")),
    "bytes": ((0.0, "B"),),
    "runs": ((0.0, "runs"),),
    "share": ((0.0, "%"),),
}
_FACTORS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "B": 1.0, "runs": 1.0, "%": 0.01}


def quantity(value: float, kind: str = "seconds") -> str:
    """Return *value* with three digits and a fitting unit."""
    unit = next(unit for least, unit in _SCALES[kind] if abs(value) >= least)
    shown = value / _FACTORS[unit]
    return f"{shown:,.0f} {unit}" if abs(shown) >= 100 else f"{shown:.3g} {unit}"


def _compared(found: Measured, value: float) -> str:
    match found.figure.compared:
        case Compared.SPEED | Compared.COST:
            return f"{value:.2f}x"
        case Compared.ADDED:
            return f"{'+' if value >= 0 else ''}{quantity(value, found.figure.quantity)}"
        case Compared.ALONE:
            return quantity(value, found.figure.quantity)


def _cells(found: Measured, subject: Subject) -> tuple[str, ...]:
    cost, ratio, verdict = found.cost(subject.name), found.comparison(subject.name), found.verdict(subject)
    aim = ""
    if subject.goal is not None:
        aim = f"{'≥' if found.figure.compared is Compared.SPEED else '≤'} {_compared(found, subject.goal).lstrip('+')}"
    reference = subject.name == found.figure.reference
    return (
        f"  {subject.name}",
        quantity(cost.median, found.figure.quantity),
        f"±{cost.share:.0%}",
        "" if ratio is None and not reference else "reference" if ratio is None else _compared(found, ratio.median),
        "" if ratio is None else f"{_compared(found, ratio.low)} to {_compared(found, ratio.high)}",
        aim,
        "" if subject.goal is None else "no reference" if verdict is None else verdict.value,
    )


def table(found: Measured) -> Iterator[str]:
    """Yield the lines that show one figure."""
    figure = found.figure
    header = (
        f"{figure.name}: {figure.title}",
        f"a {figure.unit}",
        "",
        figure.compared.value,
        "quartiles",
        "target",
        "",
    )
    widths = (46, 10, 5, 15, 22, 10, 12)
    for row in (header, *(_cells(found, subject) for subject in figure.subjects)):
        first, *rest = (
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield " ".join((first, *rest)).rstrip()
    yield ""


def summary(measured: Sequence[Measured]) -> str:
    """Say how many targets are met, and which are not."""
    seen = [
        (found.figure.name, subject.name, verdict)
        for found in measured
        for subject in found.figure.subjects
        if (verdict := found.verdict(subject)) is not None
    ]
    lines = [f"{sum(verdict is Verdict.MET for *_, verdict in seen)} of {len(seen)} targets met"]
    for other in (Verdict.MISSED, Verdict.UNSURE):
        names = [f"{figure} ({subject})" for figure, subject, verdict in seen if verdict is other]
        lines += [f"{other.value}: {', '.join(names)}"] if names else []
    return "\n".join(lines)


def is_missed(measured: Sequence[Measured]) -> bool:
    """Say whether any target is."""
    return any(found.verdict(subject) is Verdict.MISSED for found in measured for subject in found.figure.subjects)


def _spread(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {"low": spread.low, "median": spread.median, "high": spread.high}


def as_data(measured: Sequence[Measured]) -> dict[str, Any]:
    """Return everything that was measured, as JSON can hold it."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "figures": [
            {
                "name": found.figure.name,
                "title": found.figure.title,
                "unit": found.figure.unit,
                "quantity": found.figure.quantity,
                "reference": found.figure.reference,
                "compared": found.figure.compared.name.lower(),
                "subjects": [
                    {
                        "name": subject.name,
                        "units": subject.units,
                        "samples": found.samples[subject.name],
                        "cost": _spread(found.cost(subject.name)),
                        "comparison": _spread(found.comparison(subject.name)),
                        "goal": subject.goal,
                        "verdict": None if (verdict := found.verdict(subject)) is None else verdict.value,
                    }
                    for subject in found.figure.subjects
                ],
            }
            for found in measured
        ],
    }
