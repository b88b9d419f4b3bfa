"""Variables of a workflow: those of the contract's action, and those of the submit, which win."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from jobyard_server.domain.reason import invalid

MAX_DEPTH: Final = 100

Own: TypeAlias = tuple[tuple[str, str], ...]
"""Variables of an action: each name with its member as JSON text, ``"name":value``."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The variables of a submit."""

    text: str
    """The JSON object as the client wrote it."""
    names: frozenset[str]


NONE: Final = Requested("{}", frozenset())


def own(variables: Mapping[str, Any]) -> Own:
    """The variables of an action, ready to be merged; ``ValueError`` for a number that JSON cannot hold."""
    return tuple((name, f"{_json(name)}:{_json(value)}") for name, value in variables.items())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def requested(text: str, field: str) -> Requested:
    """Read the variables of a submit; an empty text is none. Over REST it has been read before, over gRPC not."""
    if not text:
        return NONE
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid(field, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    if not isinstance(found, dict):
        raise invalid(field, "is not a JSON object")
    # Whoever reads it later need not be as patient as this parser.
    if text.count("[") + text.count("{") > MAX_DEPTH and _deeper_than(found, MAX_DEPTH):
        raise invalid(field, f"is nested deeper than {MAX_DEPTH} levels")
    return Requested(text, frozenset(found))


def merged(action: Own, submit: Requested) -> str:
    """One JSON object of both; what the submit says is in it byte for byte."""
    kept = [member for name, member in action if name not in submit.names]
    inner = submit.text.strip()[1:-1].strip()
    return "{" + ",".join([*kept, inner] if inner else kept) + "}"


def _deeper_than(value: object, levels: int) -> bool:
    layer: list[object] = [value]
    for _ in range(levels):
        layer = [inner for item in layer for inner in _inside(item)]
        if not layer:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
