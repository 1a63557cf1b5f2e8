"""The protocol: real pipes and processes, with a double at one end or the other."""

__tags__ = {"layer": "component"}
