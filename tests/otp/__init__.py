"""Conformance tests of `supertester.otp`: one class for each numbered rule, written from the rules."""
