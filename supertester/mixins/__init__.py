"""Methods for test cases: thin, without state. Only here does a finding become a failure."""

from supertester.mixins.otp import OTPAssertions

__all__ = ["OTPAssertions"]
