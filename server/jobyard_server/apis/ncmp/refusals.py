"""Refusals in the words of NCMP."""

from __future__ import annotations

from typing import Final

from jobyard_server.apis.ncmp.dmi_calls import Failure
from jobyard_server.apis.ncmp.parts import PartNews
from jobyard_server.domain.reason import Reason, Refused, refuse

MOST_BODY: Final = 2000
"""Letters of a peer's body that are told: over gRPC they travel in a header."""


def dmi_failed(message: str, news: PartNews) -> Refused:
    """A DMI service refused a part, or could not be reached."""
    return refuse(
        Reason.DMI_FAILED, message.partition(" (")[0], http_code=str(news.http_code), body=news.body[:MOST_BODY]
    )


def dmi_silent(failure: Failure) -> Refused:
    """A DMI service did not answer what it was asked."""
    return refuse(Reason.DMI_FAILED, failure.message, http_code=str(failure.http_code), body=failure.body[:MOST_BODY])
