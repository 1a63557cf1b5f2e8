"""Imports functions of ``random`` by name, as an application does."""

from random import choice, gauss, getrandbits, random, seed

__all__ = ["choice", "gauss", "getrandbits", "random", "seed"]
