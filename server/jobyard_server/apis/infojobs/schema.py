"""JSON schemas of information types: checked when they are registered, and what does not fit them told by field.

Their library is loaded with the first schema: most servers know no information types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from jobyard_server.domain.reason import Reason, invalid, refuse

if TYPE_CHECKING:
    import jsonschema_rs

    Validator: TypeAlias = jsonschema_rs.Draft4Validator | jsonschema_rs.Draft6Validator | jsonschema_rs.Draft7Validator

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
        value = orjson.loads(definition)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _misfit(_OBJECT_EXPECTED)
    return value


@lru_cache(maxsize=256)
def _validator(text: str) -> Validator:
    import jsonschema_rs  # noqa: PLC0415 - most servers know no types

    schema = orjson.loads(text)
    if not isinstance(schema, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is wrong with the text, as all the rest
    named = schema.get("$schema", "http://json-schema.org/draft-04/schema#")
    spelled = str(named).replace("https://", "http://", 1)
    drafts: Mapping[str, Callable[..., Validator]] = {
        "http://json-schema.org/draft-04/schema": jsonschema_rs.Draft4Validator,
        "http://json-schema.org/draft-06/schema": jsonschema_rs.Draft6Validator,
        "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
    }
    draft = next((made for begin, made in drafts.items() if spelled.startswith(begin)), None)
    if draft is None:
        raise ValueError(f"$schema {str(named)[:100]!r} is none of drafts 4, 6 and 7")
    try:
        return draft(schema, validate_formats=True, retriever=_nowhere)
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
