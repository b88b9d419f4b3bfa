"""What is missing outweighs what is wrong with a request, where a method says so; and headers of their own kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.rpc import code_pb2

from support.asgi import Client
from support.recording import Recording, failure

JSON = {"Content-Type": "application/json"}
WRONG = [
    (b"{", JSON),
    (b"", JSON),
    (b'{"size": "x"}', JSON),
    (b'{"sizes": 1}', JSON),
    (b"x", {"Content-Type": "text/plain"}),
    (b"{}", {**JSON, "Accept": "text/html"}),
]


@pytest.fixture
def things(serve: Callable[..., Client]) -> Client:
    return serve("things.ThingService")


def lost(request: object) -> object:
    raise failure(code_pb2.NOT_FOUND, "there is no such thing")


@pytest.mark.parametrize(("body", "headers"), WRONG)
async def test_what_is_missing_comes_first(things: Client, backend: Recording, body: bytes, headers: dict) -> None:
    backend.handlers["Show"] = lost
    answer = await things("PUT", "/things/a%2Fb", body, headers=headers)
    assert (answer.status, answer.json["message"]) == (404, "there is no such thing")
    assert backend.request.name == "a/b"
    there = await things("POST", "/things/a", b"{", headers=JSON)
    assert there.status == 400


@pytest.mark.parametrize(("body", "headers"), WRONG)
async def test_what_is_there_leaves_the_refusal(things: Client, backend: Recording, body: bytes, headers: dict) -> None:
    backend.handlers["Show"] = lambda request: request
    answer = await things("PUT", "/things/a", body, headers=headers)
    assert answer.status in {400, 406, 415}


async def test_a_refusal_of_values_is_outweighed_as_well(things: Client, backend: Recording) -> None:
    def invalid(_: object) -> object:
        raise failure(code_pb2.INVALID_ARGUMENT, "too small")

    backend.handlers["Replace"], backend.handlers["Show"] = invalid, lost
    assert (await things("PUT", "/things/a", b"{}", headers=JSON)).status == 404
    backend.handlers["Show"] = lambda request: request
    assert (await things("PUT", "/things/a", b"{}", headers=JSON)).status == 400


@pytest.mark.parametrize("code", [code_pb2.PERMISSION_DENIED, code_pb2.UNAVAILABLE])
async def test_who_may_not_look_learns_nothing(things: Client, backend: Recording, code: int) -> None:
    def refuse(_: object) -> object:
        raise failure(code, "no")

    backend.handlers["Show"] = refuse
    assert (await things("PUT", "/things/a", b"{", headers=JSON)).status == 400


async def test_a_bug_on_the_way_is_told_as_one(things: Client, backend: Recording) -> None:
    def broken(_: object) -> object:
        raise ZeroDivisionError

    backend.handlers["Show"] = broken
    assert (await things("PUT", "/things/a", b"{", headers=JSON)).status == 500


@pytest.mark.parametrize("headers", [{"Accept": "text/html"}, {"Content-Type": "text/plain", "Accept": "image/png"}])
async def test_who_may_not_call_at_all_learns_only_that(things: Client, backend: Recording, headers: dict) -> None:
    backend.refuse = failure(code_pb2.UNAUTHENTICATED, "who are you?")
    for verb in ("GET", "PUT"):
        answer = await things(verb, "/things/a", b"x", headers=headers)
        assert (answer.status, answer.json["message"]) == (401, "who are you?")
    assert not backend.requests


async def test_requests_in_order_are_not_looked_up(things: Client, backend: Recording) -> None:
    backend.handlers["Replace"] = lambda request: request.thing
    assert (await things("PUT", "/things/a", b'{"size": 1}', headers=JSON)).status == 200
    assert [call.method for call in backend.calls] == ["/trial.things.v1.ThingService/Replace"]


@pytest.mark.parametrize(
    ("header", "view"),
    [
        ("application/vnd.long+json", 2),
        ("Application/VND.long ; version=1", 2),
        ("text/html, application/vnd.short+json;q=0.5, application/vnd.long", 1),
        ("application/json", 0),
        ("*/*", 0),
        ("", 0),
    ],
)
async def test_media_types_in_a_header(things: Client, backend: Recording, header: str, view: int) -> None:
    backend.handlers["Show"] = lambda request: request
    assert (await things("GET", "/things/a", headers={"Accept-Item": header})).status == 200
    assert backend.request.view == view


@pytest.mark.parametrize(
    ("header", "body", "key"),
    [
        ("a", {"name": "n"}, "a"),
        (None, {"name": "n", "key": "a"}, "a"),
        ("a", {"name": "n", "key": "a"}, "a"),
        ("a", {"name": "n", "key": ""}, "a"),
        (None, {"name": "n"}, ""),
    ],
)
async def test_a_header_may_stand_in_the_body(
    things: Client, backend: Recording, header: str | None, body: dict, key: str
) -> None:
    backend.handlers["Make"] = lambda request: request
    answer = await things("POST", "/things", body, headers={} if header is None else {"Make-Key": header})
    assert answer.status == 200
    assert (backend.request.name, backend.request.key) == ("n", key)


async def test_a_header_that_contradicts_the_body_is_refused(things: Client) -> None:
    answer = await things("POST", "/things", {"name": "n", "key": "a"}, headers={"Make-Key": "b"})
    assert answer.status == 400
    assert "Make-Key: is not what the body says" in answer.json["message"]
