"""Free JSON kept byte for byte: finding its slices in a request, and printing it unharmed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from google.protobuf.descriptor import Descriptor

from jobyard.rest.v1 import json_pb2
from jobyard_server.transcoding.codec.declared import Member, is_map, readable, shape_of
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.errors import CodecError

_skim = msgspec.json.Decoder(msgspec.Raw).decode


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

    @property
    def annotation(self) -> str:
        """The type of the member, as the second parser sees it."""
        one = f"{identifier(self.target)} | None" if self.target else "Raw"
        if self.keyed:
            return f"dict[str, {one}] | None"
        if self.repeated:
            alone = f" | {one}" if self.lenient and self.target else ""
            return f"list[{one}]{alone} | None"
        return one


class Slicer:
    """Reads the raw slices of one message type out of its source.

    The source is read a second time, by a parser that skips everything but the raw members: a
    struct for each message type on the way to them, whose fields are slices.
    """

    def __init__(self, root: Descriptor, dialect: Dialect) -> None:
        self._spots = raw_spots(root, dialect)
        self._root = root.full_name
        structs = {
            name: msgspec.defstruct(
                identifier(name),
                [(spot.attribute, spot.annotation, None) for spot in spots],
                rename={spot.attribute: spot.name for spot in spots},
            )
            for name, spots in self._spots.items()
        }
        for struct in structs.values():
            # Annotations that name each other's structs are looked up in the class itself.
            setattr(struct, "Raw", msgspec.Raw)  # noqa: B010
            for name, other in structs.items():
                setattr(struct, identifier(name), other)
        top = structs.get(self._root)
        self._decode = msgspec.json.Decoder(top).decode if top else None

    def graft(self, source: bytes, tree: Any) -> bool:
        """Put the slices of the source into the tree that was parsed from it, as msgspec.Raw.

        False when the source does not have the shape that its message asks for: then the decoder
        says what is wrong, better than this parser would.
        """
        if self._decode is None:
            return True
        try:
            slices = self._decode(source)
        except (msgspec.DecodeError, RecursionError):
            return False
        self._replace(self._root, tree, slices)
        return True

    def _replace(self, message: str, tree: Any, slices: Any) -> None:
        for spot in self._spots[message]:
            part = getattr(slices, spot.attribute)
            if part is None:
                continue
            parsed = tree[spot.name]
            if not spot.target:
                tree[spot.name] = kept(parsed, part)
                continue
            for item, slice_ in pairs(parsed, part):
                if slice_ is not None:
                    self._replace(spot.target, item, slice_)


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


def raw_spots(root: Descriptor, dialect: Dialect) -> dict[str, list[Spot]]:
    """Find every message reachable from the root that holds or leads to raw members, and where."""
    reachable = {root.full_name: list(readable(shape_of(root, dialect)))}
    pending = [root.full_name]
    while pending:
        for member in reachable[pending.pop()]:
            target = target_of(member)
            if target is not None and target.full_name not in reachable:
                reachable[target.full_name] = list(readable(shape_of(target, dialect)))
                pending.append(target.full_name)
    bearing: set[str] = set()
    size = -1
    while size < len(bearing):
        size = len(bearing)
        bearing |= {name for name, members in reachable.items() if any(leading(members, bearing))}
    return {name: list(spots_of(reachable[name], bearing)) for name in bearing}


def leading(members: Iterable[Member], bearing: set[str]) -> Iterator[Member]:
    """Pick the members that are raw or lead to raw ones."""
    for member in members:
        target = target_of(member)
        if member.options.raw or (target is not None and target.full_name in bearing):
            yield member


def spots_of(members: Iterable[Member], bearing: set[str]) -> Iterator[Spot]:
    """Describe these members to the second parser, each under all its spellings."""
    number = 0
    for member in leading(members, bearing):
        target = target_of(member)
        for name in member.spellings:
            yield Spot(
                attribute=f"spot{number}",
                name=name,
                repeated=member.field.is_repeated,
                keyed=is_map(member.field),
                lenient=member.lenient,
                target=target.full_name if target is not None else "",
            )
            number += 1


def target_of(member: Member) -> Descriptor | None:
    """Give the message that a member holds: of a map, the message among its values."""
    message: Descriptor | None = member.field.message_type
    if message is not None and is_map(member.field):
        return message.fields_by_name["value"].message_type
    return message


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CodecError("does not hold JSON") from None
    if kind == json_pb2.RAW_OBJECT and not source.lstrip(b" \t\r\n").startswith(b"{"):
        raise CodecError("does not hold a JSON object")
    return orjson.Fragment(source)


def single_line(document: bytes) -> bytes:
    """Put a printed document on one line: only raw members can bring line breaks, as blanks."""
    return document.replace(b"\n", b" ").replace(b"\r", b" ")
