"""The base of adapters, under its older name."""

from snakepit_bridge.base_adapter import BaseAdapter, StreamChunk, tool

__all__ = ["BaseAdapter", "StreamChunk", "tool"]
