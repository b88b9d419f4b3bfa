"""Durations of XML Schema, such as P30D and PT72H, in seconds."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(
    r"P(?=[0-9T])(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?"
    r"(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?\Z"
)
_DAY: Final = 86_400.0
_SECONDS: Final = (365 * _DAY, 30 * _DAY, _DAY, 3600.0, 60.0, 1.0)
"""Of a year, a month, a day, an hour, a minute and a second: it is not known yet which year or month it will be."""
MOST_SECONDS: Final = 1000 * 365 * _DAY
MOST_CHARACTERS: Final = 64


def seconds_of(text: str) -> float:
    """How long a duration is; ``ValueError`` with a phrase when it is none."""
    found = _DURATION.match(text) if len(text) <= MOST_CHARACTERS else None
    if found is None or not any(found.groups()):
        raise ValueError("is no duration such as P30D or PT72H")
    seconds = sum(float(part) * each for part, each in zip(found.groups(), _SECONDS, strict=True) if part)
    if seconds > MOST_SECONDS:
        raise ValueError("is longer than a thousand years")
    return seconds
