"""Decide what becomes of the due times that passed while a schedule was paused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jobyard_server.domain.schedule import resumed
from jobyard_server.usecases.finding import kept_schedule

if TYPE_CHECKING:
    from jobyard_server.domain.job import Job
    from jobyard_server.usecases.ports import Tx


def catch_up_schedule(tx: Tx, job: Job) -> Job:
    """Let the schedule of a job that is resumed go on where its catch-up policy says."""
    kept = kept_schedule(tx, job)
    progress = resumed(kept.schedule, kept.progress, tx.now)
    tx.put_schedule(job, kept.schedule, progress)
    if progress.over:
        job = tx.change_job(job, control=replace(job.control, exhausted=True))
    return job
