"""The kinds of leaks."""

from typing import Final

__all__ = ["LEAK_KINDS", "WORLD_KINDS"]

WORLD_KINDS: Final = ("timers", "threads", "children", "descriptors", "handlers", "signals")
"""Looked for from ``full_isolation`` up, where a class does not say otherwise."""
LEAK_KINDS: Final = ("tasks", "processes", *WORLD_KINDS)
