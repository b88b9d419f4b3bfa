"""Events published to NATS JetStream: stored once, refused plainly, and sent again when the broker is back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from jobyard_server.domain.delivery import MessageCall, Problem
from jobyard_server.outbound.brokers.nats import Nats
from jobyard_server.result_settings import BrokerSettings
from support.places import Broker

pytestmark = pytest.mark.timeout(300)
EVENT = {"specversion": "1.0", "type": "test", "source": "dmi.j", "destination": "results.one"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as found:
        yield found


@pytest.fixture
async def stream(broker: Broker) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(broker.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    found = client.jetstream()
    await found.add_stream(name="results", subjects=["results.*"])
    yield found
    await client.close()


def settings(broker: Broker) -> BrokerSettings:
    return BrokerSettings(url=broker.url, topics=frozenset({"results.*", "unheard"}))


async def test_an_event_is_stored_once_under_its_id(broker: Broker, stream: JetStreamContext) -> None:
    publisher = Nats(settings(broker))
    assert [publisher.serves(topic) for topic in ("results.one", "results", "other")] == [True, False, False]
    call = MessageCall("results.one", EVENT, b'{"a": 1}\n')
    for _ in range(2):
        assert (await publisher.publish(call, "uid-1", 10)).status == 200
    await publisher.close()
    subscription = await stream.pull_subscribe("results.one", "test")
    (message,) = await subscription.fetch(10, timeout=1)
    assert message.data == b'{"a": 1}\n'
    assert message.headers is not None
    assert message.headers["ce-id"] == "uid-1"
    assert {name: message.headers[f"ce-{name}"] for name in EVENT} == EVENT


async def test_what_no_stream_takes_is_not_lost_in_silence(broker: Broker, stream: JetStreamContext) -> None:
    publisher = Nats(settings(broker))
    assert (await publisher.publish(MessageCall("unheard", EVENT, b"1"), "uid", 10)).status == 404
    large = MessageCall("results.one", EVENT, b"1" * 2_000_000)
    assert (await publisher.publish(large, "uid", 10)).status == 413
    await publisher.close()


async def test_a_broker_that_went_away_is_found_again(broker: Broker, stream: JetStreamContext) -> None:
    publisher = Nats(settings(broker))
    call = MessageCall("results.one", EVENT, b"1")
    assert (await publisher.publish(call, "uid-1", 10)).status == 200
    broker.stop()
    answer = await publisher.publish(call, "uid-2", 1)
    assert answer.problem in {Problem.TIMED_OUT, Problem.UNREACHABLE}
    broker.start()
    until = time.monotonic() + 120
    while (await publisher.publish(call, "uid-2", 2)).status != 200:
        assert time.monotonic() < until
    assert (await stream.stream_info("results")).state.messages == 2
    await publisher.close()


async def test_a_broker_that_is_not_there(broker: Broker) -> None:
    broker.stop()
    answer = await Nats(settings(broker)).publish(MessageCall("results.one", EVENT, b"1"), "uid", 3)
    assert answer.problem in {Problem.TIMED_OUT, Problem.UNREACHABLE}
