"""Refusals in the words of NCMP."""

from __future__ import annotations

from jobyard_server.apis.ncmp.dmi_calls import Failure
from jobyard_server.apis.ncmp.parts import PartNews
from jobyard_server.domain.reason import Reason, Refused, refuse


def dmi_failed(message: str, news: PartNews) -> Refused:
    """A DMI service refused a part, or could not be reached."""
    return refuse(Reason.DMI_FAILED, message.partition(" (")[0], http_code=str(news.http_code), body=news.body)


def dmi_silent(failure: Failure) -> Refused:
    """A DMI service did not answer what it was asked."""
    return refuse(Reason.DMI_FAILED, failure.message, http_code=str(failure.http_code), body=failure.body)
