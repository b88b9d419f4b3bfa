"""Objects in buckets of a server that speaks S3: uploaded in parts, listed, read; results of data jobs among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from obstore.store import S3Store
from pydantic import SecretStr

from apis.ncmp.workers import ECHO, producers
from apis.ncmp.yard import Yard, eventually
from jobyard_server.domain.delivery import ObjectCall, Problem
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.outbound.objects import Objects
from jobyard_server.result_settings import ObjectSettings
from outbound.buckets import check, pieces

pytestmark = pytest.mark.timeout(300)
KEYS = {"region": "us-east-1", "access_key_id": "jobyard", "secret_access_key": "hidden"}


def objects_of(s3: str, bucket: str) -> Objects:
    keys = {**KEYS, "secret_access_key": SecretStr("hidden")}
    return Objects(ObjectSettings(buckets=frozenset({bucket}), endpoint=s3, **keys))


async def test_s3(s3: str) -> None:
    objects = objects_of(s3, "results")
    assert objects.serves("results")
    assert not objects.serves("others")
    await check(objects, "results")
    store = S3Store("results", endpoint=s3, client_options={"allow_http": True}, **KEYS)
    assert (await store.get_async("tenant/one.json")).attributes["Content-Type"] == "application/json"


async def test_a_store_that_is_away_says_so_and_tells_no_secrets(s3: str) -> None:
    objects = objects_of(s3, "missing")
    answer = await objects.put(ObjectCall("missing", "k", pieces(b"1")), 30)
    assert answer.problem is Problem.BROKEN
    with pytest.raises(Refused) as caught:
        await objects.list("missing", "", 10)
    assert caught.value.refusal.reason is Reason.STORE_UNAVAILABLE
    for text in (answer.message, caught.value.refusal.message):
        assert "hidden" not in text
        assert s3 not in text


def test_results_of_data_jobs(s3: str, tmp_path: Path) -> None:
    objects = {"buckets": ["results"], "endpoint": s3, **KEYS}
    yard = Yard(tmp_path, JOBYARD_OBJECTS=json.dumps(objects))
    body = b'{"dataProducerId": "p", "data": [{"path": "/a", "op": "read", "more": "%b"}]}\n' % (b"x" * 12_000_000)
    with yard.server, producers(yard.server, "ncmp/p", program=ECHO):
        id_ = yard.ask("POST", "/dmi/v1/cmreadJob?destination=results", body).json["subJobId"]
        result = f"/dmi/v1/cmwriteJob/dataProducer/p/dataProducerJob/{id_}/result?destination=results"
        uri = eventually(lambda: (got := yard.ask("GET", result)).status == 200 and got.json["resulturi"], 60)
        found = eventually(lambda: (got := yard.ask("GET", uri)).status == 200 and got, 60)
        assert found.body == body
        (listed,) = yard.ask("GET", "/s3-bucket/results").json["results"]
        assert listed["size"] == len(body)
