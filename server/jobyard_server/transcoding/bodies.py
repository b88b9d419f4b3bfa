"""Prints the body of an answer: a message, one field of it, bare text, or the exact bytes of an HttpBody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import link_pb2
from jobyard_server.transcoding.body_forms import HTTP_BODY
from jobyard_server.transcoding.codec import compile_encoder, compile_field_encoder, print_tree
from jobyard_server.transcoding.codec.declared import is_map
from jobyard_server.transcoding.fields import Way, owner_of, reader, way
from jobyard_server.transcoding.links import LinkBook
from jobyard_server.transcoding.media import OCTETS, Offer, is_text
from jobyard_server.transcoding.printing import Exchange, Scope, text_of
from jobyard_server.transcoding.query import QueryTable
from jobyard_server.transcoding.surface import DeclarationError

BodyWriter = Callable[[Message, Exchange, Offer], tuple[bytes, str]]
"""Prints the body; the second part is its media type where the message itself says it."""

_F = FieldDescriptor


class Writers:
    """Compiles the body writers of one method."""

    def __init__(
        self, scope: Scope, links: LinkBook, page_links: Sequence[link_pb2.Link], table: QueryTable | None
    ) -> None:
        self._scope = scope
        self._links = links
        self._page_links = page_links
        self._table = table

    def of(self, body: str, media_type: str = "") -> BodyWriter:
        """Compile the writer of the field `body`, or of the whole response."""
        response = self._scope.response
        steps: Way = way(response, body, where=self._scope.where) if body else ()
        printed = steps[-1].message_type if steps else response
        if printed is not None and printed.full_name == HTTP_BODY and not (steps and steps[-1].is_repeated):
            return _exact(steps, media_type or OCTETS)
        plain_text = _text(steps, self._scope) if steps else None
        if media_type and is_text(media_type):
            if plain_text is None:
                what = body or "the whole response"
                raise DeclarationError(f"{self._scope.where}: {what} cannot be printed as {media_type}")
            return plain_text
        json = self._json(steps, printed)
        if plain_text is None:
            return json
        return _by_offer(plain_text, json)

    def _json(self, steps: Way, printed: Descriptor | None) -> BodyWriter:
        linked = self._linked(steps, printed)
        if linked is not None:
            return linked
        if not steps:
            encode = compile_encoder(self._scope.response, self._scope.dialect)
            return lambda message, _exchange, _offer: (encode(message), "")
        owner = owner_of(steps)
        if printed is not None and not steps[-1].is_repeated:
            whole, read = compile_encoder(printed, self._scope.dialect), reader(steps)
            return lambda message, _exchange, _offer: (whole(read(message)), "")
        encode_field = compile_field_encoder(steps[-1], self._scope.dialect)
        return lambda message, _exchange, _offer: (encode_field(owner(message)), "")

    def _linked(self, steps: Way, printed: Descriptor | None) -> BodyWriter | None:
        """Compile the writer of a body with links, which goes by way of a tree."""
        if printed is None or not (self._page_links or self._links.bears(printed)):
            return None
        if steps and steps[-1].is_repeated:
            return self._linked_items(steps, printed)
        dialect = self._scope.dialect
        encode, plan = compile_encoder(printed, dialect), self._links.plan(printed)
        read: Callable[[Message], Any] = reader(steps) if steps else lambda message: message
        page = self._links.of_page(self._page_links, self._scope, printed, self._table)

        def write(message: Message, exchange: Exchange, _offer: Offer) -> tuple[bytes, str]:
            shown = read(message)
            tree = encode.tree(shown)
            page(message, tree, exchange)
            plan.fill(shown, tree, exchange)
            return print_tree(tree), ""

        return write

    def _linked_items(self, steps: Way, printed: Descriptor) -> BodyWriter:
        if is_map(steps[-1]):
            raise DeclarationError(f"{self._scope.where}: a map cannot be printed with links")
        encode, plan, read = compile_encoder(printed, self._scope.dialect), self._links.plan(printed), reader(steps)

        def write(message: Message, exchange: Exchange, _offer: Offer) -> tuple[bytes, str]:
            trees = []
            for item in read(message):
                tree = encode.tree(item)
                plan.fill(item, tree, exchange)
                trees.append(tree)
            return print_tree(trees), ""

        return write


def _exact(steps: Way, unsaid: str) -> BodyWriter:
    """Compile the writer of an HttpBody; `unsaid` is its media type where it names none."""
    read: Callable[[Message], Any] = reader(steps) if steps else lambda message: message

    def write(message: Message, _exchange: Exchange, _offer: Offer) -> tuple[bytes, str]:
        body = read(message)
        return body.data, body.content_type or unsaid

    return write


def _text(steps: Way, scope: Scope) -> BodyWriter | None:
    """Compile the writer of a single value as bare text; None for what is no single value."""
    last = steps[-1]
    if last.is_repeated:
        return None
    read = reader(steps)
    if last.type == _F.TYPE_BYTES:
        return lambda message, _exchange, _offer: (read(message), "")
    try:
        text = text_of(last, scope.dialect)
    except DeclarationError:
        return None
    return lambda message, _exchange, _offer: (text(read(message)).encode(), "")


def _by_offer(plain_text: BodyWriter, json: BodyWriter) -> BodyWriter:
    def write(message: Message, exchange: Exchange, offer: Offer) -> tuple[bytes, str]:
        return (plain_text if is_text(offer.media_type) else json)(message, exchange, offer)

    return write
