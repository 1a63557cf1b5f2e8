"""Whether Hypothesis is at work, without importing it."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["is_draft", "is_example"]


def is_example() -> bool:
    """Say whether this runs for an example of Hypothesis."""
    control: Any = sys.modules.get("hypothesis.control")
    return control is not None and control.currently_in_test_context()


def is_draft() -> bool:
    """Say whether this runs for an example that Hypothesis only looks at: the one to be shown is run once more."""
    return is_example() and not sys.modules["hypothesis.control"].current_build_context().is_final
