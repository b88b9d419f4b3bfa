"""Times as clients write them, in almost any form, and as they are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

from dateutil import parser
from dateutil.tz import tzoffset
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard_server.apis.qinling import refusals

if TYPE_CHECKING:
    from jobyard_server.domain.job import Micros

MINUTE: Final = 60_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST: Final = 255
_DIGITS: Final = re.compile(r"\d{20}")
"""More digits than any time has; some make the parser work for minutes."""
_TWICE: Final = re.compile(r"(?:utc|gmt|z)\s*[+-]", re.IGNORECASE)
"""UTC and an offset from it: people mean 3 hours ahead by ``UTC+3``, the parser 3 hours behind."""


def read_time(text: str, field: str, now: Micros) -> Micros:
    """The instant a text names; what it leaves out is as today, at midnight UTC."""
    today = (_EPOCH + timedelta(microseconds=now)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if len(text) > _LONGEST or _DIGITS.search(text):
        raise refusals.wrong(field, f"Unknown string format: {text[:_LONGEST]}")
    if _TWICE.search(text):
        raise refusals.wrong(field, f"Write the offset alone, without the name of a zone: {text}")
    try:
        found = parser.parse(text, default=today, tzinfos=_zone)
        shown = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        return (shown - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as problem:
        raise refusals.wrong(field, str(problem)) from None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """The zone of a text; a name is only known when it means UTC, for others mean several zones each."""
    if offset is not None:
        return tzoffset(name, offset)
    if name is None:
        return None
    raise ValueError(f"Unknown time zone: {name}")


def future_time(text: str, field: str, now: Micros) -> Micros:
    """The same, at least a minute from now."""
    found = read_time(text, field, now)
    if found < now + MINUTE:
        raise refusals.wrong(field, "Execution time must be at least 1 minute in the future.")
    return found


def timestamp(micros: Micros) -> Timestamp:
    """An instant."""
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def changed_at(updated: Micros, *, changed: bool) -> Timestamp | None:
    """When something was changed last; nothing until it was, however soon that is."""
    return timestamp(updated) if changed else None
