"""What follows when a job ends that was split: DMI services are told, and what they were sent is forgotten."""

from __future__ import annotations

from jobyard_server.apis.ncmp.jobs import ROLES
from jobyard_server.apis.ncmp.owing import owe_cancel
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
