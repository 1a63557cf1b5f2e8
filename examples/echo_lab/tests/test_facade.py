"""`supertester`: the names that most tests need."""

from __future__ import annotations

import unittest

import supertester


class TestFacade(unittest.TestCase):
    def test_the_version_is_a_string(self) -> None:
        """Supertester says which version it is."""
        self.assertIsInstance(supertester.version(), str)
        self.assertEqual(supertester.version(), supertester.__version__)

    def test_the_common_names_are_at_the_top(self) -> None:
        """The case, the assertions and the servers can be imported from the top."""
        for name in ("IsolatedTestCase", "OTPAssertions", "GenServer", "Supervisor", "ChildSpec", "tag"):
            with self.subTest(name):
                self.assertIn(name, dir(supertester))
                self.assertTrue(callable(getattr(supertester, name)))
