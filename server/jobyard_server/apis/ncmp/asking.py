"""Asks DMI services for statuses and results while the caller waits; what they answer is passed on byte for byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from jobyard_server.apis.ncmp.dmi_calls import (
    MOST_ANSWER,
    SubjobName,
    authorization,
    failure_of,
    result_url,
    status_url,
)
from jobyard_server.apis.ncmp.jobs import pieces_of
from jobyard_server.apis.ncmp.parts import name_of
from jobyard_server.apis.ncmp.refusals import dmi_silent
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import AnswerBrokeError, HttpCall
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, invalid, refuse
from jobyard_server.usecases.ports import Store

SECONDS: Final = 60.0
MOST_RESULT: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """What a DMI service answered, or the first or a further piece of it."""

    type: str
    """Its media type, which the first piece tells; empty when it did not say."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A part as a caller names it: empty texts leave open what they would say."""

    id: str
    producer: str
    dmi: str

    def fits(self, name: SubjobName) -> bool:
        """Whether it is the one that its DMI service calls so."""
        return self.id == name.id and self.producer in {"", name.producer} and self.dmi in {"", name.dmi}


class Asking:
    """Calls DMI services at once."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    async def part(self, jobs: Sequence[Job], wanted: Part) -> tuple[Job, SubjobName]:
        """A part that its DMI service calls so, of the first of some jobs that has one."""
        for job in jobs:
            names = [name_of(job, piece) for piece in await pieces_of(self._store.read, job)]
            found = [name for name in names if name is not None and wanted.fits(name)]
            if len(found) > 1:
                # The identifier of a data producer may be empty, which asks for that one where there are others.
                found = [name for name in found if name.producer == wanted.producer] or found
            if len(found) > 1:
                alike = len({name.producer for name in found}) == 1
                field = "dmi_service_name" if alike else "data_producer_id"
                raise invalid(field, f"is needed, as several parts are called {wanted.id!r}")
            if found:
                return job, found[0]
        raise refuse(
            Reason.SUBJOB_NOT_FOUND, f"Job {jobs[0].display_name} has no part {wanted.id!r}.", subjob=wanted.id
        )

    async def status(self, name: SubjobName, incoming: str) -> Passed:
        """How a part stands."""
        pieces = [piece async for piece in self._passed(status_url(name), incoming, MOST_ANSWER)]
        return Passed(pieces[0].type, b"".join(piece.body for piece in pieces))

    def result(self, name: SubjobName, destination: str | None, incoming: str) -> AsyncGenerator[Passed]:
        """What came of a part, in at least one piece."""
        return self._passed(result_url(name, destination), incoming, MOST_RESULT)

    async def _passed(self, url: str, incoming: str, most: int) -> AsyncGenerator[Passed]:
        """What a DMI service answers, in at least one piece; refuses what is longer."""
        assert self._options.fetch is not None
        call = self._call(url, incoming, most)
        async with self._options.fetch(call, SECONDS) as opened:
            if opened.pieces is None:
                raise dmi_silent(failure_of(opened.answer))
            try:
                yield Passed(opened.answer.headers.get("content-type", ""), await anext(opened.pieces, b""))
                async for piece in opened.pieces:
                    yield Passed("", piece)
            except AnswerBrokeError as broke:
                raise dmi_silent(failure_of(broke.answer)) from None

    def _call(self, url: str, incoming: str, most: int) -> HttpCall:
        rules = self._options.dmi
        shown = authorization(rules.basic(), incoming, forward=rules.forward_bearer)
        headers = {"Authorization": shown} if shown else {}
        return HttpCall("GET", url, headers=headers, answer_bytes=most, asks_for_json=True)
