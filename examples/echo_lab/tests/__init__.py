"""The tests of EchoLab: a module for each module of supertester, so that each shows what one of them is for."""

__tags__ = {"layer": "component"}
