"""Servers in processes of their own, behind the same `Pid` as any other."""

from supertester._core.lazy import lazy_attributes

__all__ = ["RemoteError", "os_child_spec", "start_os_server"]
