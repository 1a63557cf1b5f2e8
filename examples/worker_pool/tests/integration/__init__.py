"""Pools of real workers."""

__tags__ = {"layer": "system"}
