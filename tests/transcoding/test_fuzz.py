"""Any request at all: the answer is never a 5xx and never slow. JOBYARD_FUZZ_EXAMPLES makes it as long as one likes."""

from __future__ import annotations

import asyncio
import json
import os
from functools import cache

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.backend import NO_METADATA
from jobyard_server.transcoding.codec import Dialect
from jobyard_server.transcoding.codec.declared import is_map, shape_of
from jobyard_server.transcoding.operation import Operation
from support.asgi import Answer, Client
from support.costs import least_cost
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
    "relay.RelayService",
)
RESPONSES = {
    f"/{method.containing_service.full_name}/{method.name}": message_factory.GetMessageClass(method.output_type)
    for name in NAMES
    for method in service(name).methods
}


def answer_to(method: str, request: Message) -> Message:
    """Say what was asked, where that can be said: whatever can be read can be printed."""
    response = RESPONSES[method]
    return request if isinstance(request, response) else response()


class Agreeable:
    """Decodes every request and answers it."""

    async def unary(self, call, decode):
        return answer_to(call.method, await decode()), NO_METADATA

    async def stream(self, call, decode):
        yield answer_to(call.method, await decode())

    async def client_stream(self, call, requests):
        async for _ in requests:
            pass
        return RESPONSES[call.method](), NO_METADATA

    async def duplex(self, call, requests):
        async for request in requests:
            yield answer_to(call.method, request)


APP = Transcoder([service(name) for name in NAMES], Agreeable())
OPERATIONS = APP.plan.operations
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "MOVE")
FIELDS = sorted(
    {
        name
        for operation in APP.plan.operations
        for field in operation.spec.request.fields
        for name in (field.name, field.json_name)
    }
)

usual_segment = st.sampled_from(["x", "7", "a%2Fb", "%C3%A9", "a:b"])
segment = st.one_of(
    st.sampled_from(["x", "a%2Fb", "%C3%A9", "%zz", "%ff", "", "..", "@selection", "a:b", "x:seal"]),
    st.text("ab/:%.*{}", max_size=6),
)
value = st.one_of(
    st.text("a0+-.:%&=,[]{}\"'é \0", max_size=12),
    st.sampled_from(["true", "1", "-1", "1e999", "NaN", "2026-01-15T11:00:30Z", "%ff", "%", "{}", "[[[[", "[NaN]"]),
)
json_tree = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=12,
)
odd_body = st.one_of(
    st.none(),
    st.binary(max_size=40),
    json_tree.map(lambda tree: json.dumps(tree).encode()),
    st.text('{}[]":,a1\\u d8', max_size=40).map(str.encode),
    st.just(b"[" * 5000),
    st.just(b'{"part":' * 300 + b"1" + b"}" * 300),
)
odd = st.one_of(
    json_tree, st.sampled_from(["", "2026-01-15T11:00:30Z", "1.5s", "AA==", "running", 2**70, -1, 1.5, "1e2"])
)


def fitting(message: Descriptor, dialect: Dialect, depth: int = 0) -> st.SearchStrategy[object]:
    """Make objects that mostly fit a message, with something odd in some members."""
    members = {
        name: fitting_member(member.field, dialect, depth)
        for member in shape_of(message, dialect).members
        for name in member.spellings
    }
    return st.fixed_dictionaries({}, optional=members) if members else st.just({})


def fitting_member(field: FieldDescriptor, dialect: Dialect, depth: int) -> st.SearchStrategy[object]:
    if is_map(field):
        return st.one_of(st.dictionaries(st.text("ab1", max_size=3), odd, max_size=3), odd)
    one: st.SearchStrategy[object] = odd
    if field.message_type is not None and not field.message_type.full_name.startswith("google.") and depth < 3:
        one = fitting(field.message_type, dialect, depth + 1)
    elif field.cpp_type in {field.CPPTYPE_STRING, field.CPPTYPE_ENUM}:
        one = st.one_of(st.text(max_size=5), st.text(max_size=5), odd)
    elif field.message_type is None:
        one = st.one_of(st.integers(-5, 5), st.booleans(), odd)
    return st.lists(one, max_size=3) if field.is_repeated else one


@cache
def body_of(operation: Operation) -> st.SearchStrategy[bytes | None]:
    """Make bodies for an operation."""
    field = operation.spec.request.fields_by_name.get(operation.route.body)
    dialect = operation.plan.dialect
    if operation.route.body == "*":
        tree = fitting(operation.spec.request, dialect)
    elif field is not None:
        tree = fitting_member(field, dialect, 0)
    else:
        return odd_body
    return st.one_of(tree.map(lambda each: json.dumps(each).encode()), odd_body)


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


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Take a route and bend it: mostly its own verb, path and parameters, with something odd somewhere."""
    operation = draw(st.sampled_from(OPERATIONS))
    usual = draw(st.integers(0, 9)) < 8
    verb = operation.route.verb if usual else draw(st.sampled_from(VERBS))
    template = operation.route.template
    parts = [
        each.text if not each.wildcard else draw(usual_segment if usual else segment) for each in template.segments
    ]
    path = "/" + "/".join(parts) + (f":{template.verb}" if template.verb else "")
    if not usual:
        path = draw(st.sampled_from([path, path + "/", path + ".json", "/" + draw(segment)]))
    fields = sorted({name for each in operation.spec.request.fields for name in (each.name, each.json_name)})
    names = st.one_of(st.sampled_from([*fields, *FIELDS]), st.text("a.[]%=", max_size=6))
    pairs = draw(st.lists(st.tuples(names, value), max_size=3 if usual else 6))
    asked = "&".join(f"{name}={text}" for name, text in pairs)
    lines = draw(headers)
    types = [kind for kind, _ in operation.intake.types]
    if usual and types:
        lines["Content-Type"] = draw(st.sampled_from([*types, "application/json"]))
        lines.pop("Content-Encoding", None)
    if usual:
        lines.pop("Accept", None)
        lines.pop("Grpc-Timeout", None)
    url = (path + (f"?{asked}" if asked else "")).encode("ascii", "ignore").decode()
    return verb, url if url.startswith("/") else f"/{url}", draw(body_of(operation)), lines


async def ask(verb: str, url: str, content: bytes | None, lines: dict[str, str]) -> Answer:
    return await Client(APP)(verb, url, content, headers=lines)


@given(requests())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_is_our_fault(request: tuple[str, str, bytes | None, dict[str, str]]) -> None:
    answer = asyncio.run(ask(*request))
    assert 200 <= answer.status < 500, answer.text


def cost(url: str, content: bytes, media_type: str = "application/json") -> float:
    def send() -> None:
        answer = asyncio.run(ask("POST", url, content, {"Content-Type": media_type}))
        assert answer.status < 500

    return least_cost(send)


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
    assert cost("/cron/v1/functions", parts, "multipart/form-data; boundary=b") < 5
