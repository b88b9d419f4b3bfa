"""The command that loads definitions, executors, queues and records from YAML files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from google.protobuf.message import Message

from jobyard.jobs.v1 import (
    definition_pb2,
    definition_service_pb2,
    executor_pb2,
    executor_service_pb2,
    queue_pb2,
    queue_service_pb2,
    record_pb2,
    record_service_pb2,
)
from jobyard_server.apis.jobs.mapping import limits_message, retry_message, retry_policy, time_limits
from jobyard_server.apis.jobs.mapping_catalog import queue, queue_message
from jobyard_server.cli.errors import CommandError
from jobyard_server.cli.form import Form
from jobyard_server.cli.printing import dialect, print_json, print_rows
from jobyard_server.cli.session import RefusedError, Session
from jobyard_server.domain.reason import Refused
from jobyard_server.rpc import validation
from jobyard_server.transcoding.codec import CodecError, compile_decoder

RETRY_SECONDS: Final = 5.0
KINDS: Final[Mapping[str, type[Message]]] = {
    "definition": definition_pb2.Definition,
    "executor": executor_pb2.Executor,
    "queue": queue_pb2.Queue,
    "record": record_pb2.Record,
}
_UNSAID: Final[Mapping[str, Mapping[str, Any]]] = {
    "definition": {
        "api": "jobs",
        "queue": "default",
        "spec": "{}",
        "on_lease_loss": definition_pb2.LEASE_LOSS_REQUEUE,
    },
    "executor": {"api": "jobs", "reach": executor_pb2.REACH_PULL, "spec": "{}"},
    "record": {"body": "null"},
}
_OUTPUT_ONLY: Final = ("tenant", "etag", "created_by", "create_time", "update_time")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    place: str
    kind: str
    message: Any

    @property
    def name(self) -> str:
        """How people call what it declares."""
        found = self.message
        parts = [found.name] if self.kind == "queue" else [found.api or "jobs", found.id]
        if self.kind == "record":
            parts.insert(1, found.kind)
        return f"{self.kind}/{'/'.join(parts)}"

    @property
    def filled(self) -> Any:
        """The message as the server keeps it: with what it leaves unsaid."""
        if self.kind == "queue":
            return queue_message(queue(self.message))
        filled = type(self.message)(**_UNSAID[self.kind])
        filled.MergeFrom(self.message)
        if self.kind == "definition":
            filled.retry.CopyFrom(retry_message(retry_policy(filled.retry)))
            filled.ClearField("limits")
            filled.MergeFrom(type(filled)(limits=limits_message(time_limits(self.message.limits))))
        return filled


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a date stays the text it was written as, and a key may be given once."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(files: Sequence[str]) -> list[Document]:
    """Read and check all documents of all files; nothing is sent before every one of them is right."""
    documents: list[Document] = []
    problems: list[str] = []
    for file in files:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            parsed = list(yaml.load_all(text, Loader=_Loader))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        for number, value in enumerate(parsed, start=1):
            if value is None:
                continue
            place = f"{file}, document {number}"
            try:
                documents.append(_document(place, value))
            except ValueError as error:
                problems.append(f"{place}: {error}")
    if problems:
        raise CommandError("nothing was applied, because not all documents are right", *problems)
    if not documents:
        raise CommandError("there is no document to apply")
    return documents


def _document(place: str, value: object) -> Document:
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in KINDS:
        raise ValueError(f"is not a mapping with one key of {', '.join(KINDS)}")
    ((kind, content),) = value.items()
    message = KINDS[kind]()
    try:
        raw = orjson.dumps(content)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"{kind} has no JSON form: {error}") from None
    try:
        compile_decoder(message.DESCRIPTOR, dialect())(raw, message)
    except CodecError as error:
        raise ValueError(f"{kind}: {error}") from None
    try:
        validation.check(message)
    except Refused as refused:
        words = [f"{kind}.{violation.field}: {violation.description}" for violation in refused.refusal.violations]
        raise ValueError("; ".join(words)) from None
    return Document(place, kind, message)


async def apply(session: Session, documents: Sequence[Document], form: Form, *, dry_run: bool) -> None:
    """Send what was read, in its order, and say of each whether it changed anything."""
    rows: list[tuple[str, str]] = []
    for document in documents:
        after = before = await _kept(session, document)
        outcome = "created" if before is None else "changed"
        if before is not None and _said(before) == _said(document.filled):
            outcome = "unchanged"
        elif dry_run:
            after, outcome = document.message, f"would be {outcome}"
        else:
            try:
                after = await _put(session, document)
            except RefusedError as error:
                for row in rows:
                    print(*row)
                notes = (f"{document.place}: {document.name}", *error.notes)
                raise CommandError(error.message, *notes, code=error.code) from None
        rows.append((document.name, outcome))
        if form is Form.NAME:
            print(document.name)
        elif form is not Form.TABLE:
            print_json(after)
    if form is Form.TABLE:
        print_rows(("WHAT", "OUTCOME"), rows)


def _said(message: Any) -> Any:
    """What a message says that was put, without what the server adds to it."""
    said = type(message).FromString(message.SerializeToString())
    for name in _OUTPUT_ONLY:
        if name in said.DESCRIPTOR.fields_by_name:
            said.ClearField(name)
    return said


async def _kept(session: Session, document: Document) -> Any:
    """What the server has under the name of a document; ``None`` when there is nothing."""
    wanted = document.message
    method: Any
    request: Message
    match document.kind:
        case "definition":
            method = session.definitions.GetDefinition
            request = definition_service_pb2.GetDefinitionRequest(id=wanted.id, api=wanted.api, version=wanted.version)
        case "executor":
            method = session.executors.GetExecutor
            request = executor_service_pb2.GetExecutorRequest(id=wanted.id, api=wanted.api)
        case "queue":
            method = session.queues.GetQueue
            request = queue_service_pb2.GetQueueRequest(name=wanted.name)
        case _:
            method = session.records.GetRecord
            request = record_service_pb2.GetRecordRequest(id=wanted.id, api=wanted.api, kind=wanted.kind)
    try:
        answer = await session.call(method, request, retry_for=RETRY_SECONDS)
    except RefusedError as error:
        if error.failure.reason.endswith("_NOT_FOUND"):
            return None
        raise
    return getattr(answer, document.kind)


async def _put(session: Session, document: Document) -> Any:
    """Send a document; what the server keeps."""
    method: Any
    request: Message
    match document.kind:
        case "definition":
            method = session.definitions.PutDefinition
            request = definition_service_pb2.PutDefinitionRequest(definition=document.message)
        case "executor":
            method = session.executors.PutExecutor
            request = executor_service_pb2.PutExecutorRequest(executor=document.message)
        case "queue":
            method = session.queues.PutQueue
            request = queue_service_pb2.PutQueueRequest(queue=document.message)
        case _:
            method = session.records.PutRecord
            request = record_service_pb2.PutRecordRequest(record=document.message)
    return getattr(await session.call(method, request, retry_for=RETRY_SECONDS), document.kind)
