"""Room on a disk for what several threads make at once."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.services.room import Room

PATIENCE = 20.0


class StoppedError(Exception):
    pass


def _nothing() -> None:
    pass


def test_a_second_one_waits_where_there_is_not_room_for_two() -> None:
    """And is given what the first has left."""
    free, waited, began = [100], threading.Event(), threading.Event()
    room = Room(lambda: free[0], 20, most=80)
    got: list[int] = []

    def second() -> None:
        began.set()
        with room.share(waited.set) as size:
            got.append(size)

    with room.share(_nothing) as first:
        assert first == 80
        thread = threading.Thread(target=second)
        thread.start()
        assert began.wait(PATIENCE)
        assert waited.wait(PATIENCE)
        assert got == []
        free[0] = 70
    thread.join(PATIENCE)
    assert got == [50]


@given(st.integers(0, 1000), st.integers(0, 300), st.integers(1, 200), st.integers(1, 6))
def test_all_together_keep_the_reserve(free: int, reserve: int, most: int, count: int) -> None:
    room = Room(lambda: free, reserve, most=most)
    shared: list[int] = []

    def go(left: int) -> None:
        def stop() -> None:
            raise StoppedError

        room_for_it = free - reserve - sum(shared) >= most
        if not left or not (room_for_it or not shared):
            return
        with room.share(stop) as size:
            shared.append(size)
            go(left - 1)

    go(count)
    assert sum(shared) <= max(0, free - reserve)
    assert all(size <= most for size in shared)


def test_who_waits_can_be_stopped() -> None:
    room = Room(lambda: 100, 0, most=80)

    def stop() -> None:
        raise StoppedError

    with room.share(_nothing), pytest.raises(StoppedError), room.share(stop):
        pass
    with room.share(_nothing) as size:
        assert size == 80


def test_one_alone_is_told_that_there_is_none() -> None:
    room = Room(lambda: 10, 20, most=80)
    with room.share(_nothing) as size:
        assert size == 0
    assert room.is_exceeded()
