"""Partial order reduction held against running every order."""
