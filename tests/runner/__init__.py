"""Tests of the runner."""

__tags__ = {"layer": "system"}
