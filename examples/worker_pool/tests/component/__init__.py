"""One worker process by itself."""

__tags__ = {"layer": "component"}
