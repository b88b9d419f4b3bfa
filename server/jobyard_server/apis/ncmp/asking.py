"""Asks DMI services for statuses and results while the caller waits; what they answer is passed on byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobyard_server.apis.ncmp.dmi_calls import SubjobName, authorization, failure_of, result_url, status_url
from jobyard_server.apis.ncmp.jobs import pieces_of
from jobyard_server.apis.ncmp.parts import name_of
from jobyard_server.apis.ncmp.refusals import dmi_silent
from jobyard_server.apis.registration import Options
from jobyard_server.domain.delivery import HttpCall
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.usecases.ports import Store

SECONDS: Final = 60.0
MOST_RESULT: Final = 64 * 1024 * 1024
MOST_STATUS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """What a DMI service answered."""

    type: str
    """Its media type; empty when it did not say."""
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
        return await self._get(status_url(name), incoming, MOST_STATUS)

    async def result(self, name: SubjobName, destination: str | None, incoming: str) -> Passed:
        """What came of a part."""
        return await self._get(result_url(name, destination), incoming, MOST_RESULT)

    async def _get(self, url: str, incoming: str, most: int) -> Passed:
        assert self._options.ask is not None
        rules = self._options.dmi
        shown = authorization(rules.basic(), incoming, forward=rules.forward_bearer)
        headers = {"Authorization": shown} if shown else {}
        call = HttpCall("GET", url, headers=headers, answer_bytes=most, asks_for_json=True)
        answer = await self._options.ask(call, SECONDS)
        if not 200 <= answer.status < 300:
            raise dmi_silent(failure_of(answer))
        return Passed(answer.headers.get("content-type", ""), answer.body)
