"""Asks DMI services for statuses and results while the caller waits; what they answer is passed on byte for byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from jobyard_server.apis.ncmp.dmi_calls import SubjobName, authorization, failure_of, result_url, status_url
from jobyard_server.apis.ncmp.jobs import pieces_of
from jobyard_server.apis.ncmp.parts import name_of
from jobyard_server.apis.ncmp.refusals import dmi_silent
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import AnswerBrokeError, HttpCall
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store

SECONDS: Final = 60.0
MOST_RESULT: Final = 64 * 1024 * 1024
MOST_STATUS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """What a DMI service answered, or the first or a further piece of it."""

    type: str
    """Its media type, which the first piece tells; empty when it did not say."""
    body: bytes


class Asking:
    """Calls DMI services at once."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    async def part(self, job: Job, id_: str, producer: str) -> SubjobName:
        """The part of a job that its DMI service calls so."""
        for piece in await pieces_of(self._store.read, job):
            name = name_of(job, piece)
            if name is not None and name.id == id_ and producer in {"", name.producer}:
                return name
        raise refuse(Reason.SUBJOB_NOT_FOUND, f"Job {job.external_id} has no part {id_!r}.", subjob=id_)

    async def status(self, name: SubjobName, incoming: str) -> Passed:
        """How a part stands."""
        assert self._options.ask is not None
        answer = await self._options.ask(self._call(status_url(name), incoming, MOST_STATUS), SECONDS)
        if not answer.well:
            raise dmi_silent(failure_of(answer))
        return Passed(answer.headers.get("content-type", ""), answer.body)

    async def result(self, name: SubjobName, destination: str | None, incoming: str) -> AsyncGenerator[Passed]:
        """What came of a part, in at least one piece."""
        assert self._options.fetch is not None
        call = self._call(result_url(name, destination), incoming, MOST_RESULT)
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
