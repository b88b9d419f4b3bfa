"""Protos that contradict themselves: refused when the server starts, in words that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobyard.rest.v1 import face_pb2
from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.router import RouteConflictError
from jobyard_server.transcoding.surface import DeclarationError, faces_of
from jobyard_server.transcoding.template import TemplateError
from support.asgi import Client
from support.recording import Recording
from support.trial import pool_of, service

HEAD = """
syntax = "proto3";
package odd;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "jobyard/rest/v1/annotations.proto";
message Request { string name = 1; repeated string tags = 2; Part part = 3; Kind kind = 4; int32 number = 5; }
message Part { string text = 1; google.protobuf.Timestamp when = 2; repeated Row rows = 3; double weight = 4; }
message Row { string href = 1; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_ONE = 1; }
"""


def face(text: str = "", *, name: str = "odd", prefix: str = "/odd") -> str:
    return f'option (jobyard.rest.v1.faces) = {{ name: "{name}" prefixes: "{prefix}" {text} }};\n'


def method(options: str, *, http: str = 'get: "/odd/{name}"', more: str = "") -> str:
    return (
        'service Odd { option (jobyard.rest.v1.face) = "odd";\n'
        f"rpc Do(Request) returns (Request) {{ option (google.api.http) = {{ {http} }}; {options} }} {more} }}\n"
    )


def answer(text: str) -> str:
    return method(f"option (jobyard.rest.v1.answer) = {{ {text} }};")


def streaming(options: str) -> str:
    return method(options).replace("returns (", "returns (stream ")


def twice(name: str, number: int) -> str:
    return f'string {name} = {number} [(jobyard.rest.v1.query) = {{ name: "x" }}];'


ANSWER = "option (jobyard.rest.v1.answer)"
BAD = {
    "unregistered face": (method(""), "odd.Odd names the face 'odd', which no file registers"),
    "face twice": (face() + face(prefix="/b") + method(""), "the face 'odd' is registered by odd.proto and odd.proto"),
    "no prefix": ('option (jobyard.rest.v1.faces) = { name: "odd" };' + method(""), "has no prefix"),
    "like nobody": (
        face('like: "none"') + method(""),
        "the face 'odd' is like 'none', which no file registers as a whole",
    ),
    "error message": (face('errors: { message: "odd.None" }') + method(""), "prints odd.None, which does not exist"),
    "error without parts": (face('errors: { message: "odd.Part" }') + method(""), "odd.Part says error_part"),
    "error text": (face('errors: { text: "a {b" }') + method(""), "a single '{' at column 3"),
    "row text": (face('rows: { reason: "X" text: "}" }') + method(""), "a single '}' at column 1"),
    "answer condition": (face() + answer('when: "state=1"'), "odd.Odd.Do: odd.Request has no field 'state'"),
    "answer enum": (face() + answer('when: "kind=TWO"'), "odd.Kind has no value TWO"),
    "answer number": (face() + answer('when: "number=many"'), "odd.Odd.Do: odd.Request.number is never 'many'"),
    "answer range": (face() + answer('when: "number=3000000000"'), "odd.Request.number is never '3000000000'"),
    "answer list": (face() + answer('when: "tags=a"'), "odd.Request.tags is repeated and is compared with nothing"),
    "answer status": (face() + answer("status: 99"), "odd.Odd.Do: the status of an answer is 99"),
    "answer too late": (
        face() + method(f"{ANSWER} = {{ status: 201 }}; {ANSWER} = {{ status: 202 when: 'number' }};"),
        "odd.Odd.Do: the answer after one without a condition is never given: status 202",
    ),
    "no answer": (
        face() + method(f"{ANSWER} = {{ when: 'number' }}; {ANSWER} = {{ when: '!number & name' }};"),
        "odd.Odd.Do: there is no answer for a response that fits none of the conditions",
    ),
    "answer of a stream": (
        face() + streaming(f"{ANSWER} = {{ status: 201 description: 'Done.' }};"),
        "odd.Odd.Do: an answer of a stream has no status",
    ),
    "stream of none": (
        face() + method('option (jobyard.rest.v1.stream) = { id: "name" };'),
        "odd.Odd.Do: stream says how a stream is written, and the method writes none",
    ),
    "answer body": (face() + answer('body: "part.none"'), "odd.Part has no field 'none'"),
    "answer body as text": (
        face() + answer('body: "part" media_type: "text/plain"'),
        "part cannot be printed as text/plain",
    ),
    "whole body as text": (face() + answer('media_type: "text/plain"'), "the whole response cannot be printed"),
    "location": (face() + answer('location: "/odd/{tags}"'), "odd.Request.tags is repeated and has no text"),
    "header": (
        face() + answer('headers: { name: "A" text: "{part}" }'),
        "odd.Request.part is a message and has no text",
    ),
    "tag": (face() + answer('etag: { field: "nope" }'), "has no field 'nope'"),
    "time": (face() + answer('last_modified: "part"'), "odd.Request.part is no time"),
    "time of a number": (face() + answer('last_modified: "number"'), "odd.Request.number is no time"),
    "parameter twice": (
        face()
        + method("", http='get: "/odd"').replace("(Request)", "(Twice)", 1)
        + f"message Twice {{ {twice('a', 1)} {twice('b', 2)} }}",
        "odd.Odd.Do: the fields a and b are both the query parameter 'x'",
    ),
    "no token": (
        face() + method("", http='custom { kind: "A B" path: "/odd" }'),
        "odd.Odd.Do: 'A B' is no verb of HTTP",
    ),
    "body of get": (
        face() + method("", http='get: "/odd/{name}" body: "nope"'),
        "odd.Odd.Do: the body is nope, which is not a field of odd.Request",
    ),
    "template": (face() + method("", http='get: "/odd/{name"'), "expected '}' at column 11"),
    "path field": (
        face() + method("", http='get: "/odd/{id}"'),
        "odd.Odd.Do, GET /odd/{id}: odd.Request has no field 'id'",
    ),
    "path list": (
        face() + method("", http='get: "/odd/{tags}"'),
        "tags is repeated and cannot be filled from the path",
    ),
    "path message": (face() + method("", http='get: "/odd/{part}"'), "part cannot be filled from the path"),
    "body field": (face() + method("", http='put: "/odd/{name}" body: "nope"'), "the body is nope, which"),
    "deep body": (
        face() + method("", http='put: "/odd/{name}" body: "part.text"'),
        "which is not a field of odd.Request",
    ),
    "no verb": (face() + method("", http='body: "*"'), "a rule has no verb"),
    "sets": (
        face() + method('option (jobyard.rest.v1.produces) = { media_type: "a/b" sets: "kind=TWO" };'),
        "odd.Kind has no value TWO",
    ),
    "link without rows": (
        face() + method('option (jobyard.rest.v1.page_link) = { rel: "self" };'),
        "odd.Request has no list whose items say link_part",
    ),
    "link into nothing": (
        face() + method('option (jobyard.rest.v1.page_link) = { into: "next" };'),
        "odd.Request prints no member next",
    ),
    "reprint": (
        face()
        + method('option (jobyard.rest.v1.page_link) = { into: "name" reprint: { set: { key: "nope" value: "1" } } };'),
        "odd.Request has no field 'nope'",
    ),
    "conflict": (
        face()
        + method(
            "", more='rpc Redo(Request) returns (Request) { option (google.api.http) = { get: "/odd/{number}" }; }'
        ),
        "odd.Odd.Redo and odd.Odd.Do both answer GET /odd/",
    ),
    "header of a message": (
        face() + method("").replace("Request)", "Wrong)", 1) + "message Wrong { string name = 1; Part part = 2 "
        '[(jobyard.rest.v1.header).name = "X"]; }',
        "odd.Wrong.part cannot be filled from a header",
    ),
    "list in header and body": (
        face() + method("").replace("Request)", "Wrong)", 1) + "message Wrong { string name = 1; "
        'repeated string many = 2 [(jobyard.rest.v1.header) = {name: "X" in_body: true}]; }',
        "odd.Wrong.many is repeated, so header and body would both add to it",
    ),
    "missing first": (
        face() + method("option (jobyard.rest.v1.consumes) = { missing_first: true };", http='put: "/odd/{name}"'),
        "odd.Odd.Do: missing_first needs a method that serves GET /odd/{name}",
    ),
    "two meanings": (
        face()
        + method("")
        + "enum AReason { A_REASON_UNSPECIFIED = 0; A_REASON_GONE = 1 [(jobyard.rest.v1.reason) = {code: NOT_FOUND}]; }"
        + "enum BReason { B_REASON_UNSPECIFIED = 0; B_REASON_GONE = 1 [(jobyard.rest.v1.reason) = {code: ABORTED}]; }",
        "the reason GONE means one thing in odd.AReason, another in odd.BReason",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_contradictions_are_refused_at_the_start(case: str, backend: Recording, tmp_path: Path) -> None:
    source, message = BAD[case]
    file = pool_of("odd.proto", HEAD + source, tmp_path)
    with pytest.raises((DeclarationError, TemplateError, RouteConflictError)) as caught:
        Transcoder(file.services_by_name.values(), backend)
    assert message in str(caught.value)


def test_two_faces_cannot_own_one_prefix(backend: Recording, tmp_path: Path) -> None:
    more = 'service Other { option (jobyard.rest.v1.face) = "other"; rpc Do(Request) returns (Request); }'
    file = pool_of("odd.proto", HEAD + face() + face(name="other") + method("") + more, tmp_path)
    with pytest.raises(DeclarationError, match="'odd' and 'other' both own /odd"):
        Transcoder(file.services_by_name.values(), backend)


def test_a_face_may_be_registered_elsewhere(backend: Recording, tmp_path: Path) -> None:
    own = pool_of("odd.proto", HEAD + method(""), tmp_path)
    faces = pool_of("faces.proto", HEAD + face(), tmp_path)
    plan = Transcoder(own.services_by_name.values(), backend, files=[faces]).plan
    assert [face.name for face in plan.surface.faces] == ["odd"]


def test_a_face_is_like_another(tmp_path: Path) -> None:
    other = face('title: "Old" head: true headers: { name: "A" text: "1" } rows: { reason: "X" text: "a" }')
    own = face('like: "odd" naming: NAMING_PROTO rows: { reason: "X" text: "b" }', name="even", prefix="/even")
    faces = faces_of([pool_of("odd.proto", HEAD + own + other, tmp_path)])
    even = faces["even"]
    assert (even.head, even.naming, even.title) == (True, face_pb2.NAMING_PROTO, "")
    assert (list(even.prefixes), [each.name for each in even.headers]) == (["/even"], ["A"])
    assert [row.text for row in even.rows] == ["b", "a"]


GOOD = {
    "both sides": "{ when: '!number' }; ANSWER = { when: 'name' }; ANSWER = { when: '!name & number' }",
    "one value and the others": "{ when: 'kind=ONE' }; ANSWER = { when: 'kind!=ONE' }",
    "two profiles": "{ profile: 'a' status: 201 }; ANSWER = { profile: '!a' status: 202 }",
    "a real number": "{ when: 'part.weight=1' }; ANSWER = {}",
}


@pytest.mark.parametrize("case", GOOD)
def test_answers_that_leave_nothing_out_are_sound(case: str, backend: Recording, tmp_path: Path) -> None:
    source = HEAD + face() + method(f"{ANSWER} = {GOOD[case].replace('ANSWER', ANSWER)};")
    file = pool_of("odd.proto", source, tmp_path)
    assert Transcoder(file.services_by_name.values(), backend).plan.operations


@pytest.mark.parametrize("name", ["rules.RulesService", "orders.OrderService", "desk.DeskService", "feed.FeedService"])
def test_the_trial_apis_are_sound(name: str, backend: Recording) -> None:
    assert Transcoder([service(name)], backend).plan.operations


async def test_answers_without_a_body_of_their_own_have_that_of_the_route(backend: Recording, tmp_path: Path) -> None:
    answers = 'option (jobyard.rest.v1.answer) = { status: 201 when: "number=1" body: "part" };'
    answers += "option (jobyard.rest.v1.answer) = { status: 202 };"
    http = 'put: "/odd/{name}" body: "*" response_body: "tags"'
    file = pool_of("odd.proto", HEAD + face() + method(answers, http=http), tmp_path)
    backend.handlers["Do"] = lambda request: request
    client = Client(Transcoder(file.services_by_name.values(), backend))
    answer = await client("PUT", "/odd/n", {"tags": ["a"]})
    assert (answer.status, answer.json) == (202, ["a"])
    answer = await client("PUT", "/odd/n", {"part": {"text": "x"}, "number": 1})
    assert (answer.status, answer.json) == (201, {"text": "x"})
