"""One part by itself; no process is started."""

__tags__ = {"layer": "unit"}
