"""Names under which adapters written for Snakepit find what they import, so that they run here as they are.

| an adapter imports | and gets |
|---|---|
| `base_adapter_threaded.ThreadSafeAdapter`, `thread_safe_method`, `tool` | `slither`'s own, the very same objects |
| `base_adapter.BaseAdapter`, `tool` | a `ThreadSafeAdapter` that says `__thread_safe__ = False`: one slot |
| `base_adapter.StreamChunk` | a dataclass; it travels as a map of its fields |
| `adapters.base.BaseAdapter` | the same as `base_adapter.BaseAdapter` |
| `adapters.threaded_showcase.ThreadedShowcaseAdapter` | `slither.adapters.ThreadedShowcaseAdapter`, tools of our own |
| `thread_safety_checker.ThreadSafetyChecker` | `slither.ThreadSafetyChecker` |
| `logging_config.get_logger`, `configure_logging` | loggers of `logging`, whose records the host gets |
| `session_context.SessionContext` | `slither.context()` and `slither.view()`, under their names there |

What is different:

- An adapter is built once for each worker, and not once for each request: `initialize` and `cleanup` are called once,
  and attributes are kept from call to call.
- `call_elixir_tool(name, …)` asks the view `name` that a store of the host declares. There is no list of them in
  Python, so `elixir_tools` says yes to every name, and a name that is unknown raises `slither.UnknownView` when called.
- Protocol buffers, `telemetry` and the servers are not here: calls reach an adapter in another way.

Only pools that name an adapter have need of this package; `slither` itself never imports it.
"""

from snakepit_bridge.base_adapter import BaseAdapter, StreamChunk
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method, tool
from snakepit_bridge.session_context import SessionContext
from snakepit_bridge.thread_safety_checker import ThreadSafetyChecker

__all__ = [
    "BaseAdapter",
    "SessionContext",
    "StreamChunk",
    "ThreadSafeAdapter",
    "ThreadSafetyChecker",
    "thread_safe_method",
    "tool",
]
