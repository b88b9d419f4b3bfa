"""Times as SAS Viya writes them, with exactly three digits of the fraction, and the entity tags made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from jobyard_server.domain.fields import instant
from jobyard_server.domain.job import Micros

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
MILLI: Final = 1000
"""Microseconds of a millisecond."""
SECOND: Final = 1_000_000
FOR_EVER: Final = 250_000_000_000 * SECOND
"""An instant that nobody will see: about the year 9900."""


def timestamp(micros: Micros) -> Timestamp:
    """An instant, cut down to milliseconds."""
    seconds, rest = divmod(micros - micros % MILLI, SECOND)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def text_of(micros: Micros) -> str:
    """An instant as text."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def micros_of(text: str) -> Micros:
    """The instant that a text names; ``ValueError`` when it is none."""
    return instant(text)


def tag_of(micros: Micros) -> str:
    """The entity tag of a state that was made at an instant, without its quotes: the milliseconds in base 36."""
    number, text = micros // MILLI, ""
    while number > 0:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def after(before: Micros, now: Micros) -> Micros:
    """When a change is said to have been made: now, but never in the same millisecond as the change before it."""
    return max(now, before - before % MILLI + MILLI)
