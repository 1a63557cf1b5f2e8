"""Spans as plain dicts that are the same in every run, to compare with what was written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supertester.telemetry import TEST_ID

__all__ = ["snapshot"]

_SECOND = 1_000_000_000
_BEGIN, _EVENT, _END = range(3)


def snapshot(spans: Sequence[Mapping[str, Any]], attributes: frozenset[str] | None) -> list[dict[str, Any]]:
    """Return *spans* in the order in which they began, with ids 1, 2, 3 and a clock that steps by a second.

    Ids are given by order: of spans by when they began, of traces by when their first span did. Things of the same
    nanosecond keep the order that they must have: a span begins before what is in it, and ends after it.
    """
    ordered = sorted(enumerate(spans), key=lambda entry: (entry[1]["start_time"], -entry[0]))
    found = [span for _, span in ordered]
    ids = {span["span_id"]: number for number, span in enumerate(found, 1)}
    traces = {trace: number for number, trace in enumerate(dict.fromkeys(span["trace_id"] for span in found), 1)}
    times = _steps(found)
    return [
        {
            "name": span["name"],
            "kind": span["kind"],
            "trace_id": traces[span["trace_id"]],
            "span_id": ids[span["span_id"]],
            "parent_id": ids.get(span["parent_id"]),
            "start_time": times[number, _BEGIN, 0],
            "end_time": times[number, _END, 0],
            "status": span["status"],
            "attributes": _chosen(span["attributes"], attributes),
            "events": [
                {
                    "name": event["name"],
                    "time": times[number, _EVENT, index],
                    "attributes": _chosen(event["attributes"], attributes),
                }
                for index, event in enumerate(span["events"])
            ],
        }
        for number, span in enumerate(found)
    ]


def _steps(spans: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int, int], int]:
    """Return the time of each beginning, event and end: seconds 1, 2, 3, in nanoseconds, in the order of the real ones.

    Spans end in the reverse order of their beginnings if they do at once.
    """
    moments = []
    for number, span in enumerate(spans):
        moments.append((span["start_time"], _BEGIN, number, (number, _BEGIN, 0)))
        moments.append((span["end_time"], _END, -number, (number, _END, 0)))
        for index, event in enumerate(span["events"]):
            moments.append((event["time"], _EVENT, number, (number, _EVENT, index)))
    moments.sort(key=lambda moment: moment[:3])
    return {key: step * _SECOND for step, (_, _, _, key) in enumerate(moments, 1)}


def _chosen(attributes: Mapping[str, Any], names: frozenset[str] | None) -> dict[str, Any]:
    return {
        name: attributes[name] for name in sorted(attributes) if (name != TEST_ID if names is None else name in names)
    }
