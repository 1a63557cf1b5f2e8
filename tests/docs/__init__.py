"""Every block of Python in the README and in the documentation runs, and so does every example in a docstring."""

__tags__ = {"layer": "system"}
