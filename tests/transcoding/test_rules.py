"""All of google.api.http, on a service that declares nothing else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from google.api import httpbody_pb2
from google.protobuf import empty_pb2, json_format

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.stream import LateFailureError
from support.asgi import Client
from support.recording import Recording, failure
from support.trial import kind, make, pool_of

RECORDED = json.loads((Path(__file__).parent / "vectors" / "http_rule_requests.json").read_text())


@pytest.fixture
def client(serve, backend: Recording) -> Client:
    for name in ("Shelf", "Seal", "One", "Literal", "Move", "Every", "PutTags", "Find", "Patch"):
        backend.handlers[name] = lambda request: request
    backend.handlers["Put"] = lambda request: request.book
    backend.handlers["Echo"] = lambda request: request.content
    backend.handlers["Whole"] = lambda request: request
    backend.handlers["Nothing"] = lambda _: empty_pb2.Empty()
    return serve("rules.RulesService", "rules.RefusedService")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["id"])
async def test_recorded_requests(case: dict, backend: Recording, tmp_path: Path) -> None:
    snippet = case["proto_snippet"]
    rpcs, messages = "", ""
    for part in snippet.split("\n"):
        if part.startswith("rpc"):
            rpcs += part
        else:
            messages += part
    name = case["id"].replace("/", "_").replace(".", "_")
    source = (
        f'syntax = "proto3"; package {name}; import "google/api/annotations.proto"; service S {{ {rpcs} }} {messages}'
    )
    file = pool_of(f"{name}.proto", source, tmp_path)
    client = Client(Transcoder(file.services_by_name.values(), backend))
    wanted = case["expect"]["rpc"]
    backend.handlers[wanted] = lambda request: request
    body = case["request"]["body"]
    answer = await client(
        case["request"]["method"],
        case["request"]["path"],
        body.encode() if body is not None else None,
        headers={"Content-Type": "application/json"} if body is not None else None,
    )
    assert backend.calls, answer.text
    assert backend.calls[-1].method == f"/{name}.S/{wanted}"
    assert json_format.MessageToDict(backend.request) == case["expect"]["message"]


async def test_each_route_reaches_its_method(client: Client, backend: Recording) -> None:
    expected = {
        "GET /v1/shelves/1/books/a/b": ("Shelf", "shelves/1/books/a/b"),
        "GET /v1/shelves/1/books": ("Shelf", "shelves/1/books"),
        "POST /v1/shelves/1/books/a:seal": ("Seal", "shelves/1/books/a"),
        "GET /v1/one/x%2Fy%3Az": ("One", "x/y:z"),
        "GET /v1/one/special": ("Literal", ""),
        "GET /v1/also/me/x": ("One", "x"),
        "GET /v1/any/a/b/end": ("One", "any/a/b"),
        "MOVE /v1/one/x": ("Move", "x"),
        "BREW /v1/every/x": ("Every", "x"),
        "PUT /v1/every/x": ("Every", "x"),
    }
    for line, (method, name) in expected.items():
        verb, _, path = line.partition(" ")
        answer = await client(verb, path)
        assert answer.status == 200, (line, answer.text)
        assert backend.calls[-1].method == f"/trial.rules.v1.RulesService/{method}"
        assert backend.request.name == name, line


async def test_a_method_without_a_rule_is_not_shown(client: Client) -> None:
    assert (await client("POST", "/trial.rules.v1.RulesService/Hidden")).status == 404


async def test_body_field_and_query_and_path(client: Client, backend: Recording) -> None:
    answer = await client("PUT", "/v1/books/b1?force=true", {"name": "other", "tags": ["x"], "price": "7"})
    assert answer.json == {"name": "b1", "tags": ["x"], "price": "7"}
    assert backend.request.force is True


async def test_body_of_a_repeated_field_and_response_body(client: Client, backend: Recording) -> None:
    answer = await client("PUT", "/v1/tags/n", ["a", "b"])
    assert answer.json == ["a", "b"]
    assert list(backend.request.tags) == ["a", "b"]
    assert (await client("PUT", "/v1/tags/n", [])).json == []


async def test_the_whole_body_leaves_nothing_to_the_query(client: Client) -> None:
    answer = await client("POST", "/v1/shelves/1/books/a:seal?price=3", {"price": 4})
    assert answer.status == 400
    assert answer.json["message"] == "price: is not a parameter of this method"


@pytest.mark.parametrize(
    ("body", "query", "mask"),
    [
        ({"price": 3}, "", ["price"]),
        ({"part": {"author": "a", "inner": {"edition": 1}}}, "", ["part.author", "part.inner.edition"]),
        ({"part": {}}, "", ["part"]),
        ({"tags": [], "labels": {"a": "b"}}, "", ["tags", "labels"]),
        ({"part": {"author": None}, "price": None}, "", ["part.author", "price"]),
        ({"price": 3, "tags": ["x"]}, "?updateMask=price", ["price"]),
        ({}, "", []),
    ],
)
async def test_a_patch_without_a_mask_gets_one(client: Client, backend: Recording, body, query, mask) -> None:
    answer = await client("PATCH", "/v1/books/b1" + query, body)
    assert answer.status == 200, answer.text
    assert list(backend.request.update_mask.paths) == mask


FIND = {
    "text=a+b%2Bc": {"text": "a b+c"},
    "text=": {},
    "small=-7&large=18446744073709551615": {"small": -7, "large": "18446744073709551615"},
    "real=1.5e3&single=-Infinity": {"real": 1500.0, "single": "-Infinity"},
    "flag=true": {"flag": True},
    "data=_-8%3D": {"data": "/+8="},
    "data=/%2B8": {"data": "/+8="},
    "colour=COLOUR_RED&colours=1&colours=COLOUR_RED": {"colour": "COLOUR_RED", "colours": ["COLOUR_RED", "COLOUR_RED"]},
    "numbers=1&numbers=2": {"numbers": [1, 2]},
    "counts[a]=1&counts[b%20c]=2": {"counts": {"a": 1, "b c": 2}},
    "since=2026-01-15T11:00:30%2B01:00&wait=1.5s": {"since": "2026-01-15T10:00:30Z", "wait": "1.500s"},
    "readMask=part.author,price": {"readMask": "part.author,price"},
    "maybeLarge=0&maybeText=&maybeFlag=false&maybeData=AA": {
        "maybeLarge": "0",
        "maybeText": "",
        "maybeFlag": False,
        "maybeData": "AA==",
    },
    "anything=%7B%22a%22:%5B1%5D%7D&list=%5B1,%22x%22%5D": {"anything": {"a": [1.0]}, "list": [1.0, "x"]},
    "value=17": {"value": 17.0},
    "value=plain": {"value": "plain"},
    "part.author=me&part.inner.edition=2": {"part": {"author": "me", "inner": {"edition": 2}}},
    "byName=x": {"byName": "x"},
    "byPart.author=x&byPart.edition=1": {"byPart": {"author": "x", "edition": 1}},
    "presence=": {"presence": ""},
    "moments=2026-01-15T10:00:30Z&moments=2026-01-16T10:00:30Z": {
        "moments": ["2026-01-15T10:00:30Z", "2026-01-16T10:00:30Z"]
    },
    "&&text=x&": {"text": "x"},
}


@pytest.mark.parametrize("query", FIND)
async def test_queries_bind(client: Client, backend: Recording, query: str) -> None:
    answer = await client("GET", f"/v1/find?{query}")
    assert answer.status == 200, answer.text
    assert json_format.MessageToDict(backend.request) == FIND[query]


BAD = {
    "small=2147483648": "small: must be between -2147483648 and 2147483647",
    "small=0x10": "small: must be a whole number",
    "small=": "small: must not be empty",
    "large=-1": "large: must be between 0 and 18446744073709551615",
    "real=one": "real: must be a number",
    "single=1e39": "single: is too large a number",
    "flag=yes": "flag: must be true or false",
    "data=a": "data: must be base64",
    "colour=RED": "colour: must be one of COLOUR_UNSPECIFIED, COLOUR_RED",
    "since=yesterday": "since: must be a time as in RFC 3339, for example 2026-01-15T11:00:30Z",
    "wait=1": 'wait: must be a duration in seconds, for example "3.5s"',
    "anything=%5B%5D": "anything: must be an object, not a list",
    "small=1&small=2": "small: may be given only once",
    "byName=x&byNumber=1": "byNumber: excludes another field that was given",
    "byName=x&byPart.author=1": "byPart.author: excludes another field that was given",
    "by_name=x": "by_name: is not a parameter of this method",
    "nope=1&part.nope=2": "nope: is not a parameter of this method; part.nope: is not a parameter of this method",
    "part=x": "part: is not a parameter of this method",
    "parts.author=x": "parts.author: is not a parameter of this method",
    "text.x=1": "text.x: is not a parameter of this method",
    "counts=1": "counts: is not a parameter of this method",
    "text[a]=1": "text[a]: is not a parameter of this method",
    "counts[a]=x": "counts[a]: must be a whole number",
    "text=%zz": "the query parameter 'text': a percent sign is not followed by two hexadecimal digits",
    "text=%ff": "the query parameter 'text': the percent-encoded bytes are no UTF-8",
}


@pytest.mark.parametrize("query", BAD)
async def test_bad_queries_are_refused_by_name(client: Client, backend: Recording, query: str) -> None:
    answer = await client("GET", f"/v1/find?{query}")
    assert answer.status == 400
    assert answer.json["code"] == 3
    assert answer.json["message"] == BAD[query]
    assert not backend.requests


async def test_too_many_parameters(client: Client) -> None:
    answer = await client("GET", "/v1/find?" + "&".join("text=x" for _ in range(257)))
    assert (answer.status, answer.json["message"]) == (400, "the query has more than 256 parameters")


async def test_exact_bytes_in_and_out(client: Client, backend: Recording) -> None:
    data = bytes(range(256)) * 3
    headers = {"Content-Type": "image/png; x=y"}
    answer = await client("POST", "/v1/echo/n?times=2", data, headers=headers)
    assert (answer.body, answer.headers["content-type"]) == (data, "image/png; x=y")
    assert (backend.request.name, backend.request.times) == ("n", 2)
    assert (await client("POST", "/v1/whole", data, headers=headers)).body == data
    json_body = await client("POST", "/v1/whole", b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert json_body.body == b'{"a": 1}'


async def test_exact_bytes_stream_without_anything_between(client: Client, backend: Recording) -> None:
    async def pages(_request):
        for number in range(3):
            yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"%d\x00\n" % number)

    backend.handlers["Pages"] = pages
    answer = await client("GET", "/v1/pages/x")
    assert answer.body == b"0\x00\n1\x00\n2\x00\n"
    assert answer.headers["content-type"] == "text/csv"


async def test_exact_bytes_are_of_no_type_that_accept_could_turn_away(client: Client, backend: Recording) -> None:
    async def pages(request):
        if request.name == "one":
            yield httpbody_pb2.HttpBody(content_type="image/png", data=b"1")

    backend.handlers["Pages"] = pages
    headers = {"Content-Type": "image/png", "Accept": "image/png"}
    assert (await client("POST", "/v1/whole", b"1", headers=headers)).headers["content-type"] == "image/png"
    one, none = [await client("GET", f"/v1/pages/{name}", headers=headers) for name in ("one", "none")]
    assert (one.status, one.headers["content-type"], one.body) == (200, "image/png", b"1")
    assert (none.status, none.headers["content-type"], none.body) == (200, "application/octet-stream", b"")
    assert "vary" not in none.headers


async def test_exact_bytes_that_break_off_end_the_connection(client: Client, backend: Recording) -> None:
    async def pages(_request):
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"1\n")
        raise failure(14, "gone")

    backend.handlers["Pages"] = pages
    with pytest.raises(LateFailureError):
        await client("GET", "/v1/pages/x")


async def test_an_empty_message_is_an_empty_object(client: Client) -> None:
    answer = await client("DELETE", "/v1/one/x")
    assert (answer.status, answer.json) == (200, {})


async def test_bodies_of_get_and_delete_are_ignored(client: Client) -> None:
    headers = {"Content-Type": "application/vnd.odd+json"}
    assert (await client("GET", "/v1/one/x", b"{}", headers=headers)).status == 200
    assert (await client("DELETE", "/v1/one/x", b"rubbish", headers=headers)).status == 200


async def test_requests_stream_in(client: Client, backend: Recording) -> None:
    backend.handlers["Count"] = lambda requests: make("rules.Book", price=len(requests))
    lines = b'{"name":"a"}\n\n{"name":"b"}\n{"na'
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await client("POST", "/v1/count/me", pieces=[lines[:5], lines[5:], b'me":"c"}'], headers=headers)
    assert answer.json == {"price": "3"}
    assert [(each.name, each.part.author) for each in backend.requests] == [("a", "me"), ("b", "me"), ("c", "me")]
    backend.requests.clear()
    answer = await client("POST", "/v1/count/me", [{"name": "a"}, {"name": "b"}])
    assert answer.json == {"price": "2"}
    broken = await client("POST", "/v1/count/me", b'{"name":"a"}\n{"name":1}', headers=headers)
    assert (broken.status, broken.json["message"]) == (400, "line 2: name: must be text, not a number")


async def test_requests_and_responses_stream_at_once(client: Client, backend: Recording) -> None:
    backend.handlers["Chat"] = lambda request: make("rules.Book", name=request.name * 2)
    answer = await client(
        "POST",
        "/v1/chat",
        pieces=[b'{"name":"a"}\n', b'{"name":"b"}\n'],
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.body == b'{"name":"aa"}\n{"name":"bb"}\n'


async def test_a_failure_is_a_status_where_no_face_says_otherwise(client: Client, backend: Recording) -> None:
    backend.refuse = failure(5, "no such book", "BOOK_GONE", book="7")
    answer = await client("GET", "/v1/one/7")
    assert answer.status == 404
    assert answer.json == {
        "code": 5,
        "message": "no such book",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "BOOK_GONE",
                "domain": "trial",
                "metadata": {"book": "7"},
            }
        ],
    }


def test_bytes_survive_both_alphabets() -> None:
    message = kind("rules.FindRequest")(data=b"\xff\xef")
    assert base64.b64encode(message.data) == b"/+8="
