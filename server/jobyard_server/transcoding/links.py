"""Fills the links that messages and methods declare into what is about to be printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import link_pb2
from jobyard_server.transcoding.addresses import Mount, address, reprinted
from jobyard_server.transcoding.codec.declared import Member, is_map, shape_of
from jobyard_server.transcoding.codec.dialect import Dialect, Unset
from jobyard_server.transcoding.fields import message_of
from jobyard_server.transcoding.printing import Exchange, Holds, Print, Scope
from jobyard_server.transcoding.query import QueryTable
from jobyard_server.transcoding.surface import DeclarationError

Tree = Any
Row = dict[str, str | None]

_CONSTANT_PARTS: dict[int, str] = {
    link_pb2.LINK_PART_REL: "rel",
    link_pb2.LINK_PART_METHOD: "method",
    link_pb2.LINK_PART_TYPE: "type",
    link_pb2.LINK_PART_ITEM_TYPE: "item_type",
    link_pb2.LINK_PART_RESPONSE_TYPE: "response_type",
    link_pb2.LINK_PART_RESPONSE_ITEM_TYPE: "response_item_type",
    link_pb2.LINK_PART_TITLE: "title",
}


@dataclass(frozen=True, slots=True)
class _Filler:
    """Puts one declared link into the tree of its message."""

    holds: Holds | None
    href: Print
    into: tuple[str, ...]
    """Members that lead to the string that takes the address alone; empty for a row of the list."""
    row: Callable[[str, Message, Exchange], Row] | None
    rows: str
    """The member that holds the list."""

    def fill(self, message: Message, tree: Tree, exchange: Exchange) -> None:
        """Add the link if its condition holds."""
        if self.holds is not None and not self.holds(message, exchange):
            return
        href = self.href(message, exchange)
        if self.row is not None:
            tree.setdefault(self.rows, []).append(self.row(href, message, exchange))
            return
        for name in self.into[:-1]:
            tree = tree.setdefault(name, {})
        tree[self.into[-1]] = href


@dataclass(slots=True)
class _Plan:
    """The links of one message type and of those inside it."""

    fillers: list[_Filler] = field(default_factory=list)
    children: list[tuple[Member, _Plan]] = field(default_factory=list)
    inline: list[tuple[str, _Plan | None]] = field(default_factory=list)

    def fill(self, message: Message, tree: Tree, exchange: Exchange) -> None:
        """Add all links to the tree of a message."""
        for name, plan in self.inline:
            if message.HasField(name):
                if plan is not None:
                    plan.fill(getattr(message, name), tree, exchange)
                return
        for filler in self.fillers:
            filler.fill(message, tree, exchange)
        for member, plan in self.children:
            _fill_member(member, plan, message, tree.get(member.name), exchange)


def _fill_member(member: Member, plan: _Plan, message: Message, tree: Tree, exchange: Exchange) -> None:
    if tree is None:
        return
    value = getattr(message, member.field.name)
    if is_map(member.field):
        for key, item in value.items():
            plan.fill(item, tree[_map_key(key)], exchange)
    elif member.field.is_repeated:
        for item, subtree in zip(value, tree, strict=True):
            plan.fill(item, subtree, exchange)
    elif message.HasField(member.field.name):
        plan.fill(value, tree, exchange)


def _map_key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


class LinkBook:
    """The link plans of a face, one for each message type that bears links or leads to such."""

    def __init__(self, dialect: Dialect, mount: Mount) -> None:
        self._dialect = dialect
        self._mount = mount
        self._plans: dict[str, _Plan] = {}
        self._bearing: dict[str, bool] = {}

    def bears(self, message: Descriptor) -> bool:
        """Tell whether links are printed somewhere in a message."""
        if message.full_name not in self._bearing:
            self._bearing[message.full_name] = any(
                each.GetOptions().Extensions[rest.link] for each in _reachable(message)
            )
        return self._bearing[message.full_name]

    def plan(self, message: Descriptor) -> _Plan:
        """Give the plan of a message type."""
        known = self._plans.get(message.full_name)
        if known is not None:
            return known
        plan = self._plans[message.full_name] = _Plan()
        scope = Scope(message, None, self._dialect, f"the links of {message.full_name}")
        plan.fillers += self._fillers(message.GetOptions().Extensions[rest.link], scope, message, None)
        for member in shape_of(message, self._dialect).members:
            target = _target(member.field)
            leads = target is not None and self.bears(target)
            if member.options.inline and member.field.message_type is not None and not member.field.is_repeated:
                plan.inline.append((member.field.name, self.plan(target) if target is not None and leads else None))
            elif target is not None and leads:
                plan.children.append((member, self.plan(target)))
        return plan

    def of_page(
        self, links: Sequence[link_pb2.Link], scope: Scope, printed: Descriptor, table: QueryTable | None
    ) -> Callable[[Message, Tree, Exchange], None]:
        """Compile the links of a method: over the whole response, into the message that is printed."""
        fillers = self._fillers(links, scope, printed, table)

        def fill(response: Message, tree: Tree, exchange: Exchange) -> None:
            for filler in fillers:
                filler.fill(response, tree, exchange)

        return fill

    def _fillers(
        self, links: Iterable[link_pb2.Link], scope: Scope, printed: Descriptor, table: QueryTable | None
    ) -> list[_Filler]:
        return [self._filler(link, scope, printed, table) for link in links]

    def _filler(self, link: link_pb2.Link, scope: Scope, printed: Descriptor, table: QueryTable | None) -> _Filler:
        into = self._into(link.into, printed, scope) if link.into else ()
        rows = None if into else self._rows_member(printed, scope)
        row = None if rows is None else self._row(link, rows, scope)
        return _Filler(
            holds=scope.condition(link.when),
            href=self._href(link, scope, table),
            into=into,
            row=row,
            rows="" if rows is None else rows.name,
        )

    def _href(self, link: link_pb2.Link, scope: Scope, table: QueryTable | None) -> Print:
        base = address(scope, link.href or "{path}", self._mount, absolute=link.absolute)
        if not link.HasField("reprint"):
            return base
        query = reprinted(scope, link.reprint, table)
        return lambda message, exchange: base(message, exchange) + query(message, exchange)

    def _into(self, path: str, printed: Descriptor, scope: Scope) -> tuple[str, ...]:
        names: list[str] = []
        at: Descriptor | None = printed
        for name in path.split("."):
            members = shape_of(at, self._dialect).members if at is not None else ()
            member = next((each for each in members if each.field.name == name), None)
            if member is None:
                raise DeclarationError(f"{scope.where}: {printed.full_name} prints no member {path}")
            names.append(member.name)
            at = member.field.message_type
        return tuple(names)

    def _rows_member(self, printed: Descriptor, scope: Scope) -> Member:
        for member in shape_of(printed, self._dialect).members:
            target = member.field.message_type
            if member.field.is_repeated and target is not None and any(map(_part, target.fields)):
                return member
        raise DeclarationError(f"{scope.where}: {printed.full_name} has no list whose items say link_part")

    def _row(self, link: link_pb2.Link, rows: Member, scope: Scope) -> Callable[[str, Message, Exchange], Row]:
        cells = [
            (member, self._cell(link, member, scope))
            for member in shape_of(message_of(rows.field), self._dialect).members
        ]

        def row(href: str, message: Message, exchange: Exchange) -> Row:
            printed: Row = {}
            for member, cell in cells:
                text = href if cell is None else cell(message, exchange)
                if text or member.unset is not Unset.OMIT:
                    printed[member.name] = text or (None if _nullable(member) else "")
            return printed

        return row

    def _cell(self, link: link_pb2.Link, member: Member, scope: Scope) -> Print | None:
        """Compile one member of a row; None stands for the address."""
        part = _part(member.field)
        if part == link_pb2.LINK_PART_HREF:
            return None
        if part in _CONSTANT_PARTS:
            text = getattr(link, _CONSTANT_PARTS[part])
            return lambda _message, _exchange: text
        return scope.text(link.extra.get(member.field.name, ""))


def _nullable(member: Member) -> bool:
    return member.unset is Unset.NULL and member.field.has_presence


def _part(row_field: FieldDescriptor) -> int:
    return int(row_field.GetOptions().Extensions[rest.link_part])


def _target(of: FieldDescriptor) -> Descriptor | None:
    target: Descriptor | None = of.message_type
    if target is not None and is_map(of):
        return target.fields_by_name["value"].message_type
    return target


def _reachable(message: Descriptor) -> list[Descriptor]:
    found = {message.full_name: message}
    waiting = [message]
    while waiting:
        for each in waiting.pop().fields:
            target = _target(each)
            if target is not None and target.full_name not in found:
                found[target.full_name] = target
                waiting.append(target)
    return list(found.values())
