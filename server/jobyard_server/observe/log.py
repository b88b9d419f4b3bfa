"""Sets logging up: one line a fact, JSON for programs and words for people, secrets never."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog

REDACTED: Final = "[redacted]"

_SECRET_NAME: Final = re.compile(r"authorization|cookie|credential|passw|secret|token|api_?key", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")


def for_people(form: str, stream: TextIO) -> bool:
    """Whether lines are printed for people: ``auto`` on a terminal, JSON elsewhere."""
    return form == "console" or (form == "auto" and stream.isatty())


def configure(form: str, level: str, stream: TextIO | None = None) -> None:
    """Log everything to standard error, what libraries say through ``logging`` included."""
    output = stream or sys.stderr
    people = for_people(form, output)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_bare, *last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out what must not be written down: values under telling names, and credentials inside texts."""
    for name, value in event.items():
        if value is None or value.__class__ in {int, float, bool}:
            continue
        if _SECRET_NAME.search(name):
            event[name] = REDACTED
        else:
            event[name] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(rf"\1 {REDACTED}", value) if " " in value else value
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_NAME.search(str(key)) else _clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value


def _json(event: Mapping[str, Any], **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _bare(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what the formatter put beside the event for its own use."""
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event
