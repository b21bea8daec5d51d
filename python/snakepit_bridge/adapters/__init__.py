"""Adapters under the names that configurations use for them."""

from snakepit_bridge.adapters.threaded_showcase import ThreadedShowcaseAdapter

__all__ = ["ThreadedShowcaseAdapter"]
