"""`History`: what runs remember, in a folder beside the tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from os import PathLike, fspath

from supertester.runner import files
from supertester.runner.outcomes import TestOutcome

__all__ = ["History"]

_DURATIONS = "durations.txt"
_MOST = 100_000
"""Tests whose durations are kept: those seen last."""
_OLD = 0.5
"""The weight of what is remembered beside what was just seen."""


class History:
    """The durations of earlier runs, in the file ``durations.txt`` of a folder: seconds and an id in each line.

    What cannot be read or written is not remembered: that costs time, and no test.
    """

    def __init__(self, folder: str | PathLike[str] | None) -> None:
        self._folder = fspath(folder) if folder is not None else None

    def durations(self) -> Mapping[str, float]:
        """Return the seconds that tests took, by id."""
        if self._folder is None:
            return {}
        try:
            lines = files.read(f"{self._folder}/{_DURATIONS}").split("\n")
        except OSError:
            return {}
        found: dict[str, float] = {}
        for seconds, _, name in (line.partition(" ") for line in lines):
            with contextlib.suppress(ValueError):
                found[name] = float(seconds)
        return found

    def remember(self, outcomes: Iterable[TestOutcome]) -> None:
        """Take note of how long those took that ran."""
        ran = [each for each in outcomes if not each.is_fixture and each.outcome not in {"lost", "skipped"}]
        if self._folder is None or not ran:
            return
        known = dict(self.durations())
        for each in ran:
            before = known.pop(each.test_id, each.duration)  # What was seen last goes last.
            known[each.test_id] = _OLD * before + (1 - _OLD) * each.duration
        kept = list(known.items())[-_MOST:]
        text = "".join(f"{seconds:.6f} {name}\n" for name, seconds in kept if "\n" not in name)
        with contextlib.suppress(OSError):
            files.make_folder(self._folder)
            files.replace(f"{self._folder}/{_DURATIONS}", text)
