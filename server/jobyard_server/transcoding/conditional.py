"""Validators of an answer - ETag and Last-Modified - and the conditional requests that they settle with a 304."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.rest.v1 import answer_pb2
from jobyard_server.transcoding.fields import Way, is_set, reader
from jobyard_server.transcoding.headers import Headers, entity_tags, text_of
from jobyard_server.transcoding.printing import Scope, field_text
from jobyard_server.transcoding.surface import DeclarationError

Text = Callable[[Message], str]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name


def entity_tag(scope: Scope, declared: answer_pb2.EntityTag) -> Text:
    """Compile what prints the ETag of a response; nothing where its field is empty."""
    _, steps = scope.steps(declared.field)
    if declared.form == answer_pb2.ENTITY_TAG_FORM_BASE36_MILLIS:
        millis = _millis(steps, scope)
        return lambda message: "" if (moment := millis(message)) is None else f'"{base36(moment)}"'
    text = field_text(steps, scope.dialect)
    mark = "W/" if declared.form == answer_pb2.ENTITY_TAG_FORM_WEAK else ""

    def tag(message: Message) -> str:
        plain = text(message)
        # What already looks like a tag is not quoted twice.
        return plain if plain.startswith(('"', 'W/"')) else f'{mark}"{plain}"' if plain else ""

    return tag


def last_modified(scope: Scope, path: str) -> Text:
    """Compile what prints a field as an HTTP date; nothing where it is empty."""
    _, steps = scope.steps(path)
    millis = _millis(steps, scope)

    def date(message: Message) -> str:
        moment = millis(message)
        return "" if moment is None else format_datetime(datetime.fromtimestamp(moment // 1000, UTC), usegmt=True)

    return date


def base36(number: int) -> str:
    """Write a number in base 36."""
    text = ""
    while number > 0:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def not_modified(headers: Headers, tag: str, date: str) -> bool:
    """Tell whether the client has this very state already; `If-None-Match` outweighs `If-Modified-Since`."""
    wanted = headers.get(b"if-none-match")
    if wanted is not None:
        tags = entity_tags(text_of(wanted))
        return bool(tag) and ("*" in tags or tag.removeprefix("W/").strip('"') in tags)
    since = headers.get(b"if-modified-since")
    if since is None or not date:
        return False
    try:
        return parsedate_to_datetime(date) <= parsedate_to_datetime(text_of(since))
    except (ValueError, TypeError, IndexError, OverflowError):
        return False


def _millis(steps: Way, scope: Scope) -> Callable[[Message], int | None]:
    read, present = reader(steps), is_set(steps)
    field = steps[-1]
    a_time = field.message_type is not None and field.message_type.full_name == _TIMESTAMP
    if field.is_repeated or not (a_time or field.type == FieldDescriptor.TYPE_STRING):
        raise DeclarationError(f"{scope.where}: {field.full_name} is no time")
    if a_time:
        return lambda message: int(read(message).ToMilliseconds()) if present(message) else None

    def parsed(message: Message) -> int | None:
        text = read(message)
        if not text:
            return None
        moment = Timestamp()
        try:
            moment.FromJsonString(text)
        except ValueError:
            return None
        return int(moment.ToMilliseconds())

    return parsed
