"""The pool with real workers that really die, hang, and talk nonsense."""

__tags__ = {"layer": "stress", "chaos": True}
