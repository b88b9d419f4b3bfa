"""How DMI services are called: addresses of both generations, credentials, and what their answers mean; pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import orjson

from jobyard_server.apis.ncmp.requests import Metadata
from jobyard_server.domain.address import destination_of
from jobyard_server.domain.delivery import Answer, Problem
from jobyard_server.domain.reason import invalid

FIRST: Final = 1
"""The generation of 2024 whose paths name the job."""
SECOND: Final = 2

MOST_ANSWER: Final = 1024 * 1024
"""Bytes of what a DMI service says of a part; results may be longer."""
MOST_REFUSAL: Final = 64 * 1024
"""Bytes that are kept of what one says that refuses a part."""

FINISHED_WORDS: Final = ("FINISHED", "FINSHED")
"""The word, and how it is misspelt in the standard."""

NOT_RESPONDING: Final = 102
UNABLE: Final = 103
UNKNOWN: Final = 108
_MESSAGES: Final[Mapping[int, str]] = {
    NOT_RESPONDING: "dmi plugin service is not responding",
    UNABLE: "dmi plugin service is not able to read resource data",
    UNKNOWN: "Unknown error",
}
_SILENT: Final = frozenset(
    {Problem.UNREACHABLE, Problem.UNRESOLVED, Problem.TIMED_OUT, Problem.BROKEN, Problem.ADDRESS_REFUSED}
)


@dataclass(frozen=True, slots=True)
class SubjobName:
    """The part of a job, as its DMI service knows it."""

    dmi: str
    producer: str
    job: str
    """Name of the whole job."""
    id: str
    """What the DMI service calls it."""
    generation: int = SECOND


def create_url(dmi: str, job: str, destination: str | None, generation: int, *, read: bool = False) -> str:
    """Where a part of a job is created."""
    kind = "read" if read else "write"
    if generation == FIRST:
        return _url(dmi, (f"{kind}Job", job))
    return _url(dmi, (f"cm{kind}Job",), destination=destination)


def status_url(name: SubjobName) -> str:
    """Where the status of a part is asked."""
    if name.generation == FIRST:
        return _url(name.dmi, _old_path(name, "status"), dataProducerId=name.producer)
    return _url(name.dmi, _path(name, "status"))


def result_url(name: SubjobName, destination: str | None) -> str:
    """Where the result of a part is asked."""
    if name.generation == FIRST:
        return _url(name.dmi, _old_path(name, "result"), dataProducerId=name.producer, destination=destination)
    return _url(name.dmi, _path(name, "result"), destination=destination)


def cancel_url(name: SubjobName) -> str:
    """Where a part is deleted, at a DMI service that knows of this."""
    return _url(name.dmi, _path(name))


def _path(name: SubjobName, *last: str) -> tuple[str, ...]:
    return ("cmwriteJob", "dataProducer", name.producer, "dataProducerJob", name.id, *last)


def _old_path(name: SubjobName, last: str) -> tuple[str, ...]:
    return ("dataJob", name.job, "dataProducerJob", name.id, last)


def _url(dmi: str, segments: Iterable[str], **query: str | None) -> str:
    """An address below a DMI service. Blank parameters are left out, never sent empty."""
    path = "/".join(quote(segment, safe="") for segment in segments)
    said = {name: value for name, value in query.items() if value and not value.isspace()}
    return f"{dmi.rstrip('/')}/dmi/v1/{path}" + (f"?{urlencode(said, quote_via=quote)}" if said else "")


def head(metadata: Metadata, producer: str, job: str, generation: int) -> bytes:
    """What stands before the operations in the body that creates a part; nulls are written."""
    members: dict[str, str | None] = {
        "destination": metadata.destination,
        "dataAcceptType": metadata.accept_type,
        "dataContentType": metadata.content_type,
        "dataProducerId": producer,
        "dataJobId": job,
    }
    if generation == FIRST:
        members = {name: members[name] for name in ("dataAcceptType", "dataContentType", "dataProducerId")}
    return orjson.dumps(members)[:-1] + b',"data":['


def sub_job_id(answer: Answer) -> str | None:
    """What a DMI service calls the part it was given, if it says so; ``ValueError`` for an answer that is no JSON."""
    found = orjson.loads(answer.body)
    if not isinstance(found, dict):
        return None
    id_ = found.get("subJobId", found.get("dataProducerJobId"))
    return id_ if id_ is None or isinstance(id_, str) else orjson.dumps(id_).decode()


def status_word(body: bytes) -> str:
    """The status in an answer: ``{"status": "RUNNING"}``, or the bare word of old DMI services."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").strip()
    word = found.get("status") if isinstance(found, dict) else found
    return word.strip() if isinstance(word, str) else ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a DMI service did not do what it was asked."""

    http_code: int
    ncmp_code: int
    body: str

    @property
    def message(self) -> str:
        """For people, always the same for a code."""
        return _MESSAGES[self.ncmp_code]

    @property
    def text(self) -> str:
        """The same with what is known of this one."""
        return f"{self.message} ({self.http_code})" + (f": {self.body[:500]}" if self.body else "")


def failure_of(answer: Answer) -> Failure:
    """What an answer means that is no success."""
    if answer.problem in _SILENT:
        return Failure(503, NOT_RESPONDING, answer.message)
    if answer.problem is not None or answer.status < 400:
        return Failure(500, UNKNOWN, answer.message)
    body = answer.body[:MOST_REFUSAL].decode(errors="replace")
    return Failure(answer.status, NOT_RESPONDING if answer.status == 408 else UNABLE, body)


def check_dmi_url(url: str, field: str, pattern: str = "") -> str:
    """A URL of a DMI service, which may be empty. With a pattern it has to fit that as a whole."""
    if not url:
        return url
    try:
        destination_of(url)
    except ValueError as problem:
        raise invalid(field, str(problem)) from None
    if "?" in url or "#" in url:
        raise invalid(field, "has a query or a fragment, behind which no path can be put")
    if pattern and re.fullmatch(pattern, url) is None:
        raise invalid(field, "is no URL of a DMI service that this server may call")
    return url


def authorization(basic: str, incoming: str, *, forward: bool) -> str:
    """What a DMI service is shown: our own name and password, or the bearer token of the caller, or nothing."""
    if basic:
        return "Basic " + b64encode(basic.encode()).decode()
    return incoming if forward and incoming[:7].lower() == "bearer " else ""
