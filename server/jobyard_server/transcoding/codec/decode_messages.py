"""Message types compiled into readers: the members of an object into a message's arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import (
    COMPILING,
    Member,
    Words,
    shape_of,
    standalone,
    words_of,
)
from jobyard_server.transcoding.codec.decode_any import any_reader
from jobyard_server.transcoding.codec.decode_fields import reader_of, takes_null
from jobyard_server.transcoding.codec.decode_objects import object_reader
from jobyard_server.transcoding.codec.decode_scalars import Read, text
from jobyard_server.transcoding.codec.decode_wellknown import well_known
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.errors import (
    LONGEST_SEGMENT,
    CodecError,
    MissingMemberError,
    ReadOnlyMemberError,
    UnknownMemberError,
)
from jobyard_server.transcoding.codec.extensions import find_extension, with_extensions
from jobyard_server.transcoding.codec.inline import kinds_taken
from jobyard_server.transcoding.codec.known import ANY
from jobyard_server.transcoding.codec.raw import target_of

# The argument of the constructor that a member becomes, and its reader; none for plain text.
# An extension is no argument: it stands under its descriptor.
Entry = tuple[str | FieldDescriptor, Read | None]
# How many names an unknown one is compared with.
MOST_COMPARED = 16
Check = Callable[[dict[str, Any]], None]


class MessagePlan:
    """How one message type is read. Those that mention it hold it before it is finished."""

    __slots__ = ("read",)
    read: Read


class DecodePlans:
    """The plans of all message types of one dialect, made when first asked for."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._plans: dict[Descriptor, MessagePlan] = {}
        self._words: dict[EnumDescriptor, Words] = {}
        self._checked: set[Descriptor] = set()

    def check(self, message: Descriptor) -> None:
        """Refuse a declaration that means two things, also in what the message leads to: now, not at a request."""
        if message in self._checked:
            return
        members = [each for each in shape_of(message, self.dialect).members if not each.from_header]
        refuse_clashes(message, members)
        self._checked.add(message)
        for member in members:
            target = target_of(member)
            if target is not None:
                self.check(target)

    def of(self, message: Descriptor) -> MessagePlan:
        """Give the plan of a message type; others wait until a plan and all it needs are done."""
        with COMPILING:
            plan = self._plans.get(message)
            if plan is None:
                plan = self._plans[message] = MessagePlan()
                plan.read = self._reader(message)
            return plan

    def words(self, enum: EnumDescriptor) -> Words:
        """Give the words of an enum."""
        with COMPILING:
            if enum not in self._words:
                self._words[enum] = words_of(enum, self.dialect)
            return self._words[enum]

    def _reader(self, message: Descriptor) -> Read:
        if message.full_name == ANY:
            return any_reader(self, message.file.pool)
        own_form = well_known(message, self.dialect)
        if own_form is not None:
            return own_form
        table = Table(message, self)
        return table.with_more(table.reader())


class Table:
    """The members of one message type, by every spelling under which they are read."""

    def __init__(self, message: Descriptor, plans: DecodePlans) -> None:
        shape = shape_of(message, plans.dialect)
        self._message = message
        self._plans = plans
        self._ignores_unknown = shape.ignores_unknown
        known = [member for member in shape.members if not member.from_header]
        self._members = [member for member in known if not member.options.on_input]
        self._not_read = {
            spelling: member for member in known if member.options.on_input for spelling in member.spellings
        }
        self._entries = {member.name: entry_of(member, plans) for member in self._members}
        self._others = {
            spelling: member
            for member in reversed(self._members)
            for spelling in member.spellings[1:]
            if spelling not in self._entries
        }
        self._null_is_value = {
            spelling for member in self._members if takes_null(member) for spelling in member.spellings
        }

    def reader(self) -> Read:
        """Plan the message."""
        reads = [(member, self._entries[member.name][1] or text, takes_null(member)) for member in self._members]
        return object_reader(reads, self._checks(), self._rest, self._plans.words, self._plans.dialect)

    def _rest(self, tree: dict[str, Any], out: dict[Any, Any], depth: int) -> None:
        """Read the members that are not spelled in the first way."""
        name = ""
        try:
            for name, value in tree.items():
                if name in self._entries:
                    continue
                entry = self._stray(name, tree)
                if entry is None or (value is None and name not in self._null_is_value):
                    continue
                argument, read_value = entry
                out[argument] = (read_value or text)(value, depth)
        except CodecError as problem:
            problem.about(tree[name], self._plans.dialect.show)
            problem.within(name)
            raise

    def _stray(self, name: str, tree: dict[str, Any]) -> Entry | None:
        """Find a member that is not spelled in the first way; nothing when it is passed over."""
        member = self._others.get(name)
        if member is not None:
            for spelling in member.spellings:
                if spelling != name and spelling in tree:
                    raise CodecError(f"is given twice, also as {spelling}")
            return self._entries[member.name]
        member = self._not_read.get(name)
        if member is not None:
            if member.options.on_input == json_pb2.ON_INPUT_REJECT:
                raise ReadOnlyMemberError("is set by the server and cannot be sent")
            return None
        extension = find_extension(self._message, name)
        if extension is not None:
            return extension, reader_of(standalone(extension, self._plans.dialect), self._plans)
        if self._ignores_unknown:
            return None
        close = closest(name, self._entries)
        raise UnknownMemberError("is not known here" + (f", did you mean {close}?" if close else ""))

    def _checks(self) -> list[Check]:
        """Plan what is checked of an object as a whole."""
        required = [m.spellings for m in self._members if m.options.required]
        checks = [demand(required)] if required else []
        for oneof in self._message.oneofs:
            names = {field.name for field in oneof.fields}
            members = [member for member in self._members if member.field.name in names]
            if len(members) > 1:
                checks.append(exclusive(members, self._null_is_value))
        return checks

    def with_more(self, ordinary: Read) -> Read:
        """Plan a message that may have extensions, or stand for one of its fields."""
        if self._message.is_extendable:
            ordinary = with_extensions(self._message, ordinary)
        choices = [
            (kinds_taken(member), member.field.name, reader_of(member, self._plans))
            for member in self._members
            if member.options.inline
        ]
        if not choices:
            return ordinary

        def read(value: Any, depth: int) -> Any:
            for kinds, argument, read_value in choices:
                if value.__class__ in kinds:
                    return {argument: read_value(value, depth + 1)}
            return ordinary(value, depth)

        return read


def refuse_clashes(message: Descriptor, members: Iterable[Member]) -> None:
    """Refuse a declaration by which one spelling means two members."""
    meant: dict[str, str] = {}
    for member in members:
        for spelling in (member.name, *member.options.also):
            if meant.setdefault(spelling, member.field.name) != member.field.name:
                raise ValueError(f"{message.full_name}: two members are spelled {spelling}")


def entry_of(member: Member, plans: DecodePlans) -> Entry:
    """Plan one member."""
    read = reader_of(member, plans)
    return member.field.name, None if read is text else read


def closest(name: str, known: Iterable[str]) -> str | None:
    """Guess which member was meant, among those of one initial: comparing with all costs more than the request."""
    alike = [spelling for spelling in known if spelling[:1].lower() == name[:1].lower()]
    alike.sort(key=lambda spelling: abs(len(spelling) - len(name)))
    found = get_close_matches(name[:LONGEST_SEGMENT], alike[:MOST_COMPARED], n=1)
    return found[0] if found else None


def demand(required: Iterable[tuple[str, ...]]) -> Check:
    """Plan the check that members are there; null counts as absent."""

    def check(tree: dict[str, Any]) -> None:
        for spellings in required:
            if all(tree.get(spelling) is None for spelling in spellings):
                raise MissingMemberError("is required", "." + spellings[0])

    return check


def exclusive(members: Iterable[Member], null_is_value: set[str]) -> Check:
    """Plan the check that at most one member of a oneof is there."""
    spellings = [spelling for member in members for spelling in member.spellings]

    def check(tree: dict[str, Any]) -> None:
        found = ""
        for spelling in spellings:
            if spelling in tree and (tree[spelling] is not None or spelling in null_is_value):
                if found:
                    raise CodecError(f"cannot be given together with {found}", "." + spelling)
                found = spelling

    return check
