"""Producers that hang or refuse, a server that dies: nobody else suffers, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from apis.infojobs.simulator import Simulator
from apis.infojobs.yard import Yard, eventually


@pytest.fixture
def yard(tmp_path, simulator) -> Iterator[Yard]:
    """A server that waits for nobody for long."""
    found = Yard(tmp_path, simulator, JOBYARD_DELIVERY_WAIT_SECONDS="1", JOBYARD_DRAIN_SECONDS="1")
    found.server.start()
    try:
        yield found
    finally:
        found.stop()


def test_a_hanging_and_a_refusing_producer_hold_nobody_up(yard):
    with Simulator() as other:
        yard.put_type("pm_1.0.0")
        yard.put_producer("good", "pm_1.0.0")
        yard.put_producer("refusing", "pm_1.0.0", kind="err")
        yard.put_producer("hanging", "pm_1.0.0", url=other.url)
        other.delays["hanging"] = 60.0
        for index in range(5):
            began = time.monotonic()
            assert yard.put_job(f"j{index}", "pm_1.0.0").status == 201
            # The wait for producers, and some time for a busy machine.
            assert time.monotonic() - began < 20.0
            eventually(lambda count=index + 1: heard_by(yard, "good", count))
        for index in range(5):
            eventually(lambda job=f"j{index}": enabled(yard, job))


def heard_by(yard, producer, count):
    assert len(yard.simulator.heard("POST", f"/prod/ok/{producer}/jobs")) == count


def test_a_callback_is_made_after_a_crash(yard):
    with Simulator() as first:
        yard.put_type("pm_1.0.0")
        yard.put_producer("slow", "pm_1.0.0", url=first.url)
        first.delays["slow"] = 60.0
        assert yard.put_job("j", "pm_1.0.0").status == 201
        assert yard.status("j")["info_job_status"] == "DISABLED"
        eventually(lambda: heard_once(first, "/prod/ok/slow/jobs"))
        (before,) = first.heard("POST", "/prod/ok/slow/jobs")
        yard.server.kill()
        first.delays.clear()
        yard.server.start()
        eventually(lambda: enabled(yard))
        _, after = first.heard("POST", "/prod/ok/slow/jobs")
        assert after.headers["idempotency-key"] == before.headers["idempotency-key"]
        assert after.json == before.json


def test_a_consumer_hears_of_a_producer_that_answers_after_the_put(yard):
    yard.put_type("pm_1.0.0")
    yard.put_producer("slow", "pm_1.0.0")
    yard.simulator.delays["slow"] = 4.5
    assert yard.put_job("j", "pm_1.0.0").status == 201
    assert yard.status("j")["info_job_status"] == "DISABLED"
    eventually(lambda: told_enabled(yard))


def told_enabled(yard):
    heard = yard.simulator.heard("POST", "/cons/jobs/j/status")
    assert [call.json for call in heard] == [{"eiJobStatus": "ENABLED"}]


def test_a_job_that_was_accepted_is_told_after_a_crash(yard):
    """The server dies before any producer could be reached."""
    producers = [Simulator() for _ in range(2)]
    yard.put_type("pm_1.0.0")
    for index, producer in enumerate(producers):
        # It listens, and nobody answers until the server has died.
        yard.put_producer(f"p{index}", "pm_1.0.0", url=producer.url)
    assert yard.put_job("j", "pm_1.0.0").status == 201
    yard.server.kill()
    for producer in producers:
        # What the dead server sent and nobody read is gone with it.
        producer.drop_unread()
        producer.__enter__()
    try:
        yard.server.start()
        eventually(lambda: enabled(yard))
        for index, producer in enumerate(producers):
            eventually(lambda producer=producer, index=index: heard_once(producer, f"/prod/ok/p{index}/jobs"))
        # The posts that the PUT and the registrations owed are one: nothing comes later.
        time.sleep(1.5)
        for index, producer in enumerate(producers):
            heard_once(producer, f"/prod/ok/p{index}/jobs")
    finally:
        for producer in producers:
            producer.__exit__()


def heard_once(producer, path):
    (call,) = producer.heard("POST", path)
    assert call.json["info_job_identity"] == "j"


def enabled(yard, job="j"):
    assert yard.status(job)["info_job_status"] == "ENABLED"


def test_a_producer_that_left_while_the_server_was_down_is_missed(yard):
    yard.put_type("pm_1.0.0")
    yard.put_producer("p", "pm_1.0.0")
    yard.put_job("j", "pm_1.0.0")
    yard.simulator.statuses["p", "health"] = 503
    yard.simulator.rounds.let_go()
    yard.server.stop()
    yard.server.start()
    eventually(lambda: gone(yard))
    eventually(lambda: disabled(yard))


def gone(yard):
    assert yard.ask("GET", "/data-producer/v1/info-producers/p").status == 404


def disabled(yard):
    heard = yard.simulator.heard("POST", "/cons/jobs/j/status")
    assert [call.json for call in heard] == [{"eiJobStatus": "DISABLED"}]
