"""The showcase of adapters that many threads use: Slither's own."""

from slither.adapters import ThreadedShowcaseAdapter

__all__ = ["ThreadedShowcaseAdapter"]
