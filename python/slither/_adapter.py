"""The adapter of a worker, built before the worker says hello."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from slither import _blackbox, _setup, _values, _wire
from slither._resolve import CannotImport

if TYPE_CHECKING:
    from slither._hosted import Hosted


class Unfit(Exception):
    """The adapter could not be built, and the host knows why: there will be no hello."""


def build_adapter(
    connection: _wire.Connection,
    box: _blackbox.Slot,
    setup: _setup.Setup,
    drive: Callable[[Coroutine[Any, Any, Any]], Any],
) -> Hosted | None:
    """Build the adapter of the setup, if it has one. Raises `Unfit`."""
    if setup.adapter is None:
        return None
    from slither import _hosted  # the others do without what it imports

    box.enter_with(_blackbox.IMPORT, setup.adapter.name)
    try:
        return _hosted.build(setup.adapter, setup.path, setup.profile.slots, drive)
    except CannotImport as failure:
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted(failure.error, frame)
        connection.send(_wire.ERROR, 0, 0, frame)
        raise Unfit from None
    finally:
        box.enter(_blackbox.IDLE)
