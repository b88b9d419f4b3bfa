"""Requests for data jobs out of their JSON: the few members that are looked at, and the rest as it is written."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from typing_extensions import Buffer

from jobyard.ncmp.v1 import operation_pb2
from jobyard_server.domain.reason import Reason, Refused, invalid, refuse

DATA: Final = "dataJobWriteRequest.data"
READ: Final = "read"
MOST_OPERATIONS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where results go, and how data is written."""

    destination: str | None = None
    accept_type: str | None = None
    content_type: str | None = None


class _Metadata(msgspec.Struct):
    destination: str | None = None
    accept: str | None = msgspec.field(default=None, name="dataAcceptType")
    content: str | None = msgspec.field(default=None, name="dataContentType")
    accept_too: str | None = msgspec.field(default=None, name="dataaccepttype")
    content_too: str | None = msgspec.field(default=None, name="datacontenttype")


class _Operations(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


class _WriteJob(msgspec.Struct):
    metadata: _Metadata | None = msgspec.field(default=None, name="dataJobMetadata")
    request: _Operations | None = msgspec.field(default=None, name="dataJobWriteRequest")


class _Kind(msgspec.Struct):
    op: str


_kind: Final = msgspec.json.Decoder(_Kind).decode
_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode
_write_job: Final = msgspec.json.Decoder(_WriteJob).decode
array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
"""The items of a JSON array; slices of it."""


def write_job(body: Buffer) -> tuple[Metadata, Sequence[msgspec.Raw]]:
    """The metadata and the operations of a write job; the operations are slices of the body."""
    try:
        found = _write_job(body)
    except msgspec.ValidationError as problem:
        raise _wrong(problem) from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise malformed(str(problem)) from None
    if found.metadata is None:
        raise invalid("dataJobMetadata", "is missing")
    if found.request is None or found.request.data is None:
        raise invalid(DATA, "is missing")
    said = found.metadata
    metadata = Metadata(said.destination, said.accept or said.accept_too, said.content or said.content_too)
    return metadata, bounded(found.request.data, len(found.request.data))


def operations_of(data: bytes, field: str) -> Sequence[msgspec.Raw]:
    """The operations in a JSON array; slices of it."""
    try:
        data.decode()
        found = array(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise invalid(field, "must be an array of operations") from None
    return bounded(found, len(found), field)


def written(operation: operation_pb2.WriteOperation, index: int) -> msgspec.Raw:
    """A write operation that came as a message, as JSON."""
    said: dict[str, object] = {"path": operation.path, "op": operation.op}
    if operation.HasField("operation_id"):
        said["operationId"] = operation.operation_id
    if operation.value:
        said["value"] = msgspec.Raw(operation.value)
    made = msgspec.json.encode(said)
    try:
        _raw(made)
        operation.value.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid(f"operations[{index}].value", "must be JSON") from None
    return msgspec.Raw(made)


def all_read(operations: Sequence[msgspec.Raw], field: str) -> bool:
    """Whether operations read; refuses some that read beside others that do not."""
    reading: bool | None = None
    for index, operation in enumerate(operations):
        try:
            reads = _kind(operation).op == READ
        except msgspec.DecodeError:
            raise invalid(f"{field}[{index}].op", "must be a text") from None
        if reading not in {None, reads}:
            raise invalid(f"{field}[{index}].op", "cannot stand beside those before: a job reads or writes")
        reading = reads
    return bool(reading)


def malformed(problem: str) -> Refused:
    """The refusal of a body that is not what it should be."""
    return refuse(Reason.REQUEST_INVALID, f"The body cannot be read: {problem}.")


def bounded(operations: Sequence[msgspec.Raw], count: int, field: str = DATA) -> Sequence[msgspec.Raw]:
    """Operations of a job that has so many of them; refuses too many."""
    if count > MOST_OPERATIONS:
        raise invalid(field, f"has more than {MOST_OPERATIONS} operations")
    return operations


class Gathered:
    """A body that comes in pieces, each looked at whether it is text: whoever skips a text does not look at it."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._look(piece, last=False)
        self.body += piece

    def whole(self) -> bytearray:
        """The body, when the last piece has come."""
        self._look(b"", last=True)
        return self.body

    def _look(self, piece: bytes, *, last: bool) -> None:
        try:
            self._decoder.decode(piece, last)
        except UnicodeDecodeError:
            raise malformed("it is not UTF-8") from None


def _wrong(problem: msgspec.ValidationError) -> Refused:
    """A member of the wrong type: the parser says which, as ``Expected `str`, got `int` - at `$.a[...].b```."""
    what, _, where = str(problem).partition(" - at `$.")
    return invalid(where.rstrip("`"), what[:1].lower() + what[1:]) if where else malformed(str(problem))
