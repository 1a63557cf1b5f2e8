"""The pool with real workers, as its users have it."""

__tags__ = {"layer": "system"}
