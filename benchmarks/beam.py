"""Erlang's own figures: one BEAM for the whole run, asked for a sample when it is its turn. It is optional.

It takes longer to start than most figures to be measured, so it starts with the first sample.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import IO

from benchmarks.measure import Subject

__all__ = ["BEAM", "Beam", "opened_beam"]

BEAM = "BEAM"
SCRIPT = Path(__file__).with_name("beam.exs")


class Beam:
    """A BEAM that measures what it is told to, from the first time on; it ends with *running*."""

    def __init__(self, command: Sequence[str], running: ExitStack) -> None:
        self._command = command
        self._running = running

    @cached_property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._running.enter_context(process)
        assert process.stdin is not None and process.stdout is not None
        return process.stdin, process.stdout

    def run(self, figure: str, units: int) -> float:
        """Return the seconds that one unit of *figure* takes."""
        requests, answers = self._pipes
        requests.write(f"{figure} {units}\n")
        requests.flush()
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"the BEAM ended while it measured {figure!r}; what it printed is above")
        return float(answer) / 1e9

    def subject(self, figure: str, *, units: int, repeat: int = 1) -> Subject:
        """Return the subject that measures *figure* there."""
        return Subject(name=BEAM, run=partial(self.run, figure), units=units, repeat=repeat)


@contextmanager
def opened_beam(elixir: str = "elixir", script: Path = SCRIPT) -> Iterator[Beam | None]:
    """Make a BEAM, and end it afterwards if it was used; ``None`` where *elixir* is not on the path."""
    command = shutil.which(elixir)
    if command is None:
        yield None
        return
    with ExitStack() as running:
        yield Beam([command, str(script)], running)
