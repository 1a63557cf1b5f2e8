"""Which lines ran, by coverage.py: in all workers, also in those that died."""

from __future__ import annotations

import atexit
import io
import tempfile
import threading
from pathlib import Path
from typing import Any

from supertester._core.lazy import lazy_import
from supertester.runner.declared import DeclaredTest
from supertester.runner.outcomes import TestOutcome

__all__ = ["Covering", "Saver", "begin_part", "part_file"]


def _package() -> Any:
    return lazy_import("coverage", purpose="--coverage", extra="run")


_one_at_a_time = threading.Lock()


class Covering:
    """Measures from when it is made, in this process and those forked from it, by the project's own configuration.

    To be made before the tests are loaded, as loading runs lines too. Each process writes a file of its own.

    Raises:
        UsageError: The package ``coverage`` is not installed.
    """

    def __init__(self) -> None:
        package = _package()
        self._folder = tempfile.TemporaryDirectory(prefix="supertester-coverage-")
        self._here = package.Coverage(data_file=str(Path(self._folder.name) / "part"), data_suffix=True)
        # A process may well run nothing that is measured.
        self._here.set_option(
            "run:disable_warnings", ["no-data-collected", *self._here.get_option("run:disable_warnings")]
        )
        self._here.start()

    def __enter__(self) -> Covering:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.stop()
        self._folder.cleanup()

    def stop_here(self) -> None:
        """Measure no more in this process, when the tests are in others."""
        self._here.stop()

    def finish(self) -> str:
        """Put together what all processes wrote, into the file that the configuration names, and return the report."""
        package = _package()
        self._here.stop()
        self._here.save()
        whole, text = package.Coverage(), io.StringIO()
        try:
            whole.combine([str(part) for part in sorted(Path(self._folder.name).iterdir())], strict=True)
            whole.save()
            whole.report(file=text)
        except package.exceptions.CoverageException as error:
            return f"no coverage: {error}\n"
        return text.getvalue()


def part_file() -> str:
    """Return where processes of this run write what they measured; an empty text if nothing is measured."""
    current = _package().Coverage.current()
    return "" if current is None else str(current.get_option("run:data_file"))


def begin_part(file: str) -> None:
    """Measure this process, which was not forked from one that is measured."""
    _package().Coverage(data_file=file, data_suffix=True).start()


class Saver:
    """Writes down what was measured in a worker after each test, so that no death of the worker takes it along."""

    def __init__(self) -> None:
        self._coverage = _package().Coverage.current()
        if self._coverage is not None:
            atexit.register(self._coverage.save)  # With what runs after the last test.

    def begin(self, test: DeclaredTest) -> None:
        """Do nothing: what is measured goes on."""

    def end(self, outcome: TestOutcome) -> TestOutcome:
        """Write down what was measured so far."""
        if self._coverage is not None:
            with _one_at_a_time:
                self._coverage.save()
        return outcome
