"""Turns of watchers: few at once, the least behind first, and nobody waits for one whose stream is stuck."""

import asyncio
from contextlib import ExitStack
from functools import partial

import pytest

from jobyard_server.usecases import watch_turns
from jobyard_server.usecases.watch_turns import BUSY, CROWD, SHARE, TELLING, Turn, Turns, Watchers, rest_after


async def soon(awaitable):
    async with asyncio.timeout(60):
        return await awaitable


async def begun(turns, behind):
    """A task that waits for a place, and its turn."""
    turn = Turn()
    task = asyncio.create_task(turns.begin(turn, behind))
    await asyncio.sleep(0)
    return task, turn


@pytest.fixture
def turns():
    return Turns(at_once=2, stuck_seconds=60)


async def test_few_go_at_once_and_the_least_behind_comes_next(turns):
    first, second = [await begun(turns, 1000) for _ in range(2)]
    far, near, nearest = [await begun(turns, behind) for behind in (900, 500, 60)]
    assert [task.done() for task, _ in (first, second, far, near, nearest)] == [True, True, False, False, False]
    turns.end(first[1])
    await soon(nearest[0])
    assert not near[0].done()
    turns.end(nearest[1])
    await soon(near[0])
    turns.end(second[1])
    await soon(far[0])


async def test_a_place_is_kept_as_long_as_messages_are_taken(turns):
    (task, turn), _ = await begun(turns, 10), await begun(turns, 10)
    await soon(task)
    assert turns.alive(turn)
    await soon(turns.begin(turn, 10))
    turns.end(turn)
    turns.end(turn)
    assert not turns.alive(turn)


async def test_one_that_is_stuck_loses_its_place_and_waits_for_another_one():
    turns = Turns(at_once=1, stuck_seconds=0.02)
    _, stuck = await begun(turns, 1)
    going, other = await begun(turns, 1000)
    await soon(going)
    assert not turns.alive(stuck)
    assert turns.alive(other)
    again = asyncio.create_task(turns.begin(stuck, 1))
    for _ in range(5):
        await asyncio.sleep(0.01)
        assert turns.alive(other)
    assert not again.done()
    turns.end(other)
    await soon(again)


async def test_one_that_goes_away_while_it_waits_leaves_nothing_behind(turns):
    (_, first), _ = await begun(turns, 1), await begun(turns, 1)
    gone, _ = await begun(turns, 1)
    staying, _ = await begun(turns, 2)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    turns.end(first)
    await soon(staying)


async def test_one_that_is_admitted_and_cancelled_at_once_gives_its_place_on(turns):
    (_, first), _ = await begun(turns, 1), await begun(turns, 1)
    gone, _ = await begun(turns, 1)
    staying, _ = await begun(turns, 2)
    turns.end(first)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await soon(staying)


async def test_one_that_is_known_to_read_comes_first(turns, monkeypatch):
    monkeypatch.setattr(watch_turns, "LISTENS", 3)
    (_, first), _ = await begun(turns, 1), await begun(turns, 1)
    near, _ = await begun(turns, 60)
    reads = Turn(told=3)
    known = asyncio.create_task(turns.begin(reads, 5000))
    await asyncio.sleep(0)
    turns.end(first)
    await soon(known)
    assert not near.done()


async def test_messages_are_counted_and_taken_in_turn(turns):
    async def messages():
        for number in range(5):
            yield number

    turn = Turn()
    assert [message async for message in turns.taken(turn, messages(), 100)] == [0, 1, 2, 3, 4]
    assert turn.told == 5
    assert not turns.alive(turn)


class Resting:
    """A rest that lasts until the test says so."""

    def __init__(self):
        self.told = 0
        self.seconds = 0.0

    def note(self):
        self.told += 1

    def left(self):
        return self.seconds


async def test_nobody_is_admitted_while_others_need_the_event_loop():
    rest = Resting()
    turns = Turns(at_once=1, rest=rest)
    rest.seconds = 0.01
    waiting, turn = await begun(turns, 10)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    rest.seconds = 0.0
    await soon(waiting)
    turns.end(turn)


def test_a_rest_leaves_others_their_share_of_a_busy_event_loop():
    passed, told = 0.05, 100
    own = told * TELLING
    rest = rest_after(told, passed, worked=own + 2 * BUSY * passed)
    assert own / (passed + rest) == pytest.approx(SHARE)
    assert rest_after(told, passed, worked=own + BUSY * passed / 2) == 0
    # Who has told little for long has rested already.
    assert rest_after(1, 1.0, worked=1.0) == 0


async def test_many_of_one_connection_are_a_crowd_until_they_have_read(monkeypatch):
    monkeypatch.setattr(watch_turns, "LISTENS", 3)
    watchers = Watchers()
    with ExitStack() as stack:
        turns = [stack.enter_context(watchers.opened("one")) for _ in range(CROWD)]
        other = stack.enter_context(watchers.opened("other"))
        unknown = [stack.enter_context(watchers.opened("")) for _ in range(2 * CROWD)]
        assert not any(watchers.crowded(turn) for turn in [*turns, other, *unknown])
        with watchers.opened("one") as last:
            assert all(watchers.crowded(turn) for turn in [*turns, last])
            assert not watchers.crowded(other)
            last.told = 3
            assert not watchers.crowded(last)
        assert not any(watchers.crowded(turn) for turn in turns)


async def test_one_of_a_crowd_waits_even_when_it_is_hardly_behind(monkeypatch):
    async def messages():
        yield "news"

    # However busy the machine is, nobody counts as stuck.
    monkeypatch.setattr(watch_turns, "Turns", partial(Turns, stuck_seconds=600.0))
    watchers = Watchers()
    with ExitStack() as stack:
        turns = [stack.enter_context(watchers.opened("one")) for _ in range(CROWD + 1)]
        goes, waits = (watchers.taken(turn, messages(), 0) for turn in turns[:2])
        assert await soon(anext(goes)) == "news"
        waiting = asyncio.ensure_future(anext(waits))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await goes.aclose()
        assert await soon(waiting) == "news"
        await waits.aclose()
