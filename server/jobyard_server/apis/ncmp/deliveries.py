"""The calls that leave: how each is made up when it is sent, what its answer means, and what follows from it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import orjson

from jobyard_server.apis.ncmp.dmi_calls import (
    FINISHED_WORDS,
    MOST_ANSWER,
    authorization,
    failure_of,
    status_word,
    sub_job_id,
)
from jobyard_server.apis.ncmp.nouns import API, CANCELLING, NOT_STARTED
from jobyard_server.apis.ncmp.owing import CANCEL, CREATE, STATUS, not_handed_over, owe_cancel, owe_status
from jobyard_server.apis.ncmp.parts import PartNews, facts_of, news_of, unheard
from jobyard_server.apis.registration import DmiRules, Options
from jobyard_server.domain.delivery import Answer, Delivery, DeliveryPolicy, DeliveryState, HttpCall, Problem, Verdict
from jobyard_server.domain.job import Job, Subjob
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.ports import DeliveryKind, Reader, Rendering, Tx

DMI_FAILED: Final = "DMI_FAILED"
UNNAMED: Final = "the DMI service took it and did not say what it is called, so that its status cannot be asked"
_AGAIN: Final = frozenset({429, 503})
_ENDS: Final[Mapping[str, State]] = {
    **dict.fromkeys(FINISHED_WORDS, State.SUCCEEDED),
    "FAILED": State.FAILED,
    "PARTIALLY_FAILED": State.PARTIALLY_FAILED,
    "CANCELLED": State.CANCELLED,
}
_RUNS: Final = frozenset({"RUNNING", CANCELLING})
_WAITS: Final = frozenset({NOT_STARTED, "NOT_RUNNING"})


def kinds(options: Options) -> Mapping[str, DeliveryKind]:
    """Every kind of call, as the settings have it."""
    calls = _Calls(options.dmi)
    return {
        CREATE: DeliveryKind(
            render=calls.create,
            judge=judge_creation,
            settled=calls.created,
            policies={"": DeliveryPolicy(attempts=6, first_wait=0.5, max_wait=8.0, timeout=60.0)},
            keep_dead=False,
        ),
        CANCEL: DeliveryKind(
            render=calls.cancel,
            policies={"": DeliveryPolicy(attempts=3, max_wait=8.0, timeout=30.0)},
            keep_dead=False,
        ),
        STATUS: DeliveryKind(
            render=calls.ask,
            settled=calls.asked,
            policies={"": DeliveryPolicy(attempts=1, timeout=30.0)},
            keep_dead=False,
        ),
    }


def judge_creation(answer: Answer) -> Verdict:
    """A DMI service that cannot be reached may be back soon; what one refuses it refuses."""
    if answer.well:
        return Verdict.DONE if _readable(answer) else Verdict.GIVE_UP
    if answer.problem is Problem.ADDRESS_REFUSED or (answer.status and answer.status not in _AGAIN):
        return Verdict.GIVE_UP
    return Verdict.RETRY


class _Calls:
    """The calls to DMI services."""

    def __init__(self, rules: DmiRules) -> None:
        self._rules = rules

    async def create(self, delivery: Delivery, context: Rendering) -> HttpCall | None:
        """The part as it was stored; nothing for one that was cancelled, or handed over already."""
        found = await _part(delivery, context)
        if found is None or not not_handed_over(found[1]):
            return None
        name = facts_of(found[1]).body
        size = await context.read.blob_size(name)
        if size is None:
            return None
        return HttpCall(
            "POST",
            delivery.address,
            headers=self._shown(delivery, context),
            pieces=partial(_pieces, context.read, name),
            size=size,
            asks_for_json=True,
            answer_bytes=MOST_ANSWER,
        )

    def created(self, tx: Tx, delivery: Delivery, answer: Answer) -> None:
        """A DMI service took a part, or did not."""
        job = tx.job(delivery.job or 0, api=API, tenant=delivery.tenant)
        if job is None or answer.problem is Problem.UNRENDERED:
            return
        subjob = tx.subjobs(job.number)[_ordinal(delivery)]
        if delivery.state is DeliveryState.DELIVERED:
            id_ = sub_job_id(answer)
            # What is not named cannot be asked about, and was taken all the same: nothing more will be known of it.
            news = PartNews(id_, NOT_STARTED, stale=not id_)
            subjob = tx.note_subjob(subjob, result=news.result, message="" if id_ else UNNAMED)
            if subjob.state.terminal:
                owe_cancel(tx, job, subjob, delivery.credential)
            else:
                pause = self._rules.poll_seconds
                owe_status(tx, job, subjob, delivery.credential, wait=pause, pause=pause)
        elif subjob.state is State.PENDING:
            failure = failure_of(answer)
            news = PartNews(http_code=failure.http_code, body=failure.body)
            tx.change_subjob(
                subjob,
                State.FAILED,
                actor=Actor.ENGINE,
                reason=DMI_FAILED,
                message=failure.text,
                result=news.result,
            )

    async def cancel(self, delivery: Delivery, context: Rendering) -> HttpCall | None:
        """A DELETE; everything about it is in its address."""
        return HttpCall("DELETE", delivery.address, headers=self._shown(delivery, context))

    async def ask(self, delivery: Delivery, context: Rendering) -> HttpCall | None:
        """A GET; nothing for a part that has ended."""
        found = await _part(delivery, context)
        if found is None or found[1].state.terminal:
            return None
        headers = self._shown(delivery, context)
        return HttpCall("GET", delivery.address, headers=headers, asks_for_json=True, answer_bytes=MOST_ANSWER)

    def asked(self, tx: Tx, delivery: Delivery, answer: Answer) -> None:
        """Take the status over, and ask again unless it was the last one."""
        job = tx.job(delivery.job or 0, api=API, tenant=delivery.tenant)
        if job is None or answer.problem is Problem.UNRENDERED:
            return
        subjob = tx.subjobs(job.number)[_ordinal(delivery)]
        if subjob.state.terminal:
            return
        before = news_of(subjob)
        if delivery.state is DeliveryState.DELIVERED:
            subjob = _follow(tx, subjob, before, status_word(answer.body))
        else:
            failure = failure_of(answer)
            subjob = tx.note_subjob(subjob, result=unheard(before, failure.text).result, message=failure.text)
        if not subjob.state.terminal:
            self._ask_again(tx, job, subjob, delivery, anew=news_of(subjob).status != before.status)

    def _ask_again(self, tx: Tx, job: Job, subjob: Subjob, delivery: Delivery, *, anew: bool) -> None:
        """Wait longer each time, until something changes."""
        first, longest = self._rules.poll_seconds, self._rules.longest_poll_seconds
        wait = first if anew else min(longest, float(orjson.loads(delivery.facts)["wait"]) * 2)
        pause = wait * (0.75 + random.random() / 2)  # noqa: S311 - jitter
        owe_status(tx, job, subjob, delivery.credential, wait=wait, pause=pause)

    def _shown(self, delivery: Delivery, context: Rendering) -> dict[str, str]:
        shown = authorization(self._rules.basic(), context.credential(delivery), forward=True)
        return {"Authorization": shown} if shown else {}


def _follow(tx: Tx, subjob: Subjob, before: PartNews, word: str) -> Subjob:
    """Take a part to where its DMI service says it is."""
    news = replace(before, status=word, stale=False, body="")
    if subjob.state is State.SUSPENDED:
        # It goes on where it was when somebody resumes it.
        return tx.note_subjob(subjob, result=before.result)
    end = _ENDS.get(word)
    if end is None:
        if word not in _RUNS | _WAITS:
            why = f"the DMI service says {word[:64]!r}, which is no status"
            return tx.note_subjob(subjob, result=unheard(before, why).result, message=why)
        if word in _RUNS and subjob.state is State.PENDING:
            return tx.change_subjob(subjob, State.RUNNING, actor=Actor.WORKER, result=news.result, by=subjob.key)
        return tx.note_subjob(subjob, result=news.result, message="")
    if subjob.state is State.PENDING:
        subjob = tx.change_subjob(subjob, State.RUNNING, actor=Actor.WORKER, by=subjob.key)
    reason = {State.FAILED: DMI_FAILED, State.PARTIALLY_FAILED: DMI_FAILED}.get(end, "")
    message = f"the DMI service says {word}" if reason else ""
    return tx.change_subjob(
        subjob, end, actor=Actor.WORKER, reason=reason, message=message, result=news.result, by=subjob.key
    )


async def _pieces(read: Reader, name: str) -> AsyncIterator[bytes]:
    """A body as it is kept."""
    number = 0
    while (piece := await read.blob_piece(name, number)) is not None:
        yield piece
        number += 1


async def _part(delivery: Delivery, context: Rendering) -> tuple[Job, Subjob] | None:
    job = await context.read.job(delivery.job or 0, api=API, tenant=delivery.tenant)
    if job is None:
        return None
    ordinal = _ordinal(delivery)
    found = await context.read.subjobs(job.number, after=ordinal - 1, limit=1)
    return (job, found[0]) if found else None


def _ordinal(delivery: Delivery) -> int:
    return int(orjson.loads(delivery.facts)["part"])


def _readable(answer: Answer) -> bool:
    try:
        sub_job_id(answer)
    except ValueError:
        return False
    return True
