"""The temporary folder of a test."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

__all__ = ["make_folder", "remove_folder"]

_LONGEST = 40
"""Characters of a test's name in that of its folder; the address of a Unix socket in it may have 107 in all."""


def make_folder(test_id: str) -> Path:
    """Make a new folder, named after the test, that no other process has."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", ".".join(test_id.split(".")[-2:]))
    return Path(tempfile.mkdtemp(prefix=f"{name[-_LONGEST:].strip('-')}-")).resolve()


def remove_folder(folder: Path) -> None:
    """Remove *folder* with all that is in it, what is read-only included; no matter if it is gone.

    Raises:
        OSError: Something in it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError:
        _make_writable(folder)
        shutil.rmtree(folder)


def _make_writable(folder: Path) -> None:
    """Let the owner change all the folders in *folder*; on Windows, the files too have to be writable."""
    folder.chmod(stat.S_IRWXU)
    for place, folders, files in os.walk(folder):
        for name in [*folders, *(files if os.name == "nt" else ())]:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
