"""Erlang's own figures: one BEAM for the whole run, asked for a sample when it is its turn. It is optional."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks.measure import Subject

__all__ = ["BEAM", "Beam", "opened_beam"]

BEAM = "BEAM"
SCRIPT = Path(__file__).with_name("beam.exs")


class Beam:
    """A running BEAM that measures what it is told to."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers

    def run(self, figure: str, units: int) -> float:
        """Return the seconds that one unit of *figure* takes."""
        self._requests.write(f"{figure} {units}\n")
        self._requests.flush()
        answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"the BEAM ended while it measured {figure!r}; what it printed is above")
        return float(answer) / 1e9

    def subject(self, figure: str, *, units: int, repeat: int = 1) -> Subject:
        """Return the subject that measures *figure* there."""
        return Subject(name=BEAM, run=partial(self.run, figure), units=units, repeat=repeat)


@contextmanager
def opened_beam(elixir: str = "elixir") -> Iterator[Beam | None]:
    """Start a BEAM, and end it afterwards; ``None`` where *elixir* is not on the path."""
    command = shutil.which(elixir)
    if command is None:
        yield None
        return
    with subprocess.Popen(
        [command, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield Beam(process.stdin, process.stdout)
