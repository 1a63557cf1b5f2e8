"""How EchoLab is set up. Where it runs decides by environment variables, the rest stands here."""

from __future__ import annotations

import os
import random

__all__ = ["GREETINGS", "greeting", "start_value"]

GREETINGS = ("Hello", "Good day", "Welcome")


def start_value() -> int:
    """Return what the counter starts with: ``ECHO_LAB_START``, or else 5."""
    return int(os.environ.get("ECHO_LAB_START", "5"))


def greeting(name: str) -> str:
    """Greet *name*, each time in another way."""
    return f"{random.choice(GREETINGS)}, {name}"
