"""The room of a stream: how much is on its way to a host, in values and in bytes."""

from __future__ import annotations

import threading

import pytest

from slither._room import BYTES, VALUES, Room, Withdrawn


def begun() -> Room:
    room = Room()
    room.begin(7)
    return room


def test_so_many_values_are_on_their_way_and_no_more() -> None:
    room = begun()
    assert [room.take(1) for _ in range(VALUES)] == [True] * (VALUES - 1) + [False]
    room.give(8, VALUES)
    assert not room.is_free(), "it was another call's"
    room.give(7, 1)
    assert room.is_free()


def test_large_values_wait_for_bytes() -> None:
    room = begun()
    assert not room.take(BYTES)
    room.give(7, 1)
    assert room.take(BYTES - 1)
    assert not room.take(1)
    room.give(7, 1)
    assert room.is_free(), "the large one is gone, and the small one not"


def test_what_the_host_takes_before_it_was_counted_is_counted() -> None:
    room = begun()
    room.give(7, 1)
    assert room.take(BYTES), "it is taken already"
    assert not room.take(BYTES)
    room.give(7, 3)
    assert [room.take(BYTES), room.take(BYTES), room.take(BYTES)] == [True, True, False]
    room.begin(8)
    assert not room.take(BYTES), "what was early belonged to the call before"


def test_who_waits_hears_of_room_and_of_its_end() -> None:
    for end in ("give", "withdraw", "close"):
        room = begun()
        room.take(BYTES)
        heard: list[str] = []

        def wait(room: Room = room, heard: list[str] = heard) -> None:
            try:
                room.wait()
                heard.append("room")
            except Withdrawn:
                heard.append("withdrawn")

        waiting = threading.Thread(target=wait)
        waiting.start()
        {"give": lambda: room.give(7, 1), "withdraw": lambda: room.withdraw(7), "close": room.close}[end]()  # noqa: B023
        waiting.join(30)
        assert heard == ["room" if end == "give" else "withdrawn"]


def test_an_end_of_another_call_is_none_of_this_one() -> None:
    room = begun()
    room.withdraw(6)
    assert room.is_free()
    room.withdraw(7)
    with pytest.raises(Withdrawn):
        room.take(1)
