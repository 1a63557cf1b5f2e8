"""Load: the arithmetic on times that are made up, the generators by what they do and not by how fast."""

__tags__ = {"layer": "stress", "load": True}
