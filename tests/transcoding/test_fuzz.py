"""Any request at all: the answer is never a 5xx and never slow. JOBYARD_FUZZ_EXAMPLES makes it as long as one likes."""

from __future__ import annotations

import asyncio
import json
import os
import time

from google.protobuf import message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.backend import NO_METADATA
from support.asgi import Answer, Client
from support.trial import service

EXAMPLES = int(os.environ.get("JOBYARD_FUZZ_EXAMPLES", "1500"))
NAMES = (
    "rules.RulesService",
    "orders.OrderService",
    "board.BoardService",
    "board.NoticeService",
    "cron.CronService",
    "desk.DeskService",
    "feed.FeedService",
)
RESPONSES = {
    f"/{method.containing_service.full_name}/{method.name}": message_factory.GetMessageClass(method.output_type)
    for name in NAMES
    for method in service(name).methods
}


class Agreeable:
    """Decodes every request and answers with an empty message."""

    async def unary(self, call, decode):
        decode()
        return RESPONSES[call.method](), NO_METADATA

    async def stream(self, call, decode):
        decode()
        yield RESPONSES[call.method]()

    async def client_stream(self, call, requests):
        async for _ in requests:
            pass
        return RESPONSES[call.method](), NO_METADATA

    async def duplex(self, call, requests):
        async for _ in requests:
            yield RESPONSES[call.method]()


APP = Transcoder([service(name) for name in NAMES], Agreeable())
PATHS = sorted({operation.route.template.text for operation in APP.plan.operations})
FIELDS = sorted(
    {
        name
        for operation in APP.plan.operations
        for field in operation.spec.request.fields
        for name in (field.name, field.json_name)
    }
)

segment = st.one_of(
    st.sampled_from(["x", "a%2Fb", "%C3%A9", "%zz", "%ff", "", "..", "@selection", "a:b", "x:seal"]),
    st.text("ab/:%.*{}", max_size=6),
)
value = st.one_of(
    st.text("a0+-.:%&=,[]{}\"'é \0", max_size=12),
    st.sampled_from(["true", "1", "-1", "1e999", "NaN", "2026-01-15T11:00:30Z", "%ff", "%", "{}", "[[[["]),
)
json_tree = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=12,
)
body = st.one_of(
    st.none(),
    st.binary(max_size=40),
    json_tree.map(lambda tree: json.dumps(tree).encode()),
    st.text('{}[]":,a1\\u d8', max_size=40).map(str.encode),
    st.just(b"[" * 5000),
    st.just(b'{"part":' * 300 + b"1" + b"}" * 300),
)
MEDIA = [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/x-ndjson",
    "",
    ";",
    "*/*",
    "application/vnd.desk.ticket+json",
]
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(MEDIA),
        "Accept": st.one_of(
            st.sampled_from([*MEDIA, "text/event-stream", "a/b;q=x, */*;q=nan"]), st.text("a/*;q=.0,", max_size=20)
        ),
        "If-Match": st.text('"W/a, *', max_size=12),
        "If-None-Match": st.text('"W/a, *', max_size=12),
        "If-Unmodified-Since": st.text("Thu, 07 Apr 2022 20:00:03 GMT", max_size=30),
        "If-Modified-Since": st.text("Thu, 07 Apr 2022 20:00:03 GMT", max_size=30),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "identity", "br", ""]),
        "Accept-Encoding": st.text("gzip;q=01., ", max_size=16),
        "Grpc-Timeout": st.text("0159HMSmun", max_size=9),
        "Last-Event-ID": st.text("abc", max_size=5),
        "Host": st.text("ab:.0[]/", max_size=9),
        "X-Auth-Token": st.text("ab ", max_size=9),
    },
)
query = st.lists(st.tuples(st.one_of(st.sampled_from(FIELDS), st.text("a.[]%=", max_size=6)), value), max_size=5).map(
    lambda pairs: "&".join(f"{name}={text}" for name, text in pairs)
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Fill a template with odd values, or make something up."""
    template = draw(st.sampled_from(PATHS))
    filled = "/".join(draw(segment) if set("{*") & set(part) else part for part in template.split("/"))
    return draw(st.sampled_from([filled, filled, filled + "/", filled + ".json", "/" + draw(segment)]))


async def ask(verb: str, url: str, content: bytes | None, lines: dict[str, str]) -> Answer:
    return await Client(APP)(verb, url, content, headers=lines)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "MOVE"]), paths(), query, body, headers
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_is_our_fault(
    verb: str, path: str, asked: str, content: bytes | None, lines: dict[str, str]
) -> None:
    url = (path + (f"?{asked}" if asked else "")).encode("ascii", "ignore").decode()
    if not url.startswith("/"):
        url = "/" + url
    answer = asyncio.run(ask(verb, url, content, lines))
    assert 200 <= answer.status < 500, answer.text


def cost(url: str, content: bytes, media_type: str = "application/json") -> float:
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        answer = asyncio.run(ask("POST", url, content, {"Content-Type": media_type}))
        best = min(best, time.process_time() - began)
        assert answer.status < 500
    return best


def test_time_grows_with_the_length_and_not_with_its_square() -> None:
    """Sixteen times the input may cost thirty times as much, never two hundred and fifty."""
    shapes = {
        "many members": lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n)) + b"}",
        "many tags": lambda n: b'{"tags":[' + b",".join([b'"x"'] * n) + b"]}",
        "one long text": lambda n: b'{"name":"' + b"\\u0041" * n + b'"}',
        "map entries": lambda n: b'{"labels":{' + b",".join(b'"k%d":"v"' % i for i in range(n)) + b"}}",
        "same member": lambda n: b"{" + b",".join([b'"name":"x"'] * n) + b"}",
    }
    for name, make in shapes.items():
        small, large = cost("/v1/shelves/1/books/a:seal", make(2_000)), cost("/v1/shelves/1/books/a:seal", make(32_000))
        assert large < 60 * small + 0.05, name
    lines = cost("/v1/count/me", b'{"name":"x"}\n' * 1_000, "application/x-ndjson")
    more = cost("/v1/count/me", b'{"name":"x"}\n' * 16_000, "application/x-ndjson")
    assert more < 60 * lines + 0.05
    parts = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"\r\n--" * 100_000 + b"\r\n--b--"
    assert cost("/cron/v1/functions", parts, "multipart/form-data; boundary=b") < 1
