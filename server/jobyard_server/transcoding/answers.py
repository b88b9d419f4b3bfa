"""Answers success as a method declares: which status, which headers, which part of the response is the body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import Message

from jobyard.rest.v1 import answer_pb2, error_pb2
from jobyard_server.transcoding.addresses import Mount, address
from jobyard_server.transcoding.bodies import BodyWriter, Writers
from jobyard_server.transcoding.conditional import Text, entity_tag, last_modified, not_modified
from jobyard_server.transcoding.headers import Headers
from jobyard_server.transcoding.media import Offer
from jobyard_server.transcoding.printing import Exchange, Holds, Print, Scope
from jobyard_server.transcoding.reply import SANDBOX, Header, Reply, content_type, header_value
from jobyard_server.transcoding.surface import DeclarationError, MethodSpec, RouteSpec

_NO_BODY_STATUSES = frozenset({204, 205, 304})


@dataclass(frozen=True)
class _Answer:
    """One declared answer, compiled."""

    status: int
    holds: Holds | None
    write: BodyWriter | None
    media_type: Header | None
    tag: Text | None
    modified: Text | None
    headers: tuple[tuple[bytes, Print, Holds | None], ...]

    def reply(self, message: Message, exchange: Exchange, offer: Offer) -> Reply:
        """Print a response for which this answer holds."""
        reply = Reply(self.status)
        for name, text, holds in self.headers:
            if holds is None or holds(message, exchange):
                value = text(message, exchange)
                if value:
                    reply.headers.append((name, header_value(value)))
        if self.write is not None:
            body, exact_type = self.write(message, exchange, offer)
            reply.body = body
            if exact_type:
                reply.headers += (content_type(exact_type), SANDBOX)
            else:
                reply.headers.append(self.media_type or offer.header)
        return reply


class AnswerTable:
    """The answers of one method."""

    def __init__(
        self,
        declared: Iterable[answer_pb2.Answer],
        scope: Scope,
        writers: Writers,
        mount: Mount,
        *,
        absolute_location: bool,
    ) -> None:
        self._where = scope.where
        self._answers = tuple(
            _compile(each, scope, writers, mount, absolute_location=absolute_location) for each in declared
        )

    @property
    def only(self) -> bool:
        """Say whether there is nothing to choose."""
        return len(self._answers) == 1 and self._answers[0].holds is None

    def reply(self, message: Message, exchange: Exchange, offer: Offer, headers: Headers, *, safe: bool) -> Reply:
        """Choose the first answer that holds and print it; a `safe` request may be settled with a 304."""
        for answer in self._answers:
            if answer.holds is None or answer.holds(message, exchange):
                break
        else:
            raise DeclarationError(f"no answer of {self._where} holds for its response")
        if answer.tag is None and answer.modified is None:
            return answer.reply(message, exchange, offer)
        return _validated(answer, message, exchange, offer, headers if safe else {})


def _validated(answer: _Answer, message: Message, exchange: Exchange, offer: Offer, headers: Headers) -> Reply:
    tag = answer.tag(message) if answer.tag is not None else ""
    date = answer.modified(message) if answer.modified is not None else ""
    validators = [(name, header_value(value)) for name, value in ((b"etag", tag), (b"last-modified", date)) if value]
    if headers and not_modified(headers, tag, date):
        return Reply(304, validators)
    reply = answer.reply(message, exchange, offer)
    reply.headers += validators
    return reply


def _compile(
    declared: answer_pb2.Answer, scope: Scope, writers: Writers, mount: Mount, *, absolute_location: bool
) -> _Answer:
    status, empty = declared.status or 200, is_empty(declared)
    headers = [_header(each, scope) for each in declared.headers]
    if declared.location:
        location = address(scope, declared.location, mount, absolute=absolute_location)
        headers.append((b"location", location, None))
    return _Answer(
        status=status,
        holds=scope.condition(declared.when),
        write=None if empty else writers.of(declared.body, declared.media_type),
        media_type=content_type(declared.media_type) if declared.media_type else None,
        tag=entity_tag(scope, declared.etag) if declared.HasField("etag") else None,
        modified=last_modified(scope, declared.last_modified) if declared.last_modified else None,
        headers=tuple(headers),
    )


def answers_of(spec: MethodSpec, route: RouteSpec, profiles: frozenset[str]) -> list[answer_pb2.Answer]:
    """Give the answers that count with these profiles; one that names no body has the `response_body` of the route."""
    on = [each for each in spec.answers if _switched_on(each.profile, profiles)] or [answer_pb2.Answer()]
    if not route.response_body:
        return on
    found = [answer_pb2.Answer(body=route.response_body) for _ in on]
    for whole, declared in zip(found, on, strict=True):
        whole.MergeFrom(declared)
    return found


def is_empty(declared: answer_pb2.Answer) -> bool:
    """Tell an answer that has no body."""
    return declared.empty or declared.status in _NO_BODY_STATUSES


def _header(declared: error_pb2.HeaderText, scope: Scope) -> tuple[bytes, Print, Holds | None]:
    return declared.name.lower().encode(), scope.text(declared.text), scope.condition(declared.when)


def _switched_on(profile: str, profiles: frozenset[str]) -> bool:
    if profile.startswith("!"):
        return profile[1:] not in profiles
    return not profile or profile in profiles
