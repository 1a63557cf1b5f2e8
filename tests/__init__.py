"""The tests of the project itself. They mirror the package; `project/` and `docs/` test what surrounds it."""

__tags__ = {"layer": "component"}
