"""The base of adapters that one thread uses at a time."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slither import ThreadSafeAdapter, UnknownTool, tool
from slither._kit.tools import ORDINARY, ToolDescription, describe_tools, find_tools
from snakepit_bridge.session_context import SessionContext

__all__ = ["BaseAdapter", "StreamChunk", "tool"]


@dataclass
class StreamChunk:
    """What a streaming tool yields: `data`, anything that can travel, and whether it is the last."""

    data: Any
    is_final: bool = False
    metadata: dict[str, Any] | None = None


class BaseAdapter(ThreadSafeAdapter):
    """An adapter of which a host uses one slot, unless a subclass says `__thread_safe__ = True`."""

    __thread_safe__ = False

    session_context: SessionContext | None

    def __init__(self) -> None:
        self.session_context = SessionContext()

    def set_session_context(self, session_context: SessionContext) -> None:
        """Take the session's context; the one that there is from the start follows each call by itself."""
        self.session_context = session_context

    def get_tools(self) -> list[ToolDescription]:
        """Return what there is to know of each tool."""
        return describe_tools(self.__class__)

    def execute_tool(self, tool_name: str, arguments: Mapping[str, Any], context: Any = None) -> Any:
        """Call a tool with keyword arguments; return what it returns, a coroutine of an `async def`.

        Raises `slither.UnknownTool` for a name that no tool has.
        """
        function = dict(find_tools(self.__class__)).get(tool_name)
        if function is None:
            raise UnknownTool(f"{type(self).__name__} has no tool {tool_name!r}")
        if context is not None:
            self.set_session_context(context)
        return inspect.unwrap(function)(self, **arguments)

    setattr(execute_tool, ORDINARY, True)
