"""What faces declare, concluded: the options that only one of the trial APIs has a use for."""

from __future__ import annotations

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from support.asgi import Client
from support.recording import Recording, failure
from support.trial import make

HAND = {"X-Sender": "me"}


@pytest.fixture
def relay(serve, backend: Recording) -> Client:
    for name in ("Ring", "Sign", "Keep", "Fill", "Attach", "Mend"):
        backend.handlers[name] = lambda _: make("relay.RingResponse")
    backend.handlers["Hand"] = lambda request: make("relay.HandResponse", parcel=request.parcel)
    backend.handlers["Look"] = lambda _: make("relay.LookResponse", revision="r")
    return serve("relay.RelayService")


async def test_fields_from_headers(relay: Client, backend: Recording) -> None:
    answer = await relay("POST", "/relay/parcels", {}, headers={"X-From": "you", "X-Stamps": "a, b,c"})
    assert answer.status == 200, answer.text
    assert (backend.request.sender, list(backend.request.stamps)) == ("you", ["a", "b", "c"])
    for stamps, taken in ((" ,a, b,,c ,", ["a", "b", "c"]), ("", []), (" , ", [])):
        answer = await relay("POST", "/relay/parcels", {}, headers={"X-From": "you", "X-Stamps": stamps})
        assert (answer.status, list(backend.request.stamps)) == (200, taken)
    await relay("POST", "/relay/parcels", {}, headers={"X-Sender": "me", "X-From": "you"})
    assert backend.request.sender == "me"
    for headers in ({}, {"X-Sender": ""}):
        refused = await relay("POST", "/relay/parcels?sender=me", {}, headers=headers)
        assert refused.status == 400
    missing = await relay("POST", "/relay/parcels", {})
    assert missing.json["wrong"] == [{"field": "X-Sender", "why": "is required"}]


async def test_times_numbers_and_defaults(relay: Client, backend: Recording) -> None:
    when = Timestamp(seconds=1_649_361_603, nanos=977_123_000)
    parcel = make("relay.Parcel", weight=2**60, seconds=when, micros=when, unix=when, unix_millis=when, revision="r1")
    backend.handlers["Hand"] = lambda _: make("relay.HandResponse", parcel=parcel)
    answer = await relay("POST", "/relay/parcels", {"dataaccepttype": "x", "more": 1}, headers=HAND)
    assert answer.json == {
        "weight": 2**60,
        "seconds": "2022-04-07T20:00:03Z",
        "micros": "2022-04-07T20:00:03.977123Z",
        "unix": 1_649_361_603,
        "unixMillis": 1_649_361_603_977,
        "floor": 0,
    }
    assert backend.request.parcel.accept_type == "x"
    assert answer.headers["etag"] == 'W/"r1"'
    assert answer.headers["content-type"] == "application/hal+json"


async def test_what_a_face_reads_and_writes(relay: Client) -> None:
    patch = HAND | {"Content-Type": "application/json-patch+json", "Accept": "application/json"}
    answer = await relay("POST", "/relay/parcels", b"{}", headers=patch)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (await relay("POST", "/relay/parcels", b"{}", headers=HAND)).status == 200
    assert (await relay("POST", "/relay/parcels", b" " * 2049, headers=HAND)).status == 413
    assert (await relay("POST", "/relay/parcels", {}, headers=HAND | {"Accept": "text/html"})).status == 406


async def test_errors_in_full(relay: Client, backend: Recording) -> None:
    headers = HAND | {"X-Request-Id": "r1"}
    bad = await relay("POST", "/relay/parcels", {"weight": "heavy"}, headers=headers)
    assert bad.json == {
        "reason": "FIELD_INVALID",
        "domain": "jobyard.rest.v1",
        "number": "w7",
        "message": "That is no weight: heavy must be a whole number, not other text",
        "method": "POST",
        "requestId": "r1",
        "traceId": "r1",
        "hint": "Look at /relay/parcels.",
        "wrong": [{"field": "weight", "why": "must be a whole number, not other text", "value": "heavy"}],
    }
    other = await relay("POST", "/relay/parcels", {"picture": "?"}, headers=headers)
    assert other.json["message"] == "picture: must be base64"
    unknown = await relay("GET", "/relay/parcels?nam=x%00y")
    assert unknown.json["wrong"] == [{"field": "nam", "why": "is not a parameter of this method"}]
    backend.refuse = failure(5, "who?", "SENDER_UNKNOWN", sender="me")
    refused = await relay("POST", "/relay/parcels", {}, headers=HAND)
    assert (refused.status, refused.json["metadata"]) == (422, {"sender": "me"})
    assert "hint" not in refused.json
    assert (await relay("GET", "/relay/parcels")).status == 404


async def test_an_error_without_a_body(relay: Client, backend: Recording) -> None:
    backend.refuse = failure(code_pb2.UNIMPLEMENTED, "not here")
    answer = await relay("GET", "/relay/parcels")
    assert (answer.status, answer.body) == (501, b"")
    assert "content-type" not in answer.headers


async def test_links_with_all_their_parts(relay: Client) -> None:
    answer = await relay("GET", "/relay/parcels?pageToken=7&name=a+b")
    assert answer.json["links"] == [
        {
            "rel": "first",
            "href": "/relay/parcels?name=a%20b",
            "itemType": "application/vnd.parcel",
            "responseType": "application/vnd.list",
            "responseItemType": "application/vnd.item",
            "title": "First page",
        },
        {"rel": "bare", "href": "/relay/parcels?pageToken=0"},
    ]
    assert answer.headers["etag"] == '"r"'


async def test_the_type_of_exact_bytes_may_be_declared(relay: Client, backend: Recording) -> None:
    for said, expected in (("", "image/png"), ("image/gif", "image/gif"), ("text/html", "text/html")):
        backend.handlers["Photo"] = lambda _, said=said: HttpBody(content_type=said, data=b"\x00")
        answer = await relay("GET", "/relay/photo")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, expected, b"\x00")
        assert answer.headers["content-security-policy"].startswith("sandbox; "), "nothing of it runs under our name"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_declared_type_of_exact_bytes_may_be_turned_away(relay: Client, backend: Recording) -> None:
    backend.handlers["Photo"] = lambda _: HttpBody(data=b"1")
    assert (await relay("GET", "/relay/photo", headers={"Accept": "image/*"})).status == 200
    assert (await relay("GET", "/relay/photo", headers={"Accept": "text/html"})).status == 406


async def test_bodies_read_as_declared(relay: Client, backend: Recording) -> None:
    assert (await relay("POST", "/relay/bell", b"rubbish", headers={"Content-Type": "odd/one"})).status == 200
    await relay("POST", "/relay/sign", b'"a\\nb"', headers={"Content-Type": "text/plain"})
    assert backend.request.text == "a\nb"
    await relay("POST", "/relay/keep", b'{"a": 1.0}', headers={"Content-Type": "application/json"})
    assert backend.request.data == b'{"a": 1.0}'
    await relay("POST", "/relay/form", b"weight=7&dataAcceptType=x+y", headers={"Content-Type": "text/x-form"})
    assert (backend.request.parcel.weight, backend.request.parcel.accept_type) == (7, "x y")
    await relay("PATCH", "/relay/parcels", b"weight=8", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert backend.request.parcel.weight == 8
    assert not backend.request.HasField("mask"), "a form cannot say that it leaves something as it is"
    await relay("PATCH", "/relay/parcels", {"weight": 8})
    assert list(backend.request.mask.paths) == ["weight"]
    part = b'--b\r\nContent-Disposition: form-data; name="picture"\r\n\r\n\x00\xff\r\n--b--\r\n'
    await relay("POST", "/relay/form", part, headers={"Content-Type": "multipart/related; boundary=b"})
    assert backend.request.parcel.picture == b"\x00\xff"
