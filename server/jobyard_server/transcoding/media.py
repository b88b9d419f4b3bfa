"""Media types: what a body is, what a client accepts, and which of the types on offer it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from jobyard.rest.v1 import media_pb2

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
TEXT = "text/plain"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
OCTETS = "application/octet-stream"

LONGEST_ACCEPT = 1024
"""Longer Accept headers are taken as if they accepted anything."""


class Form(Enum):
    """How a body is read."""

    JSON = "json"
    URLENCODED = "urlencoded"
    MULTIPART = "multipart"
    TEXT = "text"
    BYTES = "bytes"


_DECLARED: dict[int, Form] = {
    media_pb2.BODY_FORM_JSON: Form.JSON,
    media_pb2.BODY_FORM_URLENCODED: Form.URLENCODED,
    media_pb2.BODY_FORM_MULTIPART: Form.MULTIPART,
    media_pb2.BODY_FORM_TEXT: Form.TEXT,
    media_pb2.BODY_FORM_BYTES: Form.BYTES,
}


@dataclass(frozen=True)
class Offer:
    """A media type that a method can write."""

    media_type: str
    """As sent in Content-Type."""
    names: tuple[str, ...]
    """What chooses it: the bare type and its further spellings."""
    sets: str = ""
    """Request field set when it is chosen."""
    xml: bool = False
    """What would be JSON is written as XML."""

    @property
    def header(self) -> tuple[bytes, bytes]:
        """The Content-Type line."""
        return b"content-type", self.media_type.encode("latin-1")


def bare(media_type: str) -> str:
    """Drop parameters and case: `Application/JSON; charset=utf-8` is `application/json`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Tell JSON and what is built on it (`application/problem+json`)."""
    name = bare(media_type)
    return name == JSON or name.endswith("+json")


def is_text(media_type: str) -> bool:
    """Tell types that print a scalar bare; the text of an event stream only carries JSON."""
    return media_type.lower().startswith("text/") and bare(media_type) != EVENT_STREAM


def form_of(media_type: str, declared: int) -> Form:
    """Say how a body of the bare type is read."""
    if declared in _DECLARED:
        return _DECLARED[declared]
    if media_type == URLENCODED:
        return Form.URLENCODED
    if media_type == MULTIPART:
        return Form.MULTIPART
    if is_json(media_type):
        return Form.JSON
    return Form.TEXT if is_text(media_type) else Form.BYTES


def fits(media_type: str, pattern: str) -> bool:
    """Tell whether a bare type falls under `a/b`, `a/*` or `*/*`."""
    if pattern in {media_type, "*/*", "*"}:
        return True
    return pattern.endswith("/*") and media_type.startswith(pattern[:-1])


def offer(produces: media_pb2.Produces) -> Offer:
    """Turn a declared type into an offer."""
    return Offer(produces.media_type, (bare(produces.media_type), *map(bare, produces.also)), produces.sets)


def negotiate(accept: str, offers: Sequence[Offer]) -> Offer | None:
    """Choose what the client likes best; of equals the one declared first. None: it accepts none of them.

    The quality of an offer is that of the most specific range that it falls under, as RFC 9110 has it.
    """
    if not accept.strip() or len(accept) > LONGEST_ACCEPT:
        return offers[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best: Offer | None = None
    best_quality = 0.0
    for candidate in offers:
        quality = max(_quality(name, ranges) for name in candidate.names)
        if quality > best_quality:
            best, best_quality = candidate, quality
    return best


def _range(text: str) -> tuple[str, float]:
    pattern, *parameters = text.split(";")
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 1.0
    return pattern.strip().lower(), quality


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Find the quality of the most specific range: the exact type, then `a/*`, then `*/*`."""
    by_rank: dict[int, float] = {}
    for pattern, quality in ranges:
        if fits(media_type, pattern):
            rank = 2 if pattern == media_type else int(not pattern.startswith("*"))
            by_rank[rank] = max(quality, by_rank.get(rank, 0.0))
    return by_rank[max(by_rank)] if by_rank else 0.0
