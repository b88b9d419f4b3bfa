"""Free JSON kept byte for byte: finding its slices in a request, and printing it unharmed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import msgspec
import orjson
from google.protobuf.descriptor import Descriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, is_map, map_fields, readable, shape_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.inline import kinds_taken
from jobyard_server.transcoding.codec.source import TOO_DEEP

Decode = Callable[[Any], Any]
# Members of the messages that hold or lead to raw ones, by the message's full name.
Bearing = dict[str, list[Member]]

DEEPEST: Final = 1000
"""Levels of what is printed as it is; more than are read, for what comes from behind."""

_skim = msgspec.json.Decoder(msgspec.Raw).decode
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_STEPS: Final = bytes(set(range(256)) - set(b"[{]}"))


@dataclass(frozen=True, slots=True)
class Spot:
    """One spelling of a member that is raw, or of one that leads to raw members."""

    attribute: str
    name: str
    repeated: bool
    keyed: bool
    lenient: bool
    target: str
    """Full name of the message it leads to; empty when it is raw itself."""
    inlined: bool
    """That message may stand for one of its fields, so its JSON is a slice to be looked at again."""

    @property
    def annotation(self) -> str:
        """The type of the member, as the second parser sees it."""
        one = f"{identifier(self.target)} | None" if self.target and not self.inlined else "Raw"
        if self.keyed:
            return f"dict[str, {one}] | None"
        if self.repeated:
            alone = f" | {one}" if self.lenient and one != "Raw" else ""
            return f"list[{one}]{alone} | None"
        return one


@dataclass(frozen=True, slots=True)
class Choice:
    """A field that its message may stand for: the kinds of JSON it takes, and how to find raw members in them."""

    kinds: frozenset[type]
    spot: Spot | None
    decode: Decode


class Slicer:
    """Reads the raw slices of one message type out of its source.

    The source is read a second time, by a parser that skips everything but the raw members: a
    struct for each message type on the way to them, whose fields are slices.
    """

    def __init__(self, root: Descriptor, dialect: Dialect) -> None:
        self._root = root.full_name
        self._spots: dict[str, list[Spot]] = {}
        self._choices: dict[str, list[Choice]] = {}
        self._structs: dict[str, type[msgspec.Struct]] = {}
        bearing = bearing_members(root, dialect)
        for name, members in bearing.items():
            spots = self._spots[name] = list(spots_of(members, bearing))
            self._structs[name] = structure(name, spots)
        self._link(self._structs.values())
        self._decoders = {name: msgspec.json.Decoder(struct).decode for name, struct in self._structs.items()}
        for name, members in bearing.items():
            self._choices[name] = [self._choice(name, member, bearing) for member in members if member.options.inline]

    def _link(self, structs: Iterable[type[msgspec.Struct]]) -> None:
        """Let annotations find the structs that they name: they are looked up in the class itself."""
        for struct in structs:
            setattr(struct, "Raw", msgspec.Raw)  # noqa: B010 - an attribute that the type does not have
            for name, other in self._structs.items():
                setattr(struct, identifier(name), other)

    def _choice(self, name: str, member: Member, bearing: Bearing) -> Choice:
        if member.options.raw:
            raise ValueError(f"{name}: {member.field.name} is raw and cannot be read inline")
        spot = next(spots_of([member], bearing), None)
        holder = structure(name + ".inline", [spot] if spot else [])
        self._link([holder])
        return Choice(kinds_taken(member), spot, msgspec.json.Decoder(holder).decode)

    def graft(self, source: bytes, tree: Any) -> bool:
        """Put the slices of the source into the tree that was parsed from it, as msgspec.Raw.

        False when the source does not have the shape that its message asks for: then the decoder
        says what is wrong, better than this parser would.
        """
        if not self._spots:
            return True
        try:
            self._enter(self._root, source, tree)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def _enter(self, message: str, source: bytes | msgspec.Raw, parsed: Any) -> None:
        """Read the source of a message, which may be that of one of its fields."""
        for choice in self._choices[message]:
            if parsed.__class__ in choice.kinds:
                if choice.spot is not None:
                    name = choice.spot.name
                    around = b"{%b:%b}" % (orjson.dumps(name), bytes(source))
                    self._replace([choice.spot], {name: parsed}, choice.decode(around))
                return
        self._replace(self._spots[message], parsed, self._decoders[message](source))

    def _replace(self, spots: list[Spot], tree: Any, slices: Any) -> None:
        for spot in spots:
            part = getattr(slices, spot.attribute)
            if part is None:
                continue
            parsed = tree[spot.name]
            if not spot.target:
                tree[spot.name] = kept(parsed, part)
                continue
            for item, slice_ in pairs(parsed, part):
                if spot.inlined:
                    self._enter(spot.target, slice_, item)
                elif slice_ is not None:
                    self._replace(self._spots[spot.target], item, slice_)


def structure(name: str, spots: list[Spot]) -> type[msgspec.Struct]:
    """Describe an object to the second parser: nothing of it but these members."""
    return msgspec.defstruct(
        identifier(name),
        [(spot.attribute, spot.annotation, None) for spot in spots],
        rename={spot.attribute: spot.name for spot in spots},
    )


def kept(parsed: Any, part: Any) -> Any:
    """Give slices for what was parsed; null stays null, so that it can count as absent."""
    if parsed is None:
        return None
    if isinstance(part, dict):
        return {key: kept(parsed[key], item) for key, item in part.items()}
    if isinstance(part, list):
        return [kept(*item) for item in zip(parsed, part, strict=True)]
    return part


def pairs(parsed: Any, part: Any) -> Iterable[tuple[Any, Any]]:
    """Walk over what was parsed and its slices side by side."""
    if isinstance(part, dict):
        return [(parsed[key], item) for key, item in part.items()]
    if isinstance(part, list):
        return zip(parsed, part, strict=True)
    return [(parsed, part)]


def bearing_members(root: Descriptor, dialect: Dialect) -> Bearing:
    """Find every message reachable from the root that holds or leads to raw members, with all its members."""
    reachable = {root.full_name: list(readable(shape_of(root, dialect)))}
    pending = [root.full_name]
    while pending:
        for member in reachable[pending.pop()]:
            target = target_of(member)
            if target is not None and target.full_name not in reachable:
                reachable[target.full_name] = list(readable(shape_of(target, dialect)))
                pending.append(target.full_name)
    bearing: Bearing = {}
    size = -1
    while size < len(bearing):
        size = len(bearing)
        bearing |= {name: members for name, members in reachable.items() if any(spots_of(members, bearing))}
    return bearing


def spots_of(members: Iterable[Member], bearing: Bearing) -> Iterator[Spot]:
    """Describe the members that are raw or lead to raw ones, each under all its spellings."""
    number = 0
    for member in members:
        target = target_of(member)
        inner = bearing.get(target.full_name) if target is not None else None
        if inner is None and not member.options.raw:
            continue
        for name in member.spellings:
            yield Spot(
                attribute=f"spot{number}",
                name=name,
                repeated=member.field.is_repeated,
                keyed=is_map(member.field),
                lenient=member.lenient,
                target=target.full_name if target is not None else "",
                inlined=inner is not None and any(member.options.inline for member in inner),
            )
            number += 1


def target_of(member: Member) -> Descriptor | None:
    """Give the message that a member holds: of a map, the message among its values."""
    if is_map(member.field):
        return map_fields(member.field)[1].message_type
    return member.field.message_type


def identifier(full_name: str) -> str:
    """Make a Python name of a message's."""
    return "m_" + full_name.replace(".", "_")


def fragment(text: str | bytes, kind: int) -> object:
    """Print raw JSON as it is, once it is sure that it is JSON and of the right kind.

    What came over gRPC may be any text. Printed unseen it would break the document around it.
    """
    if not text:
        return {} if kind == json_pb2.RAW_OBJECT else None
    source = text.encode() if isinstance(text, str) else text
    try:
        _skim(source)
        # The skimming parser does not look at the bytes of strings; a str has been looked at.
        source.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CodecError("does not hold JSON") from None
    except RecursionError:
        raise CodecError(TOO_DEEP) from None
    if _is_too_deep(source):
        raise CodecError(TOO_DEEP)
    if kind == json_pb2.RAW_OBJECT and not source.lstrip(b" \t\r\n").startswith(b"{"):
        raise CodecError("does not hold a JSON object")
    return orjson.Fragment(source)


def _is_too_deep(source: bytes) -> bool:
    """Count the levels of JSON: how many a parser refuses depends on the Python that runs it."""
    if source.count(b"[") + source.count(b"{") <= DEEPEST:
        return False
    steps = _STRING.sub(b"", source).translate(_STEPS, _NO_STEPS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > DEEPEST


def is_json(source: bytes) -> bool:
    """Tell what has the form of JSON, were it nested too deep or a number too large to be read."""
    try:
        _skim(source)
    except msgspec.DecodeError:
        return False
    except RecursionError:
        return True
    return True


def single_line(document: bytes) -> bytes:
    """Put a printed document on one line: only raw members can bring line breaks, as blanks."""
    return document.replace(b"\n", b" ").replace(b"\r", b" ")
