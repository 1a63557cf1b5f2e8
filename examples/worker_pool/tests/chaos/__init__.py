"""Workers are killed, frozen and cut off, the pool is overrun by their deaths, and its program is killed."""

__tags__ = {"layer": "system", "chaos": True}
