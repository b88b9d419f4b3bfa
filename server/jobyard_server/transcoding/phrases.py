"""What statuses are called: Not Found."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

# Newer Pythons call some as RFC 9110 does; here they are called the same under all, as clients have long seen them.
PHRASES: Final[Mapping[int, str]] = {
    **{status.value: status.phrase for status in HTTPStatus},
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
    499: "Client Closed Request",
}


def phrase(status: int) -> str:
    """Give the phrase of a status, whether it has one or not."""
    return PHRASES.get(status, "Error")
