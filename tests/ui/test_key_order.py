"""Keys for a screen that is still being made wait for it, in order."""

from __future__ import annotations

from textual import events
from textual.screen import Screen

from tuipacs.ui.key_order import KeyOrder


class Coming(Screen[None]):
    """A screen that settles when a test says so."""

    is_settled = False


def key(name: str) -> events.Key:
    return events.Key(name, name)


async def test_keys_wait_for_a_screen_and_come_out_in_order() -> None:
    order, screen, seen = KeyOrder(), Coming(), list[str]()

    async def handle(event: events.Key) -> None:
        seen.append(event.key)

    for name in "abc":
        assert order.must_wait(screen)
        order.hold(key(name))
    assert not await order.release(screen, handle)
    assert seen == []
    screen.is_settled = True
    assert order.must_wait(screen), "what waits goes first"
    assert await order.release(screen, handle)
    assert seen == ["a", "b", "c"]
    assert not order.must_wait(screen)


async def test_a_key_that_opens_another_screen_makes_the_later_ones_wait_again() -> None:
    order, screen, seen = KeyOrder(), Coming(), list[str]()
    screen.is_settled = True
    order.hold(key("a"))
    order.hold(key("b"))

    async def handle(event: events.Key) -> None:
        if screen.is_settled:
            seen.append(event.key)
            screen.is_settled = False
        else:
            order.hold(event)

    assert not await order.release(screen, handle)
    assert seen == ["a"]
    screen.is_settled = True
    assert await order.release(screen, handle)
    assert seen == ["a", "b"]


def test_a_screen_that_knows_nothing_of_this_gets_its_keys_at_once() -> None:
    assert not KeyOrder().must_wait(Screen())


async def test_a_screen_that_never_settles_gets_its_keys_after_a_while() -> None:
    """Whatever keeps it from settling, somebody has to be able to leave it."""
    order, screen, seen = KeyOrder(longest_wait=0.0), Coming(), list[str]()

    async def handle(event: events.Key) -> None:
        if order.must_wait(screen):
            order.hold(event)
        else:
            seen.append(event.key)

    order.hold(key("a"))
    order.hold(key("b"))
    assert await order.release(screen, handle)
    assert seen == ["a", "b"]
    assert not order.must_wait(screen), "the keys after them do not wait either"
    assert order.must_wait(Coming()), "another one gets its own time"
