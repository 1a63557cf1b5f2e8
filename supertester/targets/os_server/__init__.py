"""Servers in processes of their own, behind the same `Pid` as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supertester._core.lazy import lazy_attributes

if TYPE_CHECKING:
    from supertester.targets.os_server.reasons import RemoteCrash
    from supertester.targets.os_server.start import os_child_spec, start_os_server

__all__ = ["RemoteCrash", "os_child_spec", "start_os_server"]

if not TYPE_CHECKING:  # The new process imports some modules of this package, and not these.
    __getattr__ = lazy_attributes(
        __name__,
        {
            "RemoteCrash": f"{__name__}.reasons",
            "os_child_spec": f"{__name__}.start",
            "start_os_server": f"{__name__}.start",
        },
    )
