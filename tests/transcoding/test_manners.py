"""The manners of HTTP: verbs, limits, compression, other origins, metadata, deadlines, clients that leave."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import time
import zlib

import pytest

from jobyard_server.transcoding.backend import ResponseMetadata, RpcFailure
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.settings import Cors
from support.asgi import Client
from support.recording import Recording, failure
from support.trial import make

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def rules(serve, backend: Recording) -> Client:
    backend.handlers["Seal"] = lambda request: request
    backend.handlers["One"] = lambda request: request
    return serve("rules.RulesService", limits=Limits(body_bytes=1000, url_bytes=200, headers=20, header_bytes=600))


async def test_a_wrong_verb_says_which_are_right(rules: Client) -> None:
    answer = await rules("PATCH", "/v1/one/x")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, MOVE, OPTIONS")
    options = await rules("OPTIONS", "/v1/one/x")
    assert (options.status, options.headers["allow"], options.body) == (200, "DELETE, GET, HEAD, MOVE, OPTIONS", b"")
    assert (await rules("OPTIONS", "/v1/none/x")).status == 404


async def test_head_is_get_without_the_body(rules: Client, serve) -> None:
    get, head = await rules("GET", "/v1/one/x"), await rules("HEAD", "/v1/one/x")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(get.body)))
    assert (await serve("orders.OrderService")("HEAD", "/shop/v2/orders")).status == 405


async def test_a_trailing_slash_is_another_path(rules: Client) -> None:
    assert (await rules("GET", "/v1/one/x/")).status == 404


@pytest.mark.parametrize(
    ("url", "status"),
    [("/v1/one/%zz", 400), ("/v1/one/%ff", 400), ("/v1/one/%C3%A9", 200), ("/v1/one/" + "x" * 300, 414)],
)
async def test_odd_paths(rules: Client, url: str, status: int) -> None:
    assert (await rules("GET", url)).status == status


async def test_headers_are_bounded(rules: Client) -> None:
    assert (await rules("GET", "/v1/one/x", headers={f"X-{n}": "1" for n in range(20)})).status == 431
    assert (await rules("GET", "/v1/one/x", headers={"X-Long": "1" * 600})).status == 431


async def test_bodies_are_bounded_however_they_come(rules: Client, backend: Recording) -> None:
    path = "/v1/shelves/1/books/a:seal"
    large = b'{"tags":["%b"]}' % (b"x" * 1000)
    assert (await rules("POST", path, large, headers=JSON)).status == 413
    assert (await rules("POST", path, pieces=[large[:500], large[500:]], headers=JSON)).status == 413
    packed = gzip.compress(large, mtime=0)
    assert len(packed) < 100
    assert (await rules("POST", path, packed, headers=JSON | {"Content-Encoding": "gzip"})).status == 413
    assert not backend.requests
    lying = await rules("POST", path, headers=JSON | {"Content-Length": "99999999999999999999999"}, pieces=[b"{}"])
    assert lying.status == 200


@pytest.mark.parametrize("wrap", [gzip.compress, zlib.compress])
async def test_compressed_bodies(rules: Client, backend: Recording, wrap) -> None:
    encoding = "gzip" if wrap is gzip.compress else "deflate"
    packed = wrap(b'{"price": 3}')
    pieces = [packed[:7], packed[7:]]
    answer = await rules(
        "POST", "/v1/shelves/1/books/a:seal", pieces=pieces, headers=JSON | {"Content-Encoding": encoding}
    )
    assert (answer.status, backend.request.price) == (200, 3)


@pytest.mark.parametrize("cut", [1, 7, 33, 400])
async def test_a_compressed_body_may_have_several_members(rules: Client, backend: Recording, cut: int) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in (b'{"pri', b"", b'ce": 3', b"}"))
    headers = JSON | {"Content-Encoding": "gzip"}
    pieces = [packed[at : at + cut] for at in range(0, len(packed), cut)]
    answer = await rules("POST", "/v1/shelves/1/books/a:seal", pieces=pieces, headers=headers)
    assert (answer.status, backend.request.price) == (200, 3)


async def test_members_of_a_compressed_body_are_bounded_together(rules: Client) -> None:
    halves = gzip.compress(b'{"tags":["' + b"x" * 600, mtime=0) + gzip.compress(b"x" * 600 + b'"]}', mtime=0)
    first, empty = gzip.compress(b"{}", mtime=0), gzip.compress(b"", mtime=0)
    for pieces, status in (([halves], 413), ([first, empty * 1023], 200), ([first, empty * 1023, empty], 400)):
        headers = JSON | {"Content-Encoding": "gzip"}
        answer = await rules("POST", "/v1/shelves/1/books/a:seal", pieces=pieces, headers=headers)
        assert answer.status == status, answer.text


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more", 400),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2 + b"more", 400),
        ("gzip", gzip.compress(b"{}", mtime=0) + gzip.compress(b"", mtime=0)[:-1], 400),
        ("deflate", zlib.compress(b"{}") * 2, 400),
        ("identity", b"{}", 200),
    ],
)
async def test_broken_compression(rules: Client, encoding: str, body: bytes, status: int) -> None:
    headers = JSON | {"Content-Encoding": encoding}
    assert (await rules("POST", "/v1/shelves/1/books/a:seal", body, headers=headers)).status == status


async def test_answers_are_compressed_for_those_who_ask(rules: Client, backend: Recording) -> None:
    backend.handlers["One"] = lambda _: make("rules.Book", tags=["x" * 4000])
    plain = await rules("GET", "/v1/one/x")
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    for accepted in ("gzip", "br, gzip;q=0.5", "deflate, GZIP"):
        packed = await rules("GET", "/v1/one/x", headers={"Accept-Encoding": accepted})
        assert packed.headers["content-encoding"] == "gzip", accepted
        assert packed.body == plain.body
        assert int(packed.headers["content-length"]) < 200
    for refused in ("gzip;q=0", "gzip;q=0.000", "br", "xgzip"):
        assert "content-encoding" not in (await rules("GET", "/v1/one/x", headers={"Accept-Encoding": refused})).headers


@pytest.mark.timeout(30)  # an expression that tries every way to share the blanks out takes minutes
async def test_what_clients_take_is_read_once(serve, backend: Recording) -> None:
    backend.handlers["One"] = lambda request: request
    rules = serve("rules.RulesService", limits=Limits(header_bytes=128 * 1024))
    accepted = dict.fromkeys(("Accept", "Accept-Encoding", "Accept-Language"), f"gzip{' ' * 120000}x")
    for header, value in accepted.items():
        assert "content-encoding" not in (await rules("GET", "/v1/one/x", headers={header: value})).headers


async def test_all_bodies_together_are_bounded(serve, backend: Recording) -> None:
    release = asyncio.Event()

    async def wait(request):
        await release.wait()
        return request

    backend.handlers["Seal"] = wait
    rules = serve("rules.RulesService", limits=Limits(bodies_bytes=30))
    first = asyncio.create_task(rules("POST", "/v1/shelves/1/books/a:seal", b'{"price": 1234567}', headers=JSON))
    await asyncio.sleep(0)
    second = await rules("POST", "/v1/shelves/1/books/a:seal", b'{"price": 1234567}', headers=JSON)
    assert (second.status, second.json["message"]) == (
        429,
        "too many request bodies are in memory; send the request again later",
    )
    assert second.headers["retry-after"] == "1"
    release.set()
    assert (await first).status == 200
    assert (await rules("POST", "/v1/shelves/1/books/a:seal", b'{"price": 1234567}', headers=JSON)).status == 200


async def test_a_body_that_does_not_come(serve, backend: Recording) -> None:
    backend.handlers["Seal"] = lambda request: request
    rules = serve("rules.RulesService", limits=Limits(body_seconds=0.02))
    headers = [(b"content-length", b"9"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/shelves/1/books/a:seal",
        "query_string": b"",
        "headers": headers,
    }
    sent = []

    async def never():
        await asyncio.sleep(10)

    async def send(event):
        sent.append(event)

    await rules.app(scope, never, send)
    assert sent[0]["status"] == 408


async def test_a_body_where_none_is_taken(rules: Client, serve, backend: Recording) -> None:
    backend.handlers["Every"] = lambda request: request
    answer = await rules("POST", "/v1/every/x", b"{}", headers=JSON)
    assert (answer.status, answer.json["message"]) == (400, "the method takes no body")
    assert (await rules("POST", "/v1/every/x", headers=JSON)).status == 200


async def test_browsers_of_other_origins(serve, backend: Recording) -> None:
    backend.handlers["One"] = backend.handlers["Every"] = lambda request: request
    some = serve("rules.RulesService", cors=Cors(frozenset({"https://a.test"})))
    asked = {
        "Origin": "https://a.test",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-a, b",
    }
    preflight = await some("OPTIONS", "/v1/one/x", headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://a.test"
    assert "GET" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "x-a, b"
    answer = await some("GET", "/v1/one/x", headers={"Origin": "https://a.test"})
    assert answer.headers["access-control-allow-origin"] == "https://a.test"
    assert "ETag" in answer.headers["access-control-expose-headers"]
    stranger = await some("GET", "/v1/one/x", headers={"Origin": "https://b.test"})
    assert "access-control-allow-origin" not in stranger.headers
    assert (await some("OPTIONS", "/v1/one/x", headers=asked | {"Origin": "https://b.test"})).status == 200
    for path, verb in (("/v1/every/x", "PURGE"), ("/v1/one/x", "MOVE")):
        preflight = await some("OPTIONS", path, headers=asked | {"Access-Control-Request-Method": verb})
        assert preflight.status == 204
        assert verb in preflight.headers["access-control-allow-methods"].split(", ")
    assert [call.method for call in backend.calls] == ["/trial.rules.v1.RulesService/One"] * 2
    odd = asked | {"Access-Control-Request-Method": "A B"}
    assert (await some("OPTIONS", "/v1/every/x", headers=odd)).json == {"name": "x"}, "a route of every verb"
    everybody = serve("rules.RulesService", cors=Cors(frozenset({"*"})))
    assert (await everybody("GET", "/v1/one/x", headers={"Origin": "https://b.test"})).headers[
        "access-control-allow-origin"
    ] == "*"
    nobody = serve("rules.RulesService")
    assert (
        "access-control-allow-origin"
        not in (await nobody("GET", "/v1/one/x", headers={"Origin": "https://b.test"})).headers
    )


async def test_headers_become_metadata_only_as_allowed(rules: Client, backend: Recording) -> None:
    binary = base64.b64encode(b"\x00\x01").decode().rstrip("=")
    headers = {
        "Authorization": "Bearer t",
        "Cookie": "c",
        "User-Agent": "u",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Grpc-Metadata-Custom": "x",
        "Grpc-Metadata-Raw-Bin": binary,
        "Grpc-Metadata-Grpc-Timeout": "1S",
        "Grpc-Metadata-Authorization": "Bearer forged",
        "Grpc-Metadata-Bad-Bin": "***",
        "Grpc-Metadata-Url-Bin": "-_8",
        "Grpc-Metadata-X-Request-Id": "forged",
        "Grpc-Metadata-Content-Type": "text/html",
        "Grpc-Metadata-Te": "gzip",
        "Grpc-Metadata-Host": "elsewhere",
        "Grpc-Metadata-User-Agent": "forged",
        "X-Other": "y",
    }
    answer = await rules("GET", "/v1/one/x", headers=headers)
    metadata = dict(backend.calls[0].metadata)
    assert len(metadata) == len(backend.calls[0].metadata)
    assert metadata.pop("x-request-id") == answer.headers["x-request-id"]
    assert metadata == {
        "user-agent": "u",
        "traceparent": headers["traceparent"],
        "custom": "x",
        "raw-bin": b"\x00\x01",
        "url-bin": b"\xfb\xff",
    }
    assert backend.calls[0].peer == "ipv4:10.0.0.7:4711"


async def test_binary_metadata_may_have_several_values(rules: Client, backend: Recording) -> None:
    await rules("GET", "/v1/one/x", headers={"Grpc-Metadata-A-Bin": "AAE=,-_8, Ag", "Grpc-Metadata-B-Bin": "AAE,*"})
    keys = [pair for pair in backend.calls[0].metadata if pair[0].endswith("-bin")]
    assert keys == [("a-bin", b"\x00\x01"), ("a-bin", b"\xfb\xff"), ("a-bin", b"\x02")]


async def test_metadata_become_headers_only_as_allowed(serve, backend: Recording) -> None:
    backend.handlers["One"] = lambda request: request
    backend.said = ResponseMetadata(
        (("watermark", "7"), ("secret", "s")), (("raw-bin", b"\x00\xff"), ("bad", "a\r\nb: c"))
    )
    rules = serve("rules.RulesService", response_metadata=frozenset({"Watermark", "raw-bin", "bad"}))
    headers = (await rules("GET", "/v1/one/x")).headers
    backend.refuse = RpcFailure(5, "gone", (), (("watermark", "8"),))
    assert (await rules("GET", "/v1/one/x")).headers["watermark"] == "8"
    assert (headers["watermark"], headers["raw-bin"], headers["bad"]) == ("7", "AP8=", "a  b: c")
    assert "secret" not in headers


async def test_request_ids(rules: Client) -> None:
    own = (await rules("GET", "/v1/one/x")).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", own)
    assert (await rules("GET", "/v1/one/x")).headers["x-request-id"] != own
    assert (await rules("GET", "/v1/one/x", headers={"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    for bad in ("a b", "x" * 129, "é"):
        assert (await rules("GET", "/v1/one/x", headers={"X-Request-Id": bad})).headers["x-request-id"] != bad
    assert (await rules("GET", "/nowhere", headers={"X-Request-Id": "mine-2"})).headers["x-request-id"] == "mine-2"


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("Grpc-Timeout", "5S", 5),
        ("Grpc-Timeout", "300m", 0.3),
        ("Grpc-Timeout", "2H", 7200),
        ("X-Server-Timeout", "1.5", 1.5),
    ],
)
async def test_deadlines(rules: Client, backend: Recording, header: str, value: str, seconds: float) -> None:
    now = time.monotonic()
    await rules("GET", "/v1/one/x", headers={header: value})
    deadline = backend.calls[0].deadline
    assert deadline is not None
    assert now + seconds <= deadline < now + seconds + 5


@pytest.mark.parametrize(
    ("header", "value"), [("Grpc-Timeout", "5"), ("Grpc-Timeout", "5s"), ("X-Server-Timeout", "soon")]
)
async def test_bad_deadlines(rules: Client, header: str, value: str) -> None:
    assert (await rules("GET", "/v1/one/x", headers={header: value})).status == 400


async def test_without_a_deadline(rules: Client, backend: Recording) -> None:
    await rules("GET", "/v1/one/x")
    assert backend.calls[0].deadline is None


async def test_a_client_that_leaves_cancels_the_call(serve, backend: Recording) -> None:
    async def forever(_request):
        await asyncio.sleep(10)

    backend.handlers["One"] = forever
    rules = serve("rules.RulesService", watch_after=0.02)
    answer = await rules("GET", "/v1/one/x", leave_after=0.05)
    assert answer.status == 0
    assert backend.cancelled == 1


async def test_a_client_that_leaves_in_the_middle_of_its_body(rules: Client, backend: Recording) -> None:
    sent = []
    events = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return events.pop(0)

    async def send(event):
        sent.append(event)

    headers = [(b"content-length", b"9"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/shelves/1/books/a:seal",
        "query_string": b"",
        "headers": headers,
    }
    await rules.app(scope, receive, send)
    assert not sent
    assert not backend.requests


async def test_a_cancel_from_outside_is_not_swallowed(serve, backend: Recording) -> None:
    async def forever(_request):
        await asyncio.sleep(10)

    backend.handlers["One"] = forever
    task = asyncio.create_task(serve("rules.RulesService")("GET", "/v1/one/x"))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nesting_is_bounded(serve, backend: Recording) -> None:
    backend.handlers["Seal"] = lambda request: request
    rules = serve("rules.RulesService", limits=Limits(depth=5))
    for depth, status in ((4, 200), (6, 400)):
        body = b'{"part":' + b'{"inner":' * (depth - 2) + b"{}" + b"}" * (depth - 1)
        assert (await rules("POST", "/v1/shelves/1/books/a:seal", body, headers=JSON)).status == status


async def test_what_depends_on_accept_says_so(serve, backend: Recording) -> None:
    backend.handlers["Get"] = lambda _: make("desk.GetResponse", ticket=make("desk.Ticket"))
    assert (await serve("desk.DeskService")("GET", "/desk/tickets/x")).headers["vary"] == "Accept"


async def test_bugs_are_not_told(rules: Client, backend: Recording, caplog) -> None:
    def bug(_request):
        raise ValueError("secret")

    backend.handlers["One"] = bug
    answer = await rules("GET", "/v1/one/x")
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INTERNAL", "domain": "jobyard.rest.v1"}
    assert (answer.status, answer.json) == (500, {"code": 13, "message": "internal error", "details": [info]})
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("code", "status"),
    list(enumerate((499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401), start=1)),
)
async def test_codes_have_their_usual_status(rules: Client, backend: Recording, code: int, status: int) -> None:
    backend.refuse = failure(code, "why")
    answer = await rules("GET", "/v1/one/x")
    assert answer.status == status
    assert answer.json == {"code": code, "message": "why"}


async def test_lifespan_and_web_sockets(rules: Client) -> None:
    sent = []
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        return events.pop(0)

    async def send(event):
        sent.append(event["type"])

    await rules.app({"type": "lifespan"}, receive, send)
    await rules.app({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
