"""Load, for minutes: only what is asked for by ``-p "load_*.py"`` is run."""

__tags__ = {"layer": "stress", "load": True}
