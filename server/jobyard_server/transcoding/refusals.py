"""The layer's own refusals, worded once, so that the same mistake reads the same wherever it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobyard_server.transcoding.backend import RequestRefused, Violation

LONGEST_VALUE = 64


def shown(value: str) -> str:
    """Cut a value that a client sent to what an error may repeat."""
    cut = value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def refused(reason: str, message: str, **facts: str) -> RequestRefused:
    """Build a refusal that is about the request as a whole."""
    return RequestRefused(reason, message, facts=facts)


def wrong(reason: str, field: str, description: str, value: str = "") -> RequestRefused:
    """Build a refusal that is about one field."""
    return wrong_all([(reason, Violation(shown(field), description, shown(value)))])


def wrong_all(found: Iterable[tuple[str, Violation]]) -> RequestRefused:
    """Build a refusal out of everything found wrong; the first one names the reason."""
    reasons, violations = zip(*found, strict=True)
    message = "; ".join(f"{each.field}: {each.description}" if each.field else each.description for each in violations)
    return RequestRefused(reasons[0], message, tuple(violations))


def of_item(refusal: RequestRefused, place: str, index: int) -> RequestRefused:
    """Say of which message of a stream of requests a refusal is: where it stands, and its fields as those of a list."""
    violations = tuple(replace(each, field=f"[{index}].{each.field}") for each in refusal.violations)
    return RequestRefused(refusal.reason, f"{place}: {refusal.message}", violations, refusal.facts)
