"""What the tests of planted bugs share."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from supertester.testing import check_planted_bug

__all__ = ["PlantedBugs"]


class PlantedBugs(unittest.TestCase):
    """Tests that run inner tests, and so are none of ours themselves."""

    def assert_found(
        self, body: Callable[[Any, Any], Any], sound: Any, buggy: Any, *bases: type, says: str, **options: Any
    ) -> None:
        """Fail unless ``body(case, subject)`` passes for *sound*, and fails for *buggy* saying *says*."""

        async def without(case: Any) -> None:
            await body(case, sound)

        async def planted(case: Any) -> None:
            await body(case, buggy)

        mismatch = check_planted_bug(without, planted, *bases, expected=says, **options)
        if mismatch is not None:
            self.fail(str(mismatch))
