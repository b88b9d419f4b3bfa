"""Objects into a message's arguments: one function a message type, written out as Python, as encode_objects writes its.

What is written takes the members of the type one after another, each by the name that errors use, and looks at the most
frequent kinds of value without a call. Members that are spelled otherwise, unknown or null are left for another look at
the object, which most objects are spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import EnumDescriptor

from jobyard_server.transcoding.codec.declared import Member, Words
from jobyard_server.transcoding.codec.decode_scalars import WHOLE_NUMBERS, Read, boolean, double, not_text, text
from jobyard_server.transcoding.codec.decode_wellknown import timestamp
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.codec.encode_scalars import WIDE
from jobyard_server.transcoding.codec.errors import CodecError, kind_of, too_deep
from jobyard_server.transcoding.codec.times import parse_time

# Of fewer than 19 digits there is no number that does not fit.
FITS_64_BITS = "held.isdecimal() and held.isascii() and held[0] != '0' and len(held) < 19"
KNOWN = {
    "CodecError": CodecError,
    "kind_of": kind_of,
    "too_deep": too_deep,
    "not_text": not_text,
    "parse_time": parse_time,
}

Check = Callable[[dict[str, Any]], None]
Rest = Callable[[dict[str, Any], dict[Any, Any], int], None]
"""Reads the members that were left, into the arguments made of the others."""


def object_reader(
    reads: Sequence[tuple[Member, Read, bool]],
    checks: Iterable[Check],
    rest: Rest,
    words: Callable[[EnumDescriptor], Words],
    dialect: Dialect,
) -> Read:
    """Plan an object of these members; each comes with its reader, and whether null is a value to it."""
    limit = dialect.depth
    known: dict[str, Any] = {**KNOWN, "checks": tuple(checks), "rest": rest, "show": dialect.show}
    lines = [
        "def read(tree, depth):",
        " if tree.__class__ is not dict: raise CodecError(f'must be an object, not {kind_of(tree)}')",
        " depth += 1",
        f" if depth > {limit}: raise too_deep({limit})",
        *([" for check in checks: check(tree)"] if known["checks"] else []),
        " out, name = {}, ''",
        " try:",
    ]
    for number, (member, read, takes_null) in enumerate(reads):
        known[f"read{number}"] = read
        lines += _member(member, number, read, words, known, takes_null=takes_null)
    lines += [
        "  pass",
        " except CodecError as problem:",
        "  problem.about(tree[name], show)",
        "  problem.within(name)",
        "  raise",
        " if len(out) != len(tree): rest(tree, out, depth)",
        " return out",
    ]
    exec(compile("\n".join(lines), "<JSON as arguments>", "exec"), known)  # noqa: S102 - nothing of a client's
    written: Read = known["read"]
    return written


def _member(
    member: Member,
    number: int,
    read: Read,
    words: Callable[[EnumDescriptor], Words],
    known: dict[str, Any],
    *,
    takes_null: bool,
) -> Iterator[str]:
    """Write what reads one member where it is there; the others need nothing."""
    field, key = member.field, repr(member.name)
    into = f"out[{field.name!r}]"
    yield f"  if {key} in tree:"
    yield f"   held = tree[{key}]"
    if takes_null:
        yield f"   name = {key}"
        yield f"   {into} = read{number}(held, depth)"
        return
    if read is text:
        yield f"   if held.__class__ is str: {into} = held"
        yield f"   elif held is not None: name = {key}; raise not_text(held)"
        return
    if read is timestamp:
        yield "   if held.__class__ is str:"
        yield f"    name = {key}"
        yield "    seconds, nanos = parse_time(held)"
        yield f"    {into} = {{'seconds': seconds, 'nanos': nanos}}"
        yield f"   elif held is not None: name = {key}; read{number}(held, depth)"
        return
    usual = _usual(member, number, read, words, known)
    if usual:
        yield f"   if {usual}: {into} = held"
    if usual and field.type in WIDE:
        yield f"   elif held.__class__ is str and {FITS_64_BITS}: {into} = int(held)"
    yield f"   {'elif' if usual else 'if'} held is not None:"
    yield f"    name = {key}"
    yield f"    {into} = read{number}(held, depth)"


def _usual(
    member: Member, number: int, read: Read, words: Callable[[EnumDescriptor], Words], known: dict[str, Any]
) -> str:
    """Write the condition under which a value goes in as it came; nothing where each has to be looked at."""
    field = member.field
    if field.is_repeated or member.options.raw:
        return ""
    if field.type in WHOLE_NUMBERS:
        low, high = WHOLE_NUMBERS[field.type]
        return f"held.__class__ is int and {low} <= held <= {high}"
    if read is double:
        return "held.__class__ is float"
    if read is boolean:
        return "held is True or held is False"
    if field.enum_type is not None:
        known[f"word{number}"] = words(field.enum_type).read.get
        return f"held.__class__ is str and (held := word{number}(held, held)).__class__ is int"
    return ""
