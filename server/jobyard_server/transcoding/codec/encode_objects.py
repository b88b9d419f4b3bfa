"""Objects of fields: one function a message type, written out as Python and compiled, as dataclasses write theirs.

A loop over the fields that are set costs twice as much: it asks of each what was known when the type was compiled. What
is written here is straight: in the order of declaration, every member is looked at once and printed in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec.declared import Member, Shape, is_null, standalone
from jobyard_server.transcoding.codec.encode_fields import Plans, fallback_of, show_of
from jobyard_server.transcoding.codec.encode_scalars import Show, digits_of, is_minus_zero
from jobyard_server.transcoding.codec.errors import CodecError, too_deep
from jobyard_server.transcoding.codec.known import TIMESTAMP
from jobyard_server.transcoding.codec.times import TIME_FORMS

_FLOATS = frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT})


def object_show(message: Descriptor, shape: Shape, plans: Plans) -> Show:
    """Plan a message that prints as an object of its fields."""
    # Asked of the class: a field may be named like a method.
    has = GetMessageClass(message).HasField
    known: dict[str, Any] = {"has": has, "CodecError": CodecError, "too_deep": too_deep, "minus": is_minus_zero}
    lines = [
        "def show(value, depth):",
        " depth += 1",
        f" if depth > {plans.dialect.depth}: raise too_deep({plans.dialect.depth})",
        " out, name = {}, ''",
        " try:",
    ]
    for number, member in enumerate(shape.members):
        lines += _member(member, number, plans, known)
    lines += [
        "  pass",
        " except CodecError as problem:",
        "  problem.within(name)",
        "  raise",
        *([" extensions(value, depth, out)"] if message.is_extendable else []),
        " return out",
    ]
    known["extensions"] = _extensions(plans)
    exec(compile("\n".join(lines), f"<{message.full_name} as JSON>", "exec"), known)  # noqa: S102 - nothing of a client's
    written: Show = known["show"]
    return written


def _member(member: Member, number: int, plans: Plans, known: dict[str, Any]) -> Iterator[str]:
    """Write what prints one member where it is set, and what stands for it where it is not."""
    field, key = member.field, repr(member.name)
    plain = field.name.isidentifier() and not iskeyword(field.name)
    held = f"held = value.{field.name}" if plain else f"held = getattr(value, {field.name!r})"
    if field.has_presence:
        yield f"  if has(value, {field.name!r}):"
        yield f"   {held}"
    else:
        yield f"  {held}"
        is_float = not field.is_repeated and field.type in _FLOATS
        yield "  if held or minus(held):" if is_float else "  if held:"
    fallback = fallback_of(member, plans)
    known[f"unset{number}"] = fallback
    missing = f"out[{key}] = unset{number}()" if fallback is not None else ""
    expression = _value(member, f"show{number}", plans, known)
    if "depth" in expression or "nanos" in expression:
        yield f"   name = {key}"
    yield f"   out[{key}] = {expression}"
    if field.enum_type is not None and not field.is_repeated and plans.words(field.enum_type).declared:
        # A zero that has no word counts as not set.
        yield f"   if out[{key}] is None:"
        yield f"    del out[{key}]"
        yield f"    {missing or 'pass'}"
    if missing:
        yield f"  else: {missing}"


def _value(member: Member, called: str, plans: Plans, known: dict[str, Any]) -> str:
    """Write the expression that prints what a member holds; the most frequent kinds are spared a call."""
    field = member.field
    known[called] = show = show_of(member, plans)
    if show is None:
        return "held"
    if show is digits_of:
        return "str(held)"
    if not field.is_repeated and field.enum_type is not None and not is_null(field):
        words = plans.words(field.enum_type)
        if not words.declared:
            known[called] = words.printed.get
            return f"{called}(held, held)"
    if not field.is_repeated and field.message_type is not None and field.message_type.full_name == TIMESTAMP:
        known[called] = TIME_FORMS[member.options.time]
        return f"{called}(held.seconds, held.nanos)"
    return f"{called}(held, depth)"


def _extensions(plans: Plans) -> Callable[[Any, int, dict[str, object]], None]:
    """Plan the extensions of a message, which are looked up as they come."""

    def show(value: Any, depth: int, out: dict[str, object]) -> None:
        for field, held in value.ListFields():
            if field.is_extension:
                member = standalone(field, plans.dialect)
                one = show_of(member, plans)
                try:
                    out[member.name] = held if one is None else one(held, depth)
                except CodecError as problem:
                    problem.within(member.name)
                    raise

    return show
