"""Holds a request against the rules that its message declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import protovalidate
from google.protobuf.message import Message

from jobyard_server.domain.reason import Reason, Refused, Violation, refuse
from jobyard_server.transcoding.codec.declared import COMPILING

_VALIDATOR: Final = protovalidate.Validator()
_validate = _VALIDATOR.validate
_COMPILED: Final[set[str]] = set()
"""The full names of the messages whose rules are compiled."""


def check(message: Message) -> None:
    """Raise ``Refused`` naming every field that breaks a rule.

    The rules of a message are compiled when the first one comes: a server takes few of the messages that it knows.
    """
    try:
        if message.DESCRIPTOR.full_name in _COMPILED:
            _validate(message)
        else:
            _validate_first(message)
    except protovalidate.ValidationError as problem:
        raise _refusal(problem, message.DESCRIPTOR) from None


def _validate_first(message: Message) -> None:
    # Rules are options, and so not to be read while another thread reads some.
    with COMPILING:
        try:
            _validate(message)
        finally:
            _COMPILED.add(message.DESCRIPTOR.full_name)


def _refusal(problem: protovalidate.ValidationError, whole: Any) -> Refused:
    violations = tuple(
        Violation("".join(_path(violation.proto.field)), _words(violation, whole)) for violation in problem.violations
    )
    first = violations[0]
    words = f"{first.field}: {first.description}" if first.field else first.description
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return refuse(Reason.INVALID_FIELD, words + more, *violations)


def _words(violation: protovalidate.Violation, whole: Any) -> str:
    """What is wrong; values of enums are known by their names."""
    rule, said = violation.proto.rule_id, violation.proto.message
    enum = _enum(violation.proto.field, whole) if rule in {"enum.in", "enum.not_in"} else None
    if enum is None:
        return said or rule or "is wrong"
    names = [enum.values_by_number[number].name for number in violation.rule_value]
    allowed = ", ".join(names) if len(names) == 1 else f"one of {', '.join(names)}"
    return f"must be {allowed}" if rule == "enum.in" else f"must not be {allowed}"


def _enum(path: Any, whole: Any) -> Any:
    """The enum at the end of a path; ``None`` where it leads through a map."""
    found = None
    for element in path.elements:
        if whole is None or whole.GetOptions().map_entry:
            return None
        found = whole.fields_by_name[element.field_name]
        whole = found.message_type
    return None if found is None else found.enum_type


def _path(field: Any) -> Iterator[str]:
    """Spell a path as ``items[3].labels["a"].name``."""
    for position, element in enumerate(field.elements if field else ()):
        if position:
            yield "."
        yield element.field_name
        subscript = element.subscript
        if subscript is not None:
            yield f"[{_key(subscript.value)}]"


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
