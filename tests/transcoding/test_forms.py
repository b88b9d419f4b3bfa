"""Forms in parts: files keep the rules that their fields declare, as every other part does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobyard_server.transcoding.app import Transcoder
from support.asgi import Answer, Client
from support.recording import Recording
from support.trial import pool_of

SOURCE = """
syntax = "proto3";
package forms;
import "google/api/annotations.proto";
import "jobyard/rest/v1/annotations.proto";

service Desk {
  rpc File(FileRequest) returns (FileRequest) {
    option (google.api.http) = { post: "/files" body: "sheet" };
    option (jobyard.rest.v1.consumes) = { media_types: "multipart/form-data" };
  }
}
message FileRequest { Sheet sheet = 1; }
message Sheet {
  bytes file = 1 [(jobyard.rest.v1.query).required = true];
  repeated bytes pages = 2 [(jobyard.rest.v1.query).commas = true];
  oneof origin { bytes scan = 3; string link = 4; }
  bytes stamp = 5 [(jobyard.rest.v1.query).blank = BLANK_REJECT];
  bytes free = 6 [(jobyard.rest.v1.json).raw = RAW_ANY];
  bytes first = 7 [(jobyard.rest.v1.query).repeats = REPEATS_FIRST];
}
"""
FILE = ("file", b"\x00\xff,=")


@pytest.fixture
def send(backend: Recording, tmp_path: Path) -> Callable[..., Any]:
    file = pool_of("forms.proto", SOURCE, tmp_path)
    backend.handlers["File"] = lambda request: request
    client = Client(Transcoder([file.services_by_name["Desk"]], backend))

    async def post(*parts: tuple[str, bytes]) -> Answer:
        body = b"".join(
            b'--B\r\nContent-Disposition: form-data; name="%b"; filename="f"\r\n\r\n%b\r\n' % (name.encode(), content)
            for name, content in parts
        )
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        return await client("POST", "/files", body + b"--B--\r\n", headers=headers)

    return post


async def test_files_come_byte_for_byte(send: Callable[..., Any], backend: Recording) -> None:
    answer = await send(FILE, ("pages", b"a,\xfe"), ("pages", b""), ("scan", b""), ("free", b'{"a": 1}'))
    assert answer.status == 200, answer.text
    sheet = backend.request.sheet
    assert (sheet.file, list(sheet.pages)) == (FILE[1], [b"a,\xfe", b""])
    assert (sheet.WhichOneof("origin"), sheet.free) == ("scan", b'{"a": 1}')
    await send(FILE, ("first", b"1"), ("first", b"2"))
    assert backend.request.sheet.first == b"1"


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([("link", b"x")], "file: is required"),
        ([FILE, FILE], "file: may be given only once"),
        ([FILE, ("scan", b"1"), ("link", b"x")], "link: excludes another field that was given"),
        ([FILE, ("link", b"x"), ("scan", b"1")], "scan: excludes another field that was given"),
        ([FILE, ("stamp", b"")], "stamp: must not be empty"),
        ([FILE, ("free", b"{")], "free: must be JSON"),
    ],
)
async def test_files_keep_the_rules_of_their_fields(
    send: Callable[..., Any], parts: list[tuple[str, bytes]], told: str
) -> None:
    answer = await send(*parts)
    assert (answer.status, answer.json["message"]) == (400, told)
