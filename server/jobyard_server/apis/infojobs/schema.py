"""JSON schemas of information types: checked when they are registered, and what does not fit them told by field.

Their library is loaded with the first schema: most servers know no information types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from jobyard_server.domain.reason import Reason, invalid, refuse

if TYPE_CHECKING:
    import jsonschema_rs

    Validator: TypeAlias = jsonschema_rs.Draft4Validator | jsonschema_rs.Draft6Validator | jsonschema_rs.Draft7Validator

_SINCE_7: Final = (
    "date",
    "time",
    "regex",
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "relative-json-pointer",
)
_SINCE_6: Final = ("uri-reference", "uri-template", "json-pointer", *_SINCE_7)
"""Formats that earlier drafts do not have: what has them fits."""
_ONE_DIGIT: Final = bytes.maketrans(b"123456789", b"000000000")
_SHORTEST_LOST: Final = b"0" * 19
_OBJECT_EXPECTED: Final = "The definition is not a JSON object."


def check_schema(text: str) -> None:
    """Refuse a schema that no definition could be looked at with."""
    try:
        _validator(text)
    except ValueError as problem:
        raise invalid("info_job_data_schema", f"No schema that can be used: {problem}") from None


def check_definition(schema: str, definition: str) -> None:
    """Refuse a definition that does not fit; the problem names the field."""
    import jsonschema_rs  # noqa: PLC0415 - most servers know no types

    value = parsed(definition)
    try:
        validator = _validator(schema)
    except ValueError as problem:
        raise _misfit(str(problem)) from None
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        raise _misfit(_told(error)) from None


def parsed(definition: str) -> dict[str, Any]:
    """The definition; refused unless it is an object."""
    try:
        value = _read(definition)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _misfit(_OBJECT_EXPECTED)
    return value


def _read(text: str) -> Any:
    """JSON with its integers, however long: the fast reader makes floats of those beyond 64 bits."""
    value = orjson.loads(text)
    if _SHORTEST_LOST not in text.encode().translate(_ONE_DIGIT):
        return value
    try:
        return json.loads(text)
    except RecursionError:
        # Deeper than the slow one goes.
        return value


@lru_cache(maxsize=256)
def _validator(text: str) -> Validator:
    import jsonschema_rs  # noqa: PLC0415 - most servers know no types

    schema = _read(text)
    if not isinstance(schema, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is wrong with the text, as all the rest
    named = schema.get("$schema", "http://json-schema.org/draft-04/schema#")
    spelled = str(named).replace("https://", "http://", 1)
    drafts: Mapping[str, tuple[Callable[..., Validator], Sequence[str]]] = {
        "http://json-schema.org/draft-04/schema": (jsonschema_rs.Draft4Validator, _SINCE_6),
        "http://json-schema.org/draft-06/schema": (jsonschema_rs.Draft6Validator, _SINCE_7),
        "http://json-schema.org/draft-07/schema": (jsonschema_rs.Draft7Validator, ()),
    }
    draft, unknown = next((found for begin, found in drafts.items() if spelled.startswith(begin)), (None, ()))
    if draft is None:
        raise ValueError(f"$schema {str(named)[:100]!r} is none of drafts 4, 6 and 7")
    try:
        return draft(schema, validate_formats=True, formats=dict.fromkeys(unknown, lambda _: True), retriever=_nowhere)
    except jsonschema_rs.ReferencingError:
        raise ValueError("a $ref leads out of it") from None
    except jsonschema_rs.ValidationError as error:
        # A schema that refers to others ends here too: they are not fetched.
        raise ValueError(error.message[:500]) from None


def _nowhere(_uri: str) -> Any:
    raise ValueError("only references within the schema are followed")


def _told(error: jsonschema_rs.ValidationError) -> str:
    """What is wrong, beginning with the field."""
    import jsonschema_rs  # noqa: PLC0415 - most servers know no types

    place = ".".join(map(str, error.instance_path))
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        field = f"{place}.{error.kind.property}" if place else str(error.kind.property)
        return f"Required field '{field}' missing."
    words = error.message[:500]
    return f"Field '{place}': {words}." if place else f"{words}."


def _misfit(problem: str) -> Exception:
    return refuse(Reason.JOB_DEFINITION_INVALID, problem, problem=problem)
