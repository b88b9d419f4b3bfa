"""Envoy's opinion: same descriptors, same requests, and the same message at the gRPC method - or a known reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from yarl import URL

from jobyard_server.transcoding.app import Transcoder
from support.asgi import Client
from support.envoy import Echo, envoy
from support.recording import Recording
from support.trial import PROTOS, ROOT, compiled, service

NAMES = ("rules.RulesService", "orders.OrderService", "board.BoardService", "desk.DeskService", "relay.RelayService")
JSON = "application/json"


@dataclass(frozen=True)
class Ask:
    """One request, and why the answers to it differ, if they do."""

    verb: str
    url: str
    body: str | None = None
    why: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.url} {self.body or ''}".strip()


@dataclass(frozen=True)
class Outcome:
    """What became of it: the method and its message, or a refusal."""

    method: str
    message: str
    refused: bool

    @classmethod
    def of(cls, seen: list[tuple[str, Message]], status: int) -> Outcome:
        if not seen:
            return cls("", "", refused=400 <= status < 500)
        method, message = seen[-1]
        return cls(method, json_format.MessageToJson(message, sort_keys=True), refused=False)


WHY = {
    "zero": "Envoy wants one segment for a `**` with something behind it; http.proto says zero or more",
    "known": "Envoy's HTTP parser knows no such verb",
    "parts": "Envoy makes one message out of parameters for a list of messages",
    "single": "Envoy takes a single value for a list",
    "quotes": "Envoy takes what is not JSON",
    "slash": "Envoy drops one slash at the end of a path; here that is for a face to say",
    "empty": "Envoy takes an empty segment for a value, or drops it",
    "percent": "Envoy keeps broken percent-encoding as it is; here it is refused",
    "utf8": "Envoy hands bytes on that are no UTF-8, and the server fails; here they are refused",
    "verb": "Envoy cuts a verb off that some other route has, and then finds no route; here the colon is data",
    "encoded": "Envoy compares literals as they are spelled; here they are compared decoded",
    "repeat": "Envoy takes the last of several values; here a second value is refused",
    "words": "Envoy takes numbers and booleans of any spelling it can make sense of; here only proto3 JSON's",
    "names": "Envoy takes JSON and proto names alike; here one of them, as the face says",
    "map": "Envoy cannot fill maps from the query",
    "wrap": "Envoy cannot fill wrappers, structs and their like from an empty text, or fills them otherwise",
    "body": "Envoy ignores unknown members of a body; here they are refused",
    "null": "Envoy takes null and duplicates where proto3 JSON does not",
    "whole": "Envoy fills from the query what the body is there for",
    "collide": "Envoy lets the body win over the path; here the path wins",
    "mask": "Envoy does not fill the update mask of a PATCH",
    "head": "Envoy has no HEAD of a GET",
    "raw": "Envoy reads free JSON as the string or base64 that its field is to plain gateways",
    "wire": "Envoy does not know the words of the wire",
    "header": "Envoy does not bind headers",
    "type": "Envoy does not look at the Content-Type of a body",
    "value": "Envoy reads google.protobuf.Value from the query as text",
}


def paths() -> Iterator[Ask]:
    values = ("x", "X-1_.~", "a%20b", "a+b", "%C3%A9", "a%2Fb", "a%2fb", "a%3Ab", "a:b", "a,b;c=d", "a%25b", "a%252Fb")
    for value in values:
        yield Ask("GET", f"/v1/one/{value}")
        yield Ask("GET", f"/v1/also/{value}/{value}")
        yield Ask("GET", f"/v1/shelves/{value}/books/{value}/y")
        yield Ask("GET", f"/v1/any/{value}/end")
        yield Ask("DELETE", f"/v1/one/{value}")
        yield Ask("MOVE", f"/v1/one/{value}")
    for value in ("@", "!$'()*", "&", "=", "%21", "%7E", "%00", "é".encode().hex()):
        yield Ask("GET", f"/v1/one/{value}")
        yield Ask("GET", f"/v1/any/{value}/end")
    yield Ask("GET", "/v1/shelves/1/books")
    yield Ask("GET", "/v1/any/end", why="zero")
    yield Ask("GET", "/v1/any/a/b/c/d/e/end")
    yield Ask("GET", "/v1/any/end/end")
    yield Ask("GET", "/v1/any/a/b")
    yield Ask("GET", "/v1/one/special")
    yield Ask("GET", "/v1/one/special2")
    yield Ask("GET", "/v1/one/%73pecial", why="encoded")
    yield Ask("GET", "/v1/one")
    yield Ask("GET", "/v1/one/a/b")
    yield Ask("GET", "/v2/one/a")
    yield Ask("GET", "/")
    yield Ask("GET", "/v1/one/x/", why="slash")
    yield Ask("GET", "/v1/one/")
    yield Ask("GET", "/v1/also//x", why="empty")
    yield Ask("GET", "/v1/one/%zz", why="percent")
    yield Ask("GET", "/v1/one/%ff", why="utf8")
    yield Ask("GET", "/v1/one/x:seal", why="verb")
    yield Ask("POST", "/v1/shelves/1/books/a:b:seal", "{}")
    yield Ask("POST", "/v1/shelves/1/books/a%3Aseal", "{}")
    yield Ask("POST", "/v1/shelves/1/books/a", "{}")
    yield Ask("HEAD", "/v1/one/x", why="head")


def verbs() -> Iterator[Ask]:
    for verb in ("POST", "PUT", "PATCH", "BREW"):
        yield Ask(verb, "/v1/one/x")
    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE", "BREW"):
        yield Ask(verb, "/v1/every/x", why="known" if verb == "BREW" else "")
    for verb in ("GET", "DELETE", "POST"):
        yield Ask(verb, "/v1/books/x")


def queries() -> Iterator[Ask]:
    plain = (
        "text=a", "text=a+b", "text=a%2Bb", "text=a%26b%3D", "text=", "text=%C3%A9", "small=1", "small=-1", "small=0",
        "small=2147483647", "small=-2147483648", "large=0", "large=18446744073709551615", "real=1.5", "real=-1e3",
        "real=NaN", "real=Infinity", "single=0.5", "flag=true", "flag=false", "colour=COLOUR_RED", "colour=1",
        "colour=0", "colours=COLOUR_RED&colours=COLOUR_RED", "numbers=1", "numbers=1&numbers=2&numbers=3",
        "since=2026-01-15T11:00:30Z", "since=2026-01-15T11:00:30.125Z", "since=2026-01-15T11:00:30%2B01:00",
        "wait=1.5s", "wait=0s", "wait=-2s", "readMask=text,small", "maybeLarge=7", "maybeText=x", "maybeFlag=true",
        "part.author=me", "part.edition=3", "part.inner.edition=4", "part.inner.inner.author=deep", "byName=x",
        "byNumber=3", "byPart.author=x", "presence=x", "data=AAEC", "text=a&small=1&flag=true&part.author=b",
        "text=a%20b&text2=", "&text=a", "text=a&", "text=a&&small=1", "text", "maybeText=a%20b", "data=_-8",
        "small=", "colour=", "flag=",
    )  # fmt: skip
    yield from (Ask("GET", f"/v1/find?{query}") for query in plain)
    bad = (
        "nope=1", "text.x=1", "part.nope=1", "part=1", "small=x", "small=1.5", "small=2147483648",
        "large=-1", "flag=maybe", "colour=NOPE", "since=yesterday", "wait=1", "wait=x", "real=x", "numbers=1&numbers=x",
        "part.edition=x", "byNumber=x", "maybeLarge=x", "maybeFlag=2", "single=x",
    )  # fmt: skip
    yield from (Ask("GET", f"/v1/find?{query}") for query in bad)


def odd_queries() -> Iterator[Ask]:
    for why, asked in {
        "repeat": ("text=a&text=b", "small=1&small=2", "part.author=a&part.author=b"),
        "words": ("flag=1", "flag=yes"),
        "names": ("read_mask=text", "maybe_text=x", "by_name=x", "part.author=a&by_number=1"),
        "parts": ("parts.author=1",),
        "map": ("counts[a]=1",),
        "percent": ("text=%zz", "text=%"),
        "utf8": ("text=%ff",),
        "value": ("value=17", "value=true"),
        "wrap": ("anything={}", "list=[1]"),
    }.items():
        yield from (Ask("GET", f"/v1/find?{query}", why=why) for query in asked)


ODD_BODIES = {'{"name":"other"}': "collide", '{"tags":"a"}': "single", "{'a':1}": "quotes"}


def bodies() -> Iterator[Ask]:
    good = (
        "{}", '{"price":"7"}', '{"price":7}', '{"tags":["a","b"]}', '{"part":{"author":"x","edition":2}}',
        '{"labels":{"a":"b"}}', '{"part":{"inner":{"inner":{"edition":1}}}}', ' {"price" : 7 } ', '{"tags":[]}',
        '{"name":"other"}', '{"part":null}', '{"price":null}', '{"tags":["\\u00e9\\ud83d\\ude00"]}',
    )  # fmt: skip
    bad = (
        "[]", "7", '"x"', "{", '{"price"}', '{"price":"x"}', '{"price":1.5}', '{"tags":"a"}', '{"tags":[1]}',
        '{"part":[]}', '{"part":{"edition":"x"}}', '{"labels":[]}', '{"labels":{"a":1}}', "{} {}", "nope", "{'a':1}",
    )  # fmt: skip
    for body in (*good, *bad):
        why = ODD_BODIES.get(body, "")
        yield Ask("PUT", "/v1/books/b1", body, why=why)
        yield Ask("POST", "/v1/shelves/1/books/a:seal", body, why=why)
    yield Ask("PUT", "/v1/books/b1?book.price=3", '{"tags":["t"]}', why="whole")
    for query in ("force=true", "force=x", "nope=1"):
        yield Ask("PUT", f"/v1/books/b1?{query}", '{"tags":["t"]}')
    yield Ask("PUT", "/v1/books/b1", "")
    yield Ask("PUT", "/v1/books/b1?force=true", "")
    yield Ask("PATCH", "/v1/books/b1?updateMask=price", '{"price":3}')
    yield Ask("PATCH", "/v1/books/b1", '{"price":3}', why="mask")
    for body in ('{"nope":1}', '{"part":{"nope":1}}'):
        yield Ask("PUT", "/v1/books/b1", body, why="body")
    yield Ask("PUT", "/v1/books/b1", '{"price":1,"price":2}', why="null")
    yield Ask("PUT", "/v1/books/b1", '{"tags":[null]}', why="null")
    yield Ask("POST", "/v1/shelves/1/books/a:seal?price=3", "{}", why="whole")
    yield Ask("GET", "/v1/one/x", "{}")
    yield Ask("DELETE", "/v1/one/x", "{}")


def faces() -> Iterator[Ask]:
    """Routes of services that declare much more: to Envoy they are plain services."""
    yield Ask("GET", "/shop/v2/orders")
    yield Ask("GET", "/shop/v2/orders?maxItems=3&pageToken=t&id=7")
    yield Ask("GET", "/shop/v2/orders?sort=id")
    yield Ask("GET", "/shop/v2/orders?createdAtFrom=2026-01-15T11:00:30Z&extIPID=k")
    yield Ask("GET", "/shop/v2/orders?nope=1")
    yield Ask("POST", "/shop/v2/orders", '{"contractName":"c","extIPID":"k"}')
    yield Ask("POST", "/shop/v2/orders", '{"variables":{"a":1}}', why="raw")
    yield Ask("GET", "/shop/v2/orders?status=RUNNING", why="wire")
    yield Ask("GET", "/status")
    yield Ask("GET", "/consumer/v1/topics")
    yield Ask("GET", "/consumer/v1/topics?owner=o")
    yield Ask("GET", "/consumer/v1/topics?owner=o&type_check=true")
    yield Ask("GET", "/consumer/v1/topics?infoTypeId=x", why="names")
    yield Ask("GET", "/consumer/v1/topics/a%2Fb")
    yield Ask("DELETE", "/consumer/v1/topics?owner=o")
    yield Ask("GET", "/consumer/v1/nothing")
    yield Ask("GET", "/desk")
    yield Ask("GET", "/desk/")
    yield Ask("GET", "/desk/tickets")
    yield Ask("GET", "/desk/tickets?filter=eq(a,%20%22b%22)&start=2&limit=3")
    yield Ask("POST", "/desk/tickets?submitter=me", '{"id":"x","arguments":{"a":"b"}}')
    yield Ask("POST", "/desk/tickets", '{"arguments":{"a":1}}', why="words")
    yield Ask("GET", "/desk/tickets/t%2F1")
    yield Ask("PUT", "/desk/tickets/t1", '{"id":"t1"}')
    yield Ask("GET", "/desk/tickets/t1/state")
    yield Ask("GET", "/desk/tickets/t1/beat")
    yield Ask("PUT", "/desk/tickets/@selection/state?value=canceled", '{"resources":["a"],"type":"id"}')
    yield Ask("GET", "/relay/parcels?pageToken=7&name=a+b")
    yield Ask("POST", "/relay/parcels", "{}", why="header")
    yield Ask("POST", "/relay/sign", '"text"', why="type")


ASKS = [*paths(), *verbs(), *queries(), *odd_queries(), *bodies(), *faces()]


@pytest.fixture(scope="module")
async def opinions(tmp_path_factory) -> AsyncIterator[tuple[str, Echo]]:
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("trial/**/*.proto"))
    services = [service(name) for name in NAMES]
    async with envoy(compiled(*names), services, tmp_path_factory.mktemp("envoy")) as running:
        yield running


async def theirs(session: aiohttp.ClientSession, base: str, echo: Echo, ask: Ask) -> Outcome:
    echo.seen.clear()
    headers = {"Content-Type": JSON} if ask.body is not None else {}
    data = ask.body.encode() if ask.body is not None else None
    async with session.request(ask.verb, URL(base + ask.url, encoded=True), data=data, headers=headers) as answer:
        await answer.read()
        return Outcome.of(echo.seen, answer.status)


async def ours(client: Client, backend: Recording, ask: Ask) -> Outcome:
    backend.calls.clear()
    backend.requests.clear()
    data = ask.body.encode() if ask.body is not None else None
    headers = {"Content-Type": JSON} if ask.body is not None else None
    answer = await client(ask.verb, ask.url, data, headers=headers)
    seen = [(backend.calls[-1].method, backend.requests[-1])] if backend.requests else []
    return Outcome.of(seen, answer.status)


async def test_envoy_agrees_or_differs_for_a_known_reason(opinions: tuple[str, Echo], backend: Recording) -> None:
    base, echo = opinions
    client = Client(Transcoder([service(name) for name in NAMES], backend))
    for name in echo.methods:
        backend.handlers[name] = answer_for(echo, name)
    unexplained, stale = [], []
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for ask in ASKS:
            one, other = await ours(client, backend, ask), await theirs(session, base, echo, ask)
            if one != other and not ask.why:
                unexplained.append(f"{ask}\n   ours: {one}\n theirs: {other}")
            if one == other and ask.why:
                stale.append(f"{ask} ({ask.why})")
    assert not unexplained, "\n".join(unexplained)
    assert not stale, "\n".join(stale)


def answer_for(echo: Echo, name: str) -> Any:
    response = message_factory.GetMessageClass(echo.methods[name].output_type)
    return lambda _request: response()


def test_enough_is_asked_and_every_reason_is_needed() -> None:
    assert len(ASKS) >= 300
    assert [str(ask) for ask in ASKS if ASKS.count(ask) > 1] == []
    assert {ask.why for ask in ASKS} - {""} == set(WHY)


async def test_envoy_loads_everything_that_is_served(tmp_path: Path) -> None:
    """Gateways that know nothing of our options take our files as they are."""
    files = FileDescriptorSet.FromString((ROOT / "generated" / "descriptors.binpb").read_bytes())
    pool = DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    services = [
        pool.FindServiceByName(f"{file.package}.{each.name}")
        for file in files.file
        if file.package.startswith("jobyard.")
        for each in file.service
    ]
    assert len(services) > 5
    async with (
        envoy(files, services, tmp_path) as (base, _),
        aiohttp.ClientSession() as session,
        session.get(f"{base}/jobyard/v1/jobs?nope=1") as answer,
    ):
        assert (answer.status, "nope" in await answer.text()) == (400, True)
