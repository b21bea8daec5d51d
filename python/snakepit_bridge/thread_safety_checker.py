"""The checker: Slither's own."""

from slither import ThreadSafetyChecker

__all__ = ["ThreadSafetyChecker"]
