"""What is bound from path, query and forms is what a body may say: no more, in one way, and from one place."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FileDescriptor

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.limits import Limits
from jobyard_server.transcoding.settings import Settings
from support.asgi import Client
from support.recording import Recording
from support.trial import pool_of

SOURCE = """
syntax = "proto3";
package bind.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "jobyard/rest/v1/annotations.proto";

service Binding {
  rpc Echo(All) returns (All) {
    option (google.api.http) = {
      get: "/echo"
      additional_bindings: {get: "/whole/{whole}"}
      additional_bindings: {get: "/when/{time}"}
      additional_bindings: {get: "/single/{single}"}
      additional_bindings: {get: "/nested/{part.text}"}
      additional_bindings: {get: "/one/{one}"}
      additional_bindings: {get: "/inner/{part.one}"}
      additional_bindings: {post: "/one", body: "one"}
      additional_bindings: {post: "/all", body: "*"}
      additional_bindings: {patch: "/part", body: "part"}
    };
  }
  rpc Form(All) returns (All) {
    option (google.api.http) = {post: "/part", body: "part"};
    option (jobyard.rest.v1.consumes) = {
      media_types: "application/json"
      media_types: "application/x-www-form-urlencoded"
    };
  }
}

message Part {
  string text = 1;
  google.protobuf.Struct free = 2;
  oneof choice {
    string one = 3;
    int32 two = 4;
  }
  string changed = 5 [(jobyard.rest.v1.json).on_input = ON_INPUT_IGNORE];
  string version = 6 [(jobyard.rest.v1.header).name = "X-Version"];
  Part part = 7;
}

message All {
  int32 whole = 1;
  double real = 2;
  float single = 3;
  bytes data = 4;
  map<int32, int32> counts = 5;
  google.protobuf.Timestamp time = 6;
  google.protobuf.Duration wait = 7;
  google.protobuf.FieldMask mask = 8;
  google.protobuf.Struct free = 9;
  google.protobuf.Value value = 10;
  google.protobuf.ListValue list = 11;
  google.protobuf.Any any = 12;
  google.protobuf.Int64Value large = 13;
  Part part = 14;
  oneof choice {
    string one = 15;
    int32 two = 16;
  }
  bytes raw = 17 [(jobyard.rest.v1.json).raw = RAW_OBJECT];
  optional string note = 18 [(jobyard.rest.v1.query) = {also: "nota" blank: BLANK_UNSET}];
  map<string, int32> kept = 19 [(jobyard.rest.v1.query).blank = BLANK_KEEP];
  int32 lenient = 20 [(jobyard.rest.v1.query).lenient = true];
}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptor:
    return pool_of("binding.proto", SOURCE, tmp_path_factory.mktemp("binding"))


@pytest.fixture
def client(file: FileDescriptor, backend: Recording) -> Client:
    backend.handlers["Echo"] = backend.handlers["Form"] = lambda request: request
    return Client(Transcoder(file.services_by_name.values(), backend, Settings(limits=Limits(depth=64))))


REFUSED = {
    # Free JSON is read as in a body.
    "/echo?free={%22a%22:NaN}": "free: is not JSON: ",
    "/echo?free={%22a%22:1,%22a%22:2}": "free: a: is given twice",
    "/echo?list=[NaN]": "list: is not JSON: ",
    "/echo?list=[1e400]": "list: is not JSON: number is infinity",
    "/echo?value=1e400": "value: is not JSON: number is infinity",
    "/echo?value={%22a%22:1,%22a%22:2}": "value: a: is given twice",
    f"/echo?value={'[' * 40}{']' * 40}": "value: is nested too deep: of 64 levels",
    f"/echo?value={'[' * 2000}{']' * 2000}": "value: is nested too deep",
    f"/echo?list={'[' * 33}{']' * 33}": "list: is nested too deep: of 64 levels",
    f"/echo?part.part.part.part.free={'{%22a%22:' * 20}1{'}' * 20}": "part.part.part.part.free: is nested too deep",
    "/echo?raw=[]": "raw: must be a JSON object",
    # Nothing is bound into a message that is written as one value.
    "/echo?time.seconds=999999999999999": "time.seconds: is not a parameter",
    "/echo?wait.nanos=1500000000": "wait.nanos: is not a parameter",
    "/echo?mask.paths=Foo": "mask.paths: is not a parameter",
    "/echo?value.numberValue=NaN": "value.numberValue: is not a parameter",
    "/echo?any.typeUrl=x": "any.typeUrl: is not a parameter",
    "/echo?large.value=1": "large.value: is not a parameter",
    # Texts are read as in a body.
    "/echo?time=2020-1-1T0:0:0Z": "time: must be a time as in RFC 3339",
    "/when/2020-1-1T0:0:0Z": "time: must be a time as in RFC 3339",
    "/echo?wait=1_0s": "wait: must be a duration",
    "/echo?wait=%2B1s": "wait: must be a duration",
    "/echo?wait=1.s": "wait: must be a duration",
    "/echo?wait=1.0000000001s": "wait: must be a duration",
    "/echo?mask=,": "mask: must be a list of fields",
    "/echo?mask=a_b": "mask: must list fields in lowerCamelCase",
    "/echo?single=3.4028236e38": "single: is too large a number",
    "/echo?real=1e400": "real: is too large a number",
    "/echo?whole=01": "whole: must be a whole number",
    "/whole/-01": "whole: must be a whole number",
    "/echo?real=01": "real: must be a number",
    "/echo?data=QQ=====": "data: must be base64",
    "/echo?counts[01]=1": "counts[01]: must have a whole number from -2147483648 to 2147483647 as its key",
    "/echo?counts[x]=1": "counts[x]: must have a whole number",
    # One field comes from one place, and so does a oneof.
    "/nested/a?part.text=b": "part.text: is not a parameter",
    "/one/a?two=1": "two: excludes another field",
    "/inner/a?part.two=1": "part.two: excludes another field",
    "/echo?part.one=a&part.two=1": "part.two: excludes another field",
    "/echo?note=a&nota=b": "note: may be given only once",
}


@pytest.mark.parametrize("url", REFUSED)
async def test_refused(client: Client, backend: Recording, url: str) -> None:
    answer = await client("GET", url)
    assert answer.status == 400, answer.text
    assert answer.json["message"].startswith(REFUSED[url])
    assert not backend.requests


TAKEN = {
    "/echo?value=NaN": {"value": "NaN"},
    "/echo?value={%22a%22:NaN}": {"value": '{"a":NaN}'},
    "/echo?value=01": {"value": "01"},
    "/echo?value=null": {"value": None},
    "/echo?list=[]": {"list": []},
    f"/echo?list={'[' * 32}{']' * 32}": {"list": json.loads("[" * 32 + "]" * 32)},
    "/echo?time=2026-01-15T10:00:30.000000001Z": {"time": "2026-01-15T10:00:30.000000001Z"},
    "/when/0001-01-01T00:00:00Z": {"time": "0001-01-01T00:00:00Z"},
    "/echo?wait=-1.5s": {"wait": "-1.500s"},
    "/echo?mask=aB,c.dE": {"mask": "aB,c.dE"},
    "/echo?single=3.4028235e38": {"single": 3.4028235e38},
    "/single/-3.4028235e38": {"single": -3.4028235e38},
    "/echo?data=QQ%3D%3D": {"data": "QQ=="},
    "/echo?data=_-8": {"data": "/+8="},
    "/echo?counts[-1]=1": {"counts": {"-1": 1}},
    "/echo?kept[a]=": {"kept": {"a": 0}},
    "/echo?lenient=%2B01.0": {"lenient": 1},
    "/echo?note=&nota=b": {"note": "b"},
    "/echo?note=b&nota=": {"note": "b"},
}


@pytest.mark.parametrize("url", TAKEN)
async def test_taken(client: Client, backend: Recording, url: str) -> None:
    answer = await client("GET", url)
    assert (answer.status, answer.json) == (200, TAKEN[url]), answer.text


async def test_a_oneof_is_set_by_body_or_query(client: Client) -> None:
    refused = await client("POST", "/one?two=1", "a")
    assert (refused.status, refused.json["message"]) == (400, "two: excludes another field that was given")
    assert (await client("POST", "/one", "a")).json == {"one": "a"}
    without = await client("POST", "/one?two=1", headers={"Content-Type": "application/json"})
    assert without.json == {"two": 1}


async def test_free_json_in_a_form_is_no_deeper_than_in_a_body(client: Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for levels, status in ((20, 200), (21, 400)):
        free = '{"a":' * levels + "1" + "}" * levels
        body = b'{"free":%b}' % free.encode()
        assert (await client("POST", "/part", body, headers={"Content-Type": "application/json"})).status == status
        assert (await client("POST", "/part", b"free=" + free.encode(), headers=form)).status == status


async def test_a_mask_has_only_what_is_read(client: Client, backend: Recording) -> None:
    answer = await client("PATCH", "/part", {"text": "a", "changed": "now", "part": {"changed": "now", "one": "b"}})
    assert answer.status == 200, answer.text
    assert json_format.MessageToDict(backend.request) == {
        "part": {"text": "a", "part": {"one": "b"}},
        "mask": "text,part.one",
    }


async def test_a_member_without_a_name_is_named(client: Client) -> None:
    answer = await client("POST", "/all", {"": 1})
    assert (answer.status, answer.json["message"]) == (400, '"": is not known here')
