"""Exit signals of chaos: they come from nobody, so that no target takes them for its parent's."""

from __future__ import annotations

from typing import Any

from supertester.otp.process import Process

__all__ = ["signal_exit"]


def signal_exit(target: Process, reason: Any) -> None:
    """Send *target* an exit signal; one that traps exits may survive it, `KILL` excepted."""
    runtime = target.runtime
    token = runtime.activate()
    try:
        target.exit(reason)
    finally:
        runtime.deactivate(token)
