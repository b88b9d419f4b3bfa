"""The wait for company: never of one who is alone, never for more than were there, over as soon as they have come."""

from queue import SimpleQueue
from threading import Thread

import pytest

from jobyard_server.store import company
from jobyard_server.store.company import Company

FOREVER = 10_000.0


def seen_twice(host, commands, seconds):
    host.seen(commands, seconds)
    host.seen(commands, seconds)


@pytest.fixture
def queue():
    return SimpleQueue()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    # Whoever waits in vain here waits until the test is ended.
    monkeypatch.setattr(company, "MOST_SECONDS", FOREVER)


def test_who_writes_alone_never_waits(queue):
    host = Company(queue.qsize, 512)
    host.wait()
    host.seen(1, FOREVER)
    host.wait()


def test_a_crowd_that_came_once_is_not_awaited(queue):
    host = Company(queue.qsize, 512)
    for _ in range(3):
        host.seen(1, FOREVER)
        host.wait()
        host.seen(100, FOREVER)
        host.wait()


@pytest.mark.parametrize(("seen", "most"), [(3, 512), (100, 3)], ids=["as many as lately", "as a batch holds"])
def test_nobody_is_awaited_when_enough_are_there_already(queue, seen, most):
    host = Company(queue.qsize, most)
    seen_twice(host, seen, FOREVER)
    queue.put(2)
    queue.put(3)
    host.wait()


def test_those_who_came_during_a_batch_are_awaited_with_those_who_were_in_it(queue):
    host = Company(queue.qsize, 512)
    host.seen(3, FOREVER)
    queue.put("came during the batch")
    host.seen(2, FOREVER)
    assert queue.get()
    waiting = Thread(target=host.wait, daemon=True)
    waiting.start()
    queue.put("one who was answered")
    host.came()
    waiting.join(0.2)
    assert waiting.is_alive()
    queue.put("the other one")
    host.came()
    waiting.join(60.0)
    assert not waiting.is_alive()


def test_nobody_is_awaited_for_longer_than_the_last_batch_took(queue):
    host = Company(queue.qsize, 512)
    seen_twice(host, 100, 0.001)
    host.wait()


def test_nobody_is_awaited_for_longer_than_anybody_may_be(queue, monkeypatch):
    monkeypatch.setattr(company, "MOST_SECONDS", 0.001)
    host = Company(queue.qsize, 512)
    seen_twice(host, 100, FOREVER)
    host.wait()
