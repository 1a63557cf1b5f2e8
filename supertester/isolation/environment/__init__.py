"""The environment of a test: variables, current directory, randomness, warnings, temporary folder, configuration.

What Python lets differ from test to test, each test has for itself, and others run beside it undisturbed. What belongs
to the process as a whole, a test may change only while no other test runs in the process.
"""

from supertester.isolation.environment.handle import Environment

__all__ = ["Environment"]
