"""The schedules that failed, kept in files so that the next run tries them first.

A file per schedule, in a folder per program, below ``.supertester/failures`` in the current directory. A file is
written under another name and then renamed, so a crash leaves an old one or a new one and never half of one, and
processes that test at the same time disturb each other in nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from supertester.errors import UsageError
from supertester.schedule.token import Schedule

__all__ = ["FOLDER", "MOST", "Database"]

FOLDER: Final = Path(".supertester")
"""Where the library keeps what is to outlast a run, in the current directory."""
MOST: Final = 10
"""Failing schedules kept for each program; older ones make room."""

_ATTEMPTS: Final = 100
"""How often to make the folder again that others remove."""


class Database:
    """The failing schedules of one program.

    Args:
        program: What it is called, e.g. the id of a test.
        folder: Where the files are; by default `FOLDER` in the current directory.

    Example::

        database = Database("test_bank.BankTest.test_transfer")
        path = database.add(token, {"failure": "Deadlock"})
        database.tokens()  # [token]
    """

    def __init__(self, program: str, folder: Path | None = None) -> None:
        name = re.sub(r"[^\w.-]+", "_", program)[-80:]
        digest = blake2b(program.encode(), digest_size=4).hexdigest()
        self.program = program
        self.folder = (FOLDER if folder is None else folder) / "failures" / f"{name}-{digest}"

    def tokens(self) -> list[str]:
        """Return the tokens of the schedules that failed, the last one first, leaving out files that cannot be read."""
        return [token for path in self._paths() if (token := _token_in(path)) is not None]

    def add(self, token: str, facts: Mapping[str, Any]) -> Path | None:
        """Keep *token*, with *facts* for whoever looks into the file; return its path, or ``None`` if it is refused."""
        path = self._path(token)
        text = json.dumps({"program": self.program, "token": token, **facts}, indent=2, ensure_ascii=False) + "\n"
        if not self._is_written(path, text):
            return None  # A folder that cannot be written to is no reason to hide the failure itself.
        for old in self._paths()[MOST:]:
            _remove(old)
        return path

    def _is_written(self, path: Path, text: str) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                _write(path, text)
            except (FileNotFoundError, FileExistsError):
                continue  # Somebody dropped the last token, and the folder with it, as it was written to or looked at.
            except OSError:
                return False
            return True
        return False

    def drop(self, token: str) -> None:
        """Forget *token*: it fails no more."""
        _remove(self._path(token))
        for folder in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):  # It has others.
                folder.rmdir()

    def _path(self, token: str) -> Path:
        return self.folder / f"{blake2b(token.encode(), digest_size=8).hexdigest()}.json"

    def _paths(self) -> list[Path]:
        return [path for _, path in sorted(self._dated(), reverse=True)]

    def _dated(self) -> Iterator[tuple[int, Path]]:
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(OSError):  # Another process has removed it meanwhile.
                yield path.stat().st_mtime_ns, path


def _token_in(path: Path) -> str | None:
    """Return the token in the file *path*, or ``None`` if it has none that this version reads."""
    try:
        token = json.loads(path.read_text(encoding="utf-8"))["token"]
        Schedule.of_token(token)
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        return None
    return str(token)


def _write(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        _remove(Path(name))
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
