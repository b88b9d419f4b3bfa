"""When consumers are told the status of a job: whenever it differs from what they know, and something has happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobyard_server.apis.infojobs.lookup import Locked
from jobyard_server.apis.infojobs.nouns import API, ENABLED, attribute, job_facts, status_of
from jobyard_server.apis.infojobs.owing import STATUS, callable_url, owe_status, status_lane
from jobyard_server.domain.job import Attribute, Job, Subjob
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import Tx

REPORTED: Final = "reported"
"""The status that the consumer knows; empty when he knows none."""
TELLING: Final = "telling"
"""The status that he is being told."""
UNSETTLED: Final = "unsettled"
"""The type of the job while some producer has not accepted it as it is, or its consumer knows another status."""


def look(tx: Tx, job: Job, *, tell: bool) -> Job:
    """Look whether everybody knows of a job what they should; ``tell`` its consumer if he does not."""
    job = tx.refold(job)
    facts = job_facts(job)
    status = status_of(job)
    known, telling = attribute(job.attributes, REPORTED), attribute(job.attributes, TELLING)
    if not known and not tell and status == ENABLED:
        # Accepted while the job was put: the usual case, of which nobody has to be told.
        known = ENABLED
    if tell and status not in {known, telling} and owe_status(tx, job, facts, status):
        telling = status
    if tell and known == status and telling and telling != status and owe_status(tx, job, facts, status):
        telling = status
    settled = _accepted_by_all(tx, job) and (known == status or not callable_url(facts.status_uri))
    return _keep(tx, job, {REPORTED: known, TELLING: telling, UNSETTLED: "" if settled else job.definition})


def told(tx: Tx, job: Job, status: str, *, done: bool) -> Job:
    """Note that a consumer was told, or could not be: then he is told when something happens again."""
    changed: dict[str, str] = {}
    if attribute(job.attributes, TELLING) == status:
        changed[TELLING] = ""
    if done:
        changed[REPORTED] = status
    job = _keep(tx, job, changed)
    return look(tx, job, tell=done)


def forget(tx: Tx, job: Job) -> None:
    """Take its consumer to know that a job is ENABLED, whatever he was told or is owed."""
    tx.withdraw(API, job.tenant, status_lane(job), frozenset({STATUS}))
    _keep(tx, tx.refold(job), {REPORTED: ENABLED, TELLING: "", UNSETTLED: job.definition})


def _keep(tx: Tx, job: Job, changed: dict[str, str]) -> Job:
    wanted: dict[str, Attribute] = {**job.attributes, **{name: value or None for name, value in changed.items()}}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if wanted == dict(job.attributes):
        return job
    return tx.change_job(job, attributes=wanted)


def _accepted_by_all(tx: Tx, job: Job) -> bool:
    pieces = {piece.key: piece for piece in tx.subjobs(job.number)}
    if any(
        piece.state is State.PENDING or (piece.state is State.RUNNING and not accepted(piece, job))
        for piece in pieces.values()
    ):
        # Seen without a look at who supplies the type: only the last one to accept needs that.
        return False
    suppliers = Locked(tx, job.tenant).suppliers(job.definition)
    return all(accepted(pieces.get(one), job) for one in suppliers)


def accepted(piece: Subjob | None, job: Job) -> bool:
    """Whether a producer has accepted a job as it is now."""
    return piece is not None and piece.state is State.RUNNING and piece.generation == job.generation


def piece_of(pieces: Sequence[Subjob], producer: str) -> Subjob | None:
    """The piece of a job at a producer."""
    return next((piece for piece in pieces if piece.key == producer), None)
