"""The parts by themselves, on pipes without a process: in each commit."""

__tags__ = {"layer": "unit"}
