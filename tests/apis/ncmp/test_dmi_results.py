"""Results of read jobs in a bucket and in a topic of NATS, and who may see them; names and passwords of NCMP."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from argon2 import PasswordHasher

from apis.ncmp.workers import ECHO, producers
from apis.ncmp.yard import Answer, Yard, eventually
from jobyard_server.callers.token_file import Entry, create
from support.places import Broker

pytestmark = pytest.mark.timeout(300)
NCMP = {"Authorization": "Basic " + b64encode(b"ncmp:cpsr0cks!").decode()}
OTHER = {"Authorization": "Basic " + b64encode(b"other:secret").decode()}
READERS: dict[str, dict[str, str]] = {}
"""How readers of two tenants show who they are."""
BUCKET = "dmi-results"
TOPIC = "ncmp-async-m2m"


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture(scope="module")
def dmi(tmp_path_factory, broker: Broker) -> Iterator[Yard]:
    """A DMI service that asks for names and passwords, with a bucket and a topic."""
    folder: Path = tmp_path_factory.mktemp("dmi")
    tokens = folder / "tokens.yaml"
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    rights = {"permissions": ["ncmp.dmi", "ncmp.read"]}
    users = {
        "ncmp": {"password": cheap.hash("cpsr0cks!"), **rights},
        "other": {"password": cheap.hash("secret"), "tenant": "other", **rights},
    }
    worker_token = create(tokens, Entry("worker", "", "worker", roles=("worker",)))
    for tenant in ("default", "other"):
        token = create(tokens, Entry(tenant, "", "reader", tenant=tenant, permissions=("ncmp.read",)))
        READERS[tenant] = {"Authorization": f"Bearer {token}"}
    yard = Yard(
        folder,
        JOBYARD_AUTH_USERS=json.dumps(users),
        JOBYARD_AUTH_TOKENS=str(tokens),
        JOBYARD_PROFILES="ncmp-finished",
        JOBYARD_OBJECTS=json.dumps({"url": f"file://{folder}/objects", "buckets": [BUCKET]}),
        JOBYARD_BROKER=json.dumps({"url": broker.url, "topics": [TOPIC]}),
        JOBYARD_PUBLIC_URL="http://dmi.example",
    )
    with yard.server:
        worker = producers(yard.server, "ncmp/p", program=ECHO)
        worker.settings["JOBYARD_TOKEN"] = worker_token
        with worker:
            yield yard


def read(dmi: Yard, destination: str, *, extra: str = "") -> tuple[str, bytes]:
    """Have a read job run; its name, and its result, for the data producer says what it was told."""
    operation = {"path": "/a", "op": "read", "more": extra}
    body = json.dumps({"dataProducerId": "p", "dataJobId": "job 1", "data": [operation]}).encode() + b"\n"
    answer = dmi.ask("POST", f"/dmi/v1/cmreadJob?destination={destination}", body, headers=NCMP)
    assert answer.status == 200, answer
    id_ = str(answer.json["subJobId"])
    eventually(lambda: ask(dmi, id_, "status").json == {"status": "FINISHED"}, 20)
    return id_, body


def ask(dmi: Yard, id_: str, what: str, headers: dict[str, str] = NCMP, **query: str) -> Answer:
    path = f"/dmi/v1/cmwriteJob/dataProducer/p/dataProducerJob/{id_}/{what}"
    return dmi.ask("GET", path, query=query or None, headers=headers)


def test_names_and_passwords(dmi: Yard) -> None:
    id_, _ = read(dmi, "")
    wrong = {"Authorization": "Basic " + b64encode(b"ncmp:wrong").decode()}
    for headers in ({}, wrong, {"Authorization": "Bearer nothing"}):
        answer = ask(dmi, id_, "status", headers)
        assert (answer.status, answer.json["status"]) == (401, "401")
        assert 'Basic realm="dmi"' in answer.headers["www-authenticate"]
    assert ask(dmi, id_, "status", READERS["default"]).status == 403
    assert ask(dmi, id_, "status", OTHER).status == 501, "to another tenant nothing is known of the data producer"


def test_results_in_a_bucket(dmi: Yard) -> None:
    id_, body = read(dmi, BUCKET)
    uri = ask(dmi, id_, "result", destination=BUCKET).json["resulturi"]
    path = uri.removeprefix("http://dmi.example")
    assert path.startswith(f"/s3-bucket/{BUCKET}/default/")
    found = eventually(lambda: (got := dmi.ask("GET", path, headers=READERS["default"])).status == 200 and got)
    assert found.body == body
    listed = dmi.ask("GET", f"/s3-bucket/{BUCKET}", headers=READERS["default"]).json
    assert {"key": path.split("/", 3)[3], "size": len(body), "uri": uri} in listed["results"]
    assert dmi.ask("GET", path, headers=READERS["other"]).status == 404
    assert dmi.ask("GET", f"/s3-bucket/{BUCKET}", headers=READERS["other"]).json["results"] == []
    assert dmi.ask("GET", path).status == 401


async def messages(broker: Broker, count: int) -> list[Any]:
    client = await nats.connect(broker.url)
    subscription = await client.jetstream().pull_subscribe(TOPIC, f"test-{count}")
    found: list[Any] = []
    while len(found) < count:
        found += await subscription.fetch(count - len(found), timeout=60)
    with pytest.raises(nats.errors.TimeoutError):
        await subscription.fetch(1, timeout=0.5)
    await client.close()
    return found


async def test_results_in_a_topic(dmi: Yard, broker: Broker) -> None:
    client = await nats.connect(broker.url)
    await client.jetstream().add_stream(name="ncmp", subjects=[TOPIC])
    await client.close()
    id_, body = read(dmi, TOPIC)
    assert ask(dmi, id_, "result", destination=TOPIC).json == {"resulturi": TOPIC}
    (message,) = await messages(broker, 1)
    assert message.data == body
    headers = {name: value for name, value in message.headers.items() if name.startswith("ce-")}
    assert headers.pop("ce-id")
    assert headers == {
        "ce-specversion": "1.0",
        "ce-type": "org.onap.cps.ncmp.events.async1_0_0.DataJobEvent",
        "ce-dataschema": "urn:cps:org.onap.cps.ncmp.events.async1_0_0.DataJobEvent:1.0.0",
        "ce-datacontenttype": "application/json",
        "ce-source": "dmi.job%201",
        "ce-correlationid": "job 1",
        "ce-destination": TOPIC,
        "ce-dataproducerid": "p",
        "ce-subjobid": id_,
    }
    broker.stop()
    read(dmi, TOPIC)
    large, _ = read(dmi, TOPIC, extra="x" * 1_500_000)
    broker.start()
    _, second, third = await messages(broker, 3)
    assert second.headers["ce-id"] != message.headers["ce-id"]
    assert third.headers["ce-subjobid"] == large
    assert (third.data, third.headers["ce-dataref"][:35]) == (b"", "http://dmi.example/s3-bucket/ncmp-a")
    kept = third.headers["ce-dataref"].removeprefix("http://dmi.example")
    assert len(dmi.ask("GET", kept, headers=READERS["default"]).body) > 1_500_000
