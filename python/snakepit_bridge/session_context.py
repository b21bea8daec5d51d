"""The context of a session: what the running call may know of itself, and ask of its host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import slither

__all__ = ["SessionContext"]

# Tells this package from another of its name: a worker gives an adapter its context only where it is this one.
BY_SLITHER = True


class HostTools(Mapping[str, Callable[..., Any]]):
    """What the host may be asked, by name: the views that its stores declare, which only the host knows.

    So every name is in it, it lists none, and what is called under a name that there is not raises
    `slither.UnknownView`.
    """

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return lambda **arguments: slither.view(name, **arguments)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class SessionContext:
    """The context of whichever call is running in the thread that asks; one object serves all calls."""

    def __init__(self, session_id: str | None = None, request_metadata: Mapping[str, Any] | None = None) -> None:
        """Follow the running call, except for what is given here, as a test may."""
        self._session_id = session_id
        self._metadata = request_metadata
        self.elixir_tools = HostTools()

    @property
    def session_id(self) -> str:
        """The id of the running call's session; empty if it has none. `slither.NotInWorker` outside a call."""
        return self._session_id if self._session_id is not None else slither.context().session_id or ""

    @property
    def request_metadata(self) -> dict[str, Any]:
        """What the host has given the running call along. `slither.NotInWorker` outside a call."""
        return dict(self._metadata) if self._metadata is not None else slither.context().metadata

    def call_elixir_tool(self, name: str, /, **arguments: Any) -> Any:
        """Ask the host's view `name`, as `slither.view` does."""
        return slither.view(name, **arguments)
