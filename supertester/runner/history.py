"""`History`: what runs remember, in a folder beside the tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

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

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = Path(folder) if folder is not None else None

    def durations(self) -> Mapping[str, float]:
        """Return the seconds that tests took, by id."""
        if self._folder is None:
            return {}
        try:
            lines = (self._folder / _DURATIONS).read_text(encoding="utf-8", errors="replace").splitlines()
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
            self._write(_DURATIONS, text)

    def _write(self, name: str, text: str) -> None:
        """Write a whole file or none, also if another run does so too."""
        folder = self._folder
        assert folder is not None
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        part = folder / f"{name}.{os.getpid()}"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(folder / name)
        finally:
            part.unlink(missing_ok=True)
