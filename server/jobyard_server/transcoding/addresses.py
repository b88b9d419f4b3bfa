"""Addresses that answers carry: templates of paths moved to where a face is mounted, with the query printed again."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from jobyard.rest.v1 import face_pb2, link_pb2
from jobyard_server.transcoding.fields import way
from jobyard_server.transcoding.percent import encode
from jobyard_server.transcoding.printing import Exchange, Print, Scope
from jobyard_server.transcoding.query import QueryTable, label
from jobyard_server.transcoding.surface import DeclarationError


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a face is found: settings may move its context path."""

    declared: str
    moved_to: str

    @classmethod
    def of(cls, face: face_pb2.Face, moved_to: str | None) -> Mount:
        """Read the context path of a face, which is its first prefix."""
        declared = face.prefixes[0].rstrip("/") if face.prefixes else ""
        return cls(declared, declared if moved_to is None else moved_to.rstrip("/"))

    def path(self, declared: str) -> str:
        """Move a path or a template of one; what lies outside the context path stays."""
        if self.declared == self.moved_to or not declared.startswith(self.declared):
            return declared
        rest = declared[len(self.declared) :]
        return self.moved_to + rest if not rest or rest[0] in "/:" else declared


def address(scope: Scope, template: str, mount: Mount, *, absolute: bool = False) -> Print:
    """Compile a template of an address; fields are percent-encoded."""
    text = scope.text(mount.path(template), encoded=True)
    if not absolute:
        return text

    def with_host(message: Message, exchange: Exchange) -> str:
        path = text(message, exchange)
        return exchange.asked.public_url + path if path.startswith("/") else path

    return with_host


def reprinted(scope: Scope, declared: link_pb2.Reprint, table: QueryTable | None) -> Print:
    """Compile what prints the query of the request again, with `?` in front unless nothing is left."""
    drop = {_label(scope, name) for name in declared.drop}
    fresh = {_label(scope, name): scope.text(text) for name, text in sorted(declared.set.items())}
    defaults = [_default(scope, text) for text in declared.defaults]
    keep = table is not None and not declared.nothing_else

    def pairs(message: Message, exchange: Exchange) -> list[tuple[str, str]]:
        old = table.pairs(exchange.asked.query) if keep and table is not None else []
        printed = [pair for pair in old if pair[0] not in drop and pair[0] not in fresh]
        present = {name for name, _ in printed} | set(fresh)
        printed += [(name, text(message, exchange)) for name, text in defaults if name not in present]
        set_anew = ((name, text(message, exchange)) for name, text in fresh.items())
        return printed + [pair for pair in set_anew if pair[1]]

    def query(message: Message, exchange: Exchange) -> str:
        printed = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs(message, exchange))
        return f"?{printed}" if printed else ""

    return query


def _label(scope: Scope, name: str) -> str:
    if scope.request is None:
        raise DeclarationError(f"{scope.where}: only the links of a method can print a query")
    return ".".join(label(step, scope.dialect) for step in way(scope.request, name, where=scope.where))


def _default(scope: Scope, text: str) -> tuple[str, Print]:
    name, equals, value = text.partition("=")
    if not equals:
        raise DeclarationError(f"{scope.where}: {text!r} is not a field and its value")
    return _label(scope, name), scope.text(value)
