"""The base of adapters that many threads use: Slither's own."""

from slither import ThreadSafeAdapter, thread_safe_method, tool

__all__ = ["ThreadSafeAdapter", "thread_safe_method", "tool"]
