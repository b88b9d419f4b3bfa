"""Timestamps, durations and field masks as text, both ways, within protobuf's ranges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mypy_extensions import i64

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.errors import CodecError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = EPOCH.toordinal()
FIRST_SECOND: Final = -62_135_596_800
LAST_SECOND: Final = 253_402_300_799
LONGEST_DURATION: Final = 315_576_000_000
NANOS: Final = 1_000_000_000

NOT_A_TIME: Final = "must be a time as in RFC 3339, for example 2026-01-15T11:00:30Z"
NOT_VALID: Final = "must be a valid time"
NOT_IN_RANGE: Final = "must be a time from the year 1 to the year 9999"
NOT_A_DURATION: Final = 'must be a duration in seconds, for example "3.5s"'
DURATION_RANGE: Final = f"must be a duration of at most {LONGEST_DURATION} seconds"

# A clock shows 3,600 minutes and seconds; hours are remembered as they come, within bounds.
CLOCK_TEXT: Final = tuple(f":{second // 60:02}:{second % 60:02}" for second in range(3600))
MILLIS_TEXT: Final = tuple(f"{millis:03}" for millis in range(1000))
CLOCK_SECONDS: Final = {text: second for second, text in enumerate(CLOCK_TEXT)}
# Nearly all times end with their second or their millisecond.
USUAL_ENDS: Final = {"Z": 0} | {f".{text}Z": millis * 1_000_000 for millis, text in enumerate(MILLIS_TEXT)}
MOST_HOURS: Final = 4096
_hour_texts: Final[dict[int, str]] = {}
_hour_seconds: Final[dict[str, int]] = {}

TO_NANOS: Final = {digits: 10 ** (9 - digits) for digits in range(1, 10)}

HOUR: Final = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3])", re.ASCII)
ZONE: Final = re.compile(r"(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
DURATION: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
CAPITAL: Final = re.compile(r"[A-Z]")
UNDERSCORED: Final = re.compile(r"_([a-z])")


def time_text(seconds: i64, nanos: i64) -> str:
    """Print a timestamp with 0, 3, 6 or 9 digits of the fraction."""
    hour = seconds // 3600
    rest = seconds - hour * 3600
    text = _hour_texts.get(hour) or hour_text(hour)
    if not nanos:
        return f"{text}{CLOCK_TEXT[rest]}Z"
    if nanos % 1_000_000 or not 0 <= nanos < NANOS:
        return f"{text}{CLOCK_TEXT[rest]}.{fraction(nanos, NOT_VALID)}Z"
    return f"{text}{CLOCK_TEXT[rest]}.{MILLIS_TEXT[nanos // 1_000_000]}Z"


def hour_text(hour: int) -> str:
    """Print date and hour, and remember them."""
    if not FIRST_SECOND <= hour * 3600 <= LAST_SECOND:
        raise CodecError(NOT_IN_RANGE)
    text = (EPOCH + timedelta(hours=hour)).isoformat()[:13]
    if len(_hour_texts) >= MOST_HOURS:
        _hour_texts.clear()
    _hour_texts[hour] = text
    return text


def fraction(nanos: int, complaint: str) -> str:
    """Print nanoseconds in as many groups of three digits as they need."""
    if not 0 <= nanos < NANOS:
        raise CodecError(complaint)
    if not nanos % 1_000_000:
        return MILLIS_TEXT[nanos // 1_000_000]
    if not nanos % 1_000:
        return f"{nanos // 1_000:06}"
    return f"{nanos:09}"


def fixed(digits: int, zone: str = "Z") -> Callable[[int, int], str]:
    """Print timestamps with so many digits of the fraction, the others cut off."""

    def text(seconds: int, nanos: int) -> str:
        whole = time_text(seconds, 0)[:-1]
        if not 0 <= nanos < NANOS:
            raise CodecError(NOT_VALID)
        return f"{whole}.{f'{nanos:09}'[:digits]}{zone}" if digits else whole + zone

    return text


def ticks_since_1970(ticks: int) -> Callable[[int, int], int]:
    """Print timestamps as a number of so many ticks a second."""
    return lambda seconds, nanos: seconds * ticks + nanos * ticks // NANOS


TIME_FORMS: Final[dict[int, Callable[[int, int], str | int]]] = {
    json_pb2.TIME_FORM_UNSPECIFIED: time_text,
    json_pb2.TIME_FORM_SECONDS: fixed(0),
    json_pb2.TIME_FORM_MILLIS: fixed(3),
    json_pb2.TIME_FORM_MICROS: fixed(6),
    json_pb2.TIME_FORM_UNIX_SECONDS: ticks_since_1970(1),
    json_pb2.TIME_FORM_UNIX_MILLIS: ticks_since_1970(1000),
    json_pb2.TIME_FORM_MILLIS_OFFSET: fixed(3, "+00:00"),
}

# Ticks per second of the forms that are numbers.
UNIX_TICKS: Final = {json_pb2.TIME_FORM_UNIX_SECONDS: 1, json_pb2.TIME_FORM_UNIX_MILLIS: 1000}


def parse_time(text: str) -> tuple[i64, i64]:
    """Read a time of RFC 3339 into seconds and nanoseconds since 1970."""
    head = text[:13]
    hour = _hour_seconds.get(head)
    if hour is None:
        hour = parse_hour(head)
    clock = CLOCK_SECONDS.get(text[13:19])
    if clock is None:
        raise CodecError(NOT_A_TIME)
    nanos = USUAL_ENDS.get(text[19:])
    if nanos is not None:
        return hour + clock, nanos
    digits = text[20:-1]
    if text[19:20] == "." and text[-1] == "Z" and digits.isdecimal() and digits.isascii():
        scale = TO_NANOS.get(len(digits))
        if scale:
            return hour + clock, int(digits) * scale
    zone = ZONE.fullmatch(text, 19)
    if zone is None:
        raise CodecError(NOT_A_TIME)
    part, sign, hours, minutes = zone.groups()
    seconds = hour + clock
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
        if not FIRST_SECOND <= seconds <= LAST_SECOND:
            raise CodecError(NOT_IN_RANGE)
    return seconds, int(part.ljust(9, "0")) if part else 0


def parse_hour(text: str) -> int:
    """Read date and hour into seconds since 1970, and remember them."""
    if HOUR.fullmatch(text) is None:
        raise CodecError(NOT_A_TIME)
    try:
        day = date.fromisoformat(text[:10]).toordinal() - EPOCH_DAY
    except ValueError:
        raise CodecError(NOT_A_TIME) from None
    seconds = day * 86_400 + int(text[11:]) * 3600
    if len(_hour_seconds) >= MOST_HOURS:
        _hour_seconds.clear()
    _hour_seconds[text] = seconds
    return seconds


def parse_ticks(value: float, ticks: int) -> tuple[int, int]:
    """Read a number of ticks since 1970 into seconds and nanoseconds."""
    whole = int(value // 1)
    seconds, rest = divmod(whole, ticks)
    nanos = (rest * NANOS + int((value - whole) * NANOS)) // ticks
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise CodecError(NOT_IN_RANGE)
    return seconds, nanos


def duration_text(seconds: int, nanos: int) -> str:
    """Print a duration with 0, 3, 6 or 9 digits of the fraction."""
    if not -LONGEST_DURATION <= seconds <= LONGEST_DURATION:
        raise CodecError(DURATION_RANGE)
    if not nanos:
        return f"{seconds}s"
    if seconds and (seconds < 0) is not (nanos < 0):
        raise CodecError("must be a duration whose two parts have the same sign")
    sign = "-" if nanos < 0 else ""
    digits = fraction(abs(nanos), "must be a valid duration")
    return f"{sign}{abs(seconds)}.{digits}s"


def parse_duration(text: str) -> tuple[i64, i64]:
    """Read a duration into seconds and nanoseconds."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise CodecError(NOT_A_DURATION)
    sign, whole, digits = found.groups()
    seconds = int(whole)
    nanos = int(digits.ljust(9, "0")) if digits else 0
    if seconds > LONGEST_DURATION:
        raise CodecError(DURATION_RANGE)
    return (-seconds, -nanos) if sign else (seconds, nanos)


def mask_text(paths: Iterable[str]) -> str:
    """Print the paths of a field mask in JSON's spelling, refusing those that would not come back."""
    return ",".join(map(camel_path, paths))


def camel_path(path: str) -> str:
    """Turn `foo_bar.baz` into `fooBar.baz`."""
    if CAPITAL.search(path):
        raise CodecError("holds a path with capitals, which JSON cannot show")
    camel = UNDERSCORED.sub(lambda found: found[1].upper(), path)
    if "_" in camel:
        raise CodecError("holds a path whose underscores JSON cannot show")
    return camel


def parse_mask(text: str) -> list[str]:
    """Read a field mask in JSON's spelling into its paths."""
    if not text:
        return []
    if "_" in text:
        raise CodecError("must list fields in lowerCamelCase")
    return split_mask(CAPITAL.sub(lambda found: "_" + found[0].lower(), text))


def split_mask(text: str) -> list[str]:
    """Split a list of paths, none of them empty."""
    paths = text.split(",")
    if not all(paths):
        raise CodecError("must be a list of fields separated by single commas")
    return paths
