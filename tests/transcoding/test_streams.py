"""Streams of responses: the framing that the client chose, errors early and late, silence, and clients that leave."""

from __future__ import annotations

import asyncio
import json

import pytest
from google.api import httpbody_pb2

from jobyard_server.transcoding.limits import Limits
from support.asgi import Client
from support.recording import Recording, failure
from support.trial import make

SSE = {"Accept": "text/event-stream"}


@pytest.fixture
def feed(serve, backend: Recording) -> Client:
    return serve("feed.FeedService", watch_after=0.01)


def event(number: int):
    inner = make("feed.Event", kind="note", text=f"n\n{number}", free=b'{"a":\n1.0}')
    return make("feed.WatchResponse", event=inner, token=f"t{number}")


def watching(backend: Recording, count: int, *, then=None, pause: float = 0.0) -> None:
    async def watch(_request):
        for number in range(count):
            yield event(number)
            await asyncio.sleep(pause)
        if then is not None:
            raise then

    backend.handlers["Watch"] = watch


DOCUMENT = '{"kind":"note","text":"n\\n%d","free":{"a": 1.0}}'


@pytest.mark.parametrize("accept", ["", "*/*", "application/x-ndjson", "application/jsonl", "text/html, */*;q=0.1"])
async def test_lines(feed: Client, backend: Recording, accept: str) -> None:
    watching(backend, 2)
    answer = await feed("GET", "/feed/a", headers={"Accept": accept} if accept else None)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == "".join(DOCUMENT % number + "\n" for number in range(2))
    assert "content-length" not in answer.headers


async def test_server_sent_events(feed: Client, backend: Recording) -> None:
    watching(backend, 2)
    answer = await feed("GET", "/feed/a", headers=SSE | {"Last-Event-ID": "t9"})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == "retry: 1500\n\n" + "".join(
        f"id: t{number}\nevent: note\ndata: {DOCUMENT % number}\n\n" for number in range(2)
    )
    assert backend.request.after == "t9"


async def test_an_array(feed: Client, backend: Recording) -> None:
    for count in (0, 1, 3):
        watching(backend, count)
        answer = await feed("GET", "/feed/a", headers={"Accept": "application/json"})
        assert [each["text"] for each in answer.json] == [f"n\n{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("field", "values", "printed"),
    [("token", ["l1\nl2", "7", ""], ['"l1\\nl2"', '"7"', '""']), ("position", [0, 7], ['"0"', '"7"'])],
)
async def test_single_values_are_json_however_they_are_framed(
    feed: Client, backend: Recording, field: str, values: list[object], printed: list[str]
) -> None:
    async def tokens(_request):
        for value in values:
            yield make("feed.WatchResponse", **{field: value})

    backend.handlers["Tokens"] = tokens
    assert (await feed("GET", f"/feed/a/{field}s")).text.splitlines() == printed
    assert (await feed("GET", f"/feed/a/{field}s", headers=SSE)).text == "".join(
        f"data: {each}\n\n" for each in printed
    )


async def test_nothing_else_is_acceptable(feed: Client, backend: Recording) -> None:
    answer = await feed("GET", "/feed/a", headers={"Accept": "text/html"})
    assert answer.status == 406
    assert "application/x-ndjson, text/event-stream, application/json" in answer.json["message"]
    assert not backend.requests


async def test_an_empty_stream(feed: Client, backend: Recording) -> None:
    watching(backend, 0)
    assert (await feed("GET", "/feed/a")).body == b""
    assert (await feed("GET", "/feed/a", headers=SSE)).body == b"retry: 1500\n\n"


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream", "application/json"])
async def test_an_early_failure_has_its_own_status(feed: Client, backend: Recording, accept: str) -> None:
    watching(backend, 0, then=failure(5, "no such topic"))
    answer = await feed("GET", "/feed/a", headers={"Accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json == {"status": 404, "message": "no such topic"}


async def test_a_late_failure_is_the_last_record(feed: Client, backend: Recording) -> None:
    expected = {"status": 503, "message": "gone"}
    watching(backend, 1, then=failure(14, "gone"))
    lines = await feed("GET", "/feed/a")
    assert json.loads(lines.text.splitlines()[-1]) == {"error": expected}
    array = await feed("GET", "/feed/a", headers={"Accept": "application/json"})
    assert array.json[-1] == {"error": expected}
    events = await feed("GET", "/feed/a", headers=SSE)
    assert events.text.endswith(f"event: error\ndata: {json.dumps(expected, separators=(',', ':'))}\n\n")


async def test_a_late_bug_is_told_without_its_text(feed: Client, backend: Recording, caplog) -> None:
    watching(backend, 1, then=ValueError("secret"))
    answer = await feed("GET", "/feed/a")
    error = json.loads(answer.text.splitlines()[-1])["error"]
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INTERNAL", "domain": "jobyard.rest.v1"}
    assert error == {"status": 500, "message": "internal error", "details": [info]}
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_silence_is_filled_with_comments(feed: Client, backend: Recording) -> None:
    watching(backend, 2, pause=0.13)
    answer = await feed("GET", "/feed/a", headers=SSE)
    assert answer.text.count(": keep-alive\n\n") >= 2
    assert answer.text.count("data: ") == 2


@pytest.mark.parametrize("headers", [None, SSE])
async def test_a_client_that_leaves_ends_the_stream(feed: Client, backend: Recording, headers) -> None:
    watching(backend, 10_000, pause=0.01)
    await feed("GET", "/feed/a", headers=headers, leave_after=0.05)
    assert backend.cancelled == 1


async def test_head_of_a_stream(feed: Client, backend: Recording) -> None:
    watching(backend, 3)
    answer = await feed("HEAD", "/feed/a")
    assert (answer.status, answer.body) == (200, b"")


@pytest.fixture
def quiet(serve) -> Client:
    return serve("feed.FeedService", watch_after=0.01, head_after=0.02)


def silent(backend: Recording, *, then=None) -> None:
    async def watch(_request):
        if then is None:
            await asyncio.Event().wait()
        await asyncio.sleep(0.06)
        raise then
        yield event(0)

    backend.handlers["Watch"] = watch


@pytest.mark.parametrize(
    ("accept", "begin"),
    [
        ("application/x-ndjson", b""),
        ("text/event-stream", b"retry: 1500\n\n: keep-alive\n\n: keep-alive\n\n"),
        ("application/json", b"["),
    ],
)
async def test_a_quiet_stream_has_its_head_before_its_first_message(
    quiet: Client, backend: Recording, accept: str, begin: bytes
) -> None:
    silent(backend)
    answer = await quiet("GET", "/feed/a", headers={"Accept": accept}, leave_at=begin)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, accept, begin)
    assert backend.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("application/x-ndjson", '{"error":%s}\n'),
        ("text/event-stream", "retry: 1500\n\n: keep-alive\n\nevent: error\ndata: %s\n\n"),
        ("application/json", '[{"error":%s}]'),
    ],
)
async def test_what_fails_after_the_head_is_told_in_the_stream(
    quiet: Client, backend: Recording, accept: str, told: str
) -> None:
    silent(backend, then=failure(5, "no such topic"))
    answer = await quiet("GET", "/feed/a", headers={"Accept": accept})
    assert (answer.status, answer.text) == (200, told % '{"status":404,"message":"no such topic"}')


async def test_a_request_is_read_before_the_wait_for_the_head(quiet: Client, backend: Recording) -> None:
    answered = backend.stream

    async def admitted_slowly(call, decode):
        await asyncio.sleep(0.06)
        async for message in answered(call, decode):
            yield message

    backend.stream = admitted_slowly
    assert (await quiet("GET", "/feed/a?nope=1")).status == 400
    backend.refuse = failure(16, "who are you?")
    assert (await quiet("GET", "/feed/a")).status == 401


async def test_nothing_is_lost_when_a_message_comes_as_the_wait_ends(serve, backend: Recording) -> None:
    async def watch(request):
        await asyncio.sleep(int(request.after) / 20_000)
        for number in range(3):
            yield event(number)
            await asyncio.sleep(0)

    backend.handlers["Watch"] = watch
    brisk = serve("feed.FeedService", head_after=0.001)
    for accept in ("application/x-ndjson", "text/event-stream"):
        answers = await asyncio.gather(
            *(brisk("GET", "/feed/a", headers={"Accept": accept, "Last-Event-ID": str(wait)}) for wait in range(40))
        )
        for answer in answers:
            assert [number for number in range(3) if DOCUMENT % number in answer.text] == [0, 1, 2]
            assert answer.text.count("retry: ") == (accept == "text/event-stream")


async def test_head_of_a_quiet_stream(quiet: Client, backend: Recording) -> None:
    silent(backend)
    answer = await quiet("HEAD", "/feed/a", headers=SSE)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "text/event-stream")
    assert backend.cancelled == 1
    silent(backend, then=failure(5, "no such topic"))
    assert (await quiet("HEAD", "/feed/a?nope=1")).status == 400


async def test_exact_bytes_wait_for_what_they_are(quiet: Client, backend: Recording) -> None:
    async def sheets(_request):
        await asyncio.sleep(0.06)
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"1\n")

    backend.handlers["Sheets"] = sheets
    answer = await quiet("GET", "/feed/news/sheets", headers={"Accept": "text/plain"})
    assert (answer.body, answer.headers["content-type"]) == (b"1\n", "text/csv")


async def test_streams_in_with_the_body_in_a_field(feed: Client, backend: Recording) -> None:
    backend.handlers["Send"] = lambda requests: make("feed.SendResponse", count=len(requests))
    answer = await feed(
        "POST", "/feed/a:send", b'[{"text":"x","free":1.50},{"text":"y"}]', headers={"Content-Type": "application/json"}
    )
    assert answer.json == {"count": 2}
    assert [(each.topic, each.event.text, each.event.free) for each in backend.requests] == [
        ("a", "x", b"1.50"),
        ("a", "y", b""),
    ]
    backend.requests.clear()
    empty = await feed("POST", "/feed/a:send")
    assert empty.json == {}


LINES = {"Content-Type": "application/x-ndjson"}
ARRAY = {"Content-Type": "application/json"}


def sized(size: int) -> bytes:
    frame = b'{"text":""}'
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


@pytest.mark.parametrize(
    ("pieces", "headers", "refused"),
    [
        ([sized(64) + b"\n" + sized(64)], LINES, ""),
        ([b"\n\n", sized(64) + b"\n"], LINES, ""),
        ([b"[" + sized(64) + b", " + sized(64) + b"]"], ARRAY, ""),
        ([sized(65)], LINES, "line 1"),
        ([sized(65) + b"\n"], LINES, "line 1"),
        ([b"\n" + sized(64) + b"\n" + sized(65) + b"\n" + sized(64)], LINES, "line 3"),
        ([sized(64), b"\n", sized(60)[:-2], b"xxxxxxx"], LINES, "line 2"),
        ([b"[" + sized(64) + b"," + sized(65) + b"]"], ARRAY, "[1]"),
    ],
)
async def test_each_streamed_message_is_bounded_however_it_comes(
    serve, backend: Recording, pieces: list[bytes], headers: dict[str, str], refused: str
) -> None:
    backend.handlers["Send"] = lambda requests: make("feed.SendResponse", count=len(requests))
    strict = serve("feed.FeedService", limits=Limits(line_bytes=64))
    answer = await strict("POST", "/feed/a:send", headers=headers, pieces=pieces)
    assert answer.status == (413 if refused else 200), answer.text
    assert not refused or answer.json["message"] == f"{refused} is larger than 64 bytes"


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (b'{"text":"x"}\n\n{"text":7}\n', LINES, "line 3: text: must be text, not a number"),
        (b'{"text":"x"}\n[]', LINES, "line 2: the body must be an object, not a list"),
        (b'[{"text":"x"},{"text":7}]', ARRAY, "[1]: text: must be text, not a number"),
    ],
)
async def test_errors_name_the_streamed_message(feed: Client, body: bytes, headers: dict[str, str], told: str) -> None:
    answer = await feed("POST", "/feed/a:send", body, headers=headers)
    assert (answer.status, answer.json["message"]) == (400, told)
    fields = [each["field"] for detail in answer.json["details"] for each in detail.get("fieldViolations", [])]
    assert fields == (["[1].text"] if "text" in told else [])


async def test_streams_both_ways_with_a_late_refusal(feed: Client, backend: Recording) -> None:
    backend.handlers["Talk"] = lambda request: make("feed.WatchResponse", event=request.event)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await feed("POST", "/feed/a:talk", pieces=[b'{"kind":"1","text":"x"}\n', b"rubbish\n"], headers=headers)
    lines = answer.text.splitlines()
    assert json.loads(lines[0])["event"] == {"kind": "1", "text": "x"}
    assert json.loads(lines[1])["error"]["status"] == 400


async def test_exact_bytes_that_do_not_say_what_they_are_are_what_the_method_writes(
    feed: Client, backend: Recording
) -> None:
    async def sheets(_request):
        yield httpbody_pb2.HttpBody(data=b"1\n")

    backend.handlers["Sheets"] = sheets
    answer = await feed("GET", "/feed/news/sheets", headers={"Accept": "text/plain"})
    assert (answer.body, answer.headers["content-type"]) == (b"1\n", "text/plain")
    assert answer.headers["content-security-policy"].startswith("sandbox; ")
    assert (await feed("GET", "/feed/news/sheets", headers={"Accept": "image/png"})).status == 406


def lifted(backend: Recording) -> tuple[str, str, str, bytes]:
    first = backend.requests[0]
    return first.topic, first.mark, first.content.content_type, b"".join(one.content.data for one in backend.requests)


async def test_bytes_stream_in_as_they_come(feed: Client, backend: Recording) -> None:
    backend.handlers["Lift"] = lambda requests: make("feed.SendResponse", count=len(requests))
    plain = {"Content-Type": "text/plain; charset=x"}
    answer = await feed("POST", "/feed/a%2Fb/freight?mark=m", headers=plain, pieces=[b"\n[1,", b" 2]\r\n", b"\xff"])
    assert answer.json == {"count": 3}
    assert lifted(backend) == ("a/b", "m", "text/plain; charset=x", b"\n[1, 2]\r\n\xff")
    assert [(one.topic, one.mark) for one in backend.requests[1:]] == [("", ""), ("", "")]


async def test_no_bytes_stream_in_as_one_message(feed: Client, backend: Recording) -> None:
    backend.handlers["Lift"] = lambda requests: make("feed.SendResponse", count=len(requests))
    assert (await feed("POST", "/feed/a/freight?mark=m")).json == {"count": 1}
    assert lifted(backend) == ("a", "m", "", b"")


async def test_bytes_that_stream_in_are_bounded(feed: Client, backend: Recording) -> None:
    backend.handlers["Lift"] = lambda requests: make("feed.SendResponse", count=len(requests))
    pieces = [b"x" * 2048, b"x" * 2048, b"x"]
    answer = await feed("POST", "/feed/a/freight", headers={"Content-Type": "text/plain"}, pieces=pieces)
    assert answer.status == 413
    assert (await feed("POST", "/feed/a/freight", b"x", headers={"Content-Type": "image/png"})).status == 415
