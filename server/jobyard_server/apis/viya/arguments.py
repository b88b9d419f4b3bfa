"""Arguments of jobs: values as text, and those of a definition's parameters added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.struct_pb2 import Value

from jobyard.viya.v1 import definition_pb2
from jobyard_server.domain.reason import invalid

Arguments = Mapping[str, str | None]
"""By name; ``None`` for what was given as null."""

_WHOLE = 2.0**53


def given(values: Mapping[str, Value], field: str) -> dict[str, str | None]:
    """The arguments of a request; numbers and booleans become text, lists and objects are refused."""
    return {name: _text(value, f"{field}.{name}") for name, value in values.items()}


def _text(value: Value, field: str) -> str | None:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "number_value":
            number = value.number_value
            if abs(number) > _WHOLE:
                raise invalid(field, "is a number too large to keep all its digits; send it as text")
            return str(int(number)) if number.is_integer() else repr(number)
        case "struct_value" | "list_value":
            raise invalid(field, "is neither text, number nor boolean")
    return None


def kept(arguments: Arguments) -> dict[str, str]:
    """What can be kept: nothing that is null."""
    return {name: value for name, value in arguments.items() if value is not None}


def merged(arguments: Arguments, parameters: Iterable[definition_pb2.Parameter]) -> dict[str, str]:
    """The arguments that a job gets.

    What the request names stays as it is, null included, which then leaves the argument out; a parameter that it does
    not name brings its default. A required parameter has to have a value in the end; the empty text is one.
    """
    found = dict(arguments)
    for parameter in parameters:
        if parameter.name not in found:
            found[parameter.name] = parameter.default_value if parameter.HasField("default_value") else None
        if parameter.required and found[parameter.name] is None:
            raise invalid(f"arguments.{parameter.name}", "is a required parameter and has no value")
    return kept(found)


def values(arguments: Mapping[str, str]) -> dict[str, Value]:
    """Arguments as they are shown."""
    return {name: Value(string_value=text) for name, text in arguments.items()}
