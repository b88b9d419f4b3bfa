"""Data jobs as NCMP hands them to a DMI service: gathered piece by piece, looked at, and left as they are written."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import orjson
from google.api import httpbody_pb2

from jobyard.ncmp.v1 import operation_pb2
from jobyard_server.apis.ncmp.requests import MOST_OPERATIONS, Gathered, malformed
from jobyard_server.domain.reason import Reason, Refused, Violation, invalid, refuse
from jobyard_server.domain.stored_json import LARGEST

READ: Final = "read"
AT_ONCE: Final = 4000
"""Operations looked at before others have their turn."""


class Piece(Protocol):
    """A message of any of the streams that bring a job."""

    data_job_id: str
    destination: str
    idempotency_key: str

    @property
    def body(self) -> httpbody_pb2.HttpBody:
        """Some of the JSON."""


@dataclass(frozen=True, slots=True)
class Intake:
    """A request, looked at."""

    producer: str
    job: str
    """Name of the whole job."""
    destination: str
    reads: bool
    """Every operation reads."""
    count: int
    """Operations."""
    body: bytearray = field(repr=False)
    """The request as it is written."""
    key: str
    first_generation: bool

    @property
    def digest(self) -> str:
        """What tells one request from another."""
        return hashlib.sha256(self.body).hexdigest()


class _SubJob(msgspec.Struct):
    producer: str | None = msgspec.field(default=None, name="dataProducerId")
    producer_too: str | None = msgspec.field(default=None, name="dataproducerid")
    job: str | None = msgspec.field(default=None, name="dataJobId")
    destination: str | None = None
    # One that is no array is a mistake that the published examples make, too.
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class _Operation(msgspec.Struct):
    path: str
    op: str


_sub_job: Final = msgspec.json.Decoder(_SubJob).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_operation: Final = msgspec.json.Decoder(_Operation).decode


def unsupported(producer: str) -> Refused:
    """The refusal for a data producer that takes no such jobs."""
    return refuse(
        Reason.DATA_JOBS_UNSUPPORTED,
        f"The data producer {producer!r} does not take such data jobs." if producer else "No data producer is named.",
        producer=producer,
    )


async def take(pieces: AsyncIterator[Piece]) -> Intake:
    """Gather a request and look at it; raises Refused."""
    gathered = Gathered()
    first = await anext(pieces, None)
    if first is None:
        raise unsupported("")
    typed = _Typed(first)
    gathered.add(first.body.data)
    typed.add(first)
    async for piece in pieces:
        gathered.add(piece.body.data)
        typed.add(piece)
    body = gathered.whole()
    if not body:
        if not typed.used:
            raise unsupported("")
        body = typed.whole()
    return await looked_at(body, first)


async def looked_at(body: bytearray, first: Piece) -> Intake:
    """Look at a whole request."""
    if len(body) > LARGEST:
        raise refuse(Reason.PAYLOAD_TOO_LARGE, f"A job may have {LARGEST} bytes.", limit=str(LARGEST))
    try:
        found = _sub_job(body)
    except msgspec.ValidationError as problem:
        raise _mismatched(problem, "") from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise malformed(str(problem)) from None
    producer = found.producer or found.producer_too or ""
    if not producer:
        raise invalid("dataProducerId", "is missing or empty")
    count, reads = await _operations(found.data)
    return Intake(
        producer=producer,
        job=first.data_job_id or found.job or "",
        destination=first.destination or found.destination or "",
        reads=reads,
        count=count,
        body=body,
        key=first.idempotency_key,
        first_generation=bool(first.data_job_id),
    )


async def _operations(data: msgspec.Raw) -> tuple[int, bool]:
    """How many operations there are, and whether there are some and all of them read."""
    begin = bytes(memoryview(data)[:4])
    if begin in {b"", b"null"}:
        raise invalid("data", "is missing")
    try:
        items = [data] if begin.startswith(b"{") else _items(data)
    except (msgspec.DecodeError, RecursionError):
        raise invalid("data", "must be an array of operations") from None
    if len(items) > MOST_OPERATIONS:
        raise invalid("data", f"has more than {MOST_OPERATIONS} operations")
    reading = 0
    for start in range(0, len(items), AT_ONCE):
        for index, item in enumerate(items[start : start + AT_ONCE], start):
            try:
                reading += _operation(item).op == READ
            except (msgspec.DecodeError, RecursionError) as problem:
                raise _mismatched(problem, f"data[{index}]") from None
        await asyncio.sleep(0)
    return len(items), 0 < reading == len(items)


def _mismatched(problem: Exception, where: str) -> Refused:
    """A member that is missing or of the wrong type; the parser says which."""
    what, _, path = str(problem).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if "missing required field" in what:
        name = what.rpartition("field ")[2].strip("`")
        path, what = f"{path}.{name}" if path else name, "is missing"
    whole = f"{where}.{path}" if where and path else where or path
    if not whole:
        return malformed(str(problem))
    words = what[:1].lower() + what[1:]
    return refuse(Reason.INVALID_FIELD, f"{whole}: {words}", Violation(whole, words))


class _Typed:
    """A request that comes as messages, put together as the JSON that it stands for."""

    def __init__(self, first: Piece) -> None:
        self._first = first
        self._operations: list[dict[str, Any]] = []
        self.used = bool(getattr(first, "data_producer_id", ""))

    def add(self, piece: Any) -> None:
        """Take the operations of a message."""
        if self.used:
            self._operations += map(tree, piece.operations)

    def whole(self) -> bytearray:
        """The JSON."""
        first: Any = self._first
        said = {
            "destination": first.destination or first.metadata.destination or None,
            "dataAcceptType": first.metadata.data_accept_type or None,
            "dataContentType": first.metadata.data_content_type or None,
            "dataProducerId": first.data_producer_id,
            "dataJobId": first.data_job_id or None,
        }
        try:
            return bytearray(orjson.dumps({**said, "data": self._operations}))
        except orjson.JSONEncodeError:
            raise invalid("operations", "hold a value that is no JSON") from None


def tree(operation: operation_pb2.WriteOperation | operation_pb2.ReadOperation) -> dict[str, Any]:
    """An operation as JSON; values stand in it as they are written."""
    said: dict[str, Any] = {"path": operation.path, "op": operation.op}
    if operation.HasField("operation_id"):
        said["operationId"] = operation.operation_id
    if isinstance(operation, operation_pb2.WriteOperation):
        if operation.value:
            said["value"] = orjson.Fragment(operation.value)
        return said
    for name, values in (("attributes", operation.attributes), ("fields", operation.fields)):
        if values:
            said[name] = list(values)
    for field_, value in operation.ListFields():
        if field_.name in _OPTIONAL:
            said[_OPTIONAL[field_.name]] = value
    return said


_OPTIONAL: Final = {
    "filter": "filter",
    "scope_type": "scopeType",
    "scope_level": "scopeLevel",
    "module_set_tag": "moduleSetTag",
}
