"""`strange`: how a worker is started that has something wrong with it; for programs without supertester, too."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["strange"]


def strange(plant: str) -> list[str]:
    """Return the command of a worker with *plant* wrong with it, or nothing, but with more tools."""
    return [sys.executable, str(Path(__file__).with_name("strange_server.py")), plant]
