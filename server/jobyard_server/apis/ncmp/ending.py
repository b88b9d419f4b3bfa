"""What follows when a job that was split ends, or is taken up again: DMI services are told."""

from __future__ import annotations

from jobyard_server.apis.ncmp.jobs import ROLES
from jobyard_server.apis.ncmp.nouns import API
from jobyard_server.apis.ncmp.owing import CREATE, not_handed_over, owe_cancel, owe_part, part_lane
from jobyard_server.apis.ncmp.parts import facts_of
from jobyard_server.domain.job import Job
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import Tx


def ended(tx: Tx, job: Job) -> None:
    """Ask DMI services to end the parts of a job that was cancelled, or is removed while it runs."""
    if job.attributes.get("role") not in ROLES:
        return
    for piece in tx.subjobs(job.number):
        if piece.state is State.CANCELLED or not piece.state.terminal:
            owe_cancel(tx, job, piece)
        elif piece.state is State.SUCCEEDED:
            # Nobody asks for it again.
            tx.delete_blob(facts_of(piece).body)


def resumed(tx: Tx, job: Job) -> None:
    """Hand over what was not, for somebody retried or resumed the job. No caller shows a token any more."""
    if job.attributes.get("role") not in ROLES:
        return
    for piece in tx.subjobs(job.number):
        if not_handed_over(piece):
            tx.withdraw(API, job.tenant, part_lane(job, piece), frozenset({CREATE}))
            owe_part(tx, job, piece, "")
