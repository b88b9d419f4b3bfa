"""Holds a request against the rules that its message declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import protovalidate
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from jobyard_server.domain.reason import Reason, Refused, Violation, refuse

_VALIDATOR: Final = protovalidate.Validator()
_validate = _VALIDATOR.validate


def check(message: Message) -> None:
    """Raise ``Refused`` naming every field that breaks a rule."""
    try:
        _validate(message)
    except protovalidate.ValidationError as problem:
        raise _refusal(problem) from None


def compile_rules(services: Iterable[str]) -> None:
    """Compile the rules of every request ahead of the first one; raises for a rule that makes no sense."""
    pool = descriptor_pool.Default()
    for service in services:
        for method in pool.FindServiceByName(service).methods:
            request = message_factory.GetMessageClass(method.input_type)
            _VALIDATOR.collect_violations(request(), fail_fast=True)


def _refusal(problem: protovalidate.ValidationError) -> Refused:
    violations = tuple(
        Violation(
            "".join(_path(violation.proto.field)), violation.proto.message or violation.proto.rule_id or "is wrong"
        )
        for violation in problem.violations
    )
    first = violations[0]
    words = f"{first.field}: {first.description}" if first.field else first.description
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return refuse(Reason.INVALID_FIELD, words + more, *violations, field=first.field)


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
