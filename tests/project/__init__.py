"""What must hold for the project as a whole. Each rule is a checker of its own, tested on input that breaks it."""

__tags__ = {"layer": "system"}
