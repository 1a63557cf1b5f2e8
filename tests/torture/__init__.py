"""The library's own tests, many at a time in the threads of one process: none may see anything of another."""

__tags__ = {"layer": "system"}
