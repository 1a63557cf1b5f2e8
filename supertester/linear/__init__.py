"""Linearizability: whether concurrent use of an object looks as if its callers had taken turns.

Needs the standard library alone.
"""

from supertester.linear.check import Linearizability, check_linearizable
from supertester.linear.history import PENDING, History, Operation
from supertester.linear.model import ClassModel, Model
from supertester.linear.models import MODELS

__all__ = [
    "MODELS",
    "PENDING",
    "ClassModel",
    "History",
    "Linearizability",
    "Model",
    "Operation",
    "check_linearizable",
]
