"""Methods for test cases: thin, without state. Only here does a finding become a failure."""

from supertester.mixins.otp import OTPAssertions
from supertester.mixins.telemetry import TelemetryAssertions

__all__ = ["OTPAssertions", "TelemetryAssertions"]
