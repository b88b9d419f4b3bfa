"""Between the messages of jobyard.ncmp.v1 and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobyard.ncmp.v1 import data_job_pb2, data_job_service_pb2, inventory_service_pb2, rapp_service_pb2
from jobyard_server.apis.ncmp.inventory import Failed, Outcome
from jobyard_server.apis.ncmp.nouns import CANCELLING
from jobyard_server.apis.ncmp.parts import facts_of, job_facts, news_of
from jobyard_server.apis.ncmp.selectors import Classified
from jobyard_server.domain.job import Job, Subjob
from jobyard_server.domain.state import State

_STATUS: Final = {
    State.PENDING: data_job_pb2.DATA_JOB_STATUS_NOT_STARTED,
    State.SUSPENDED: data_job_pb2.DATA_JOB_STATUS_NOT_STARTED,
    State.RUNNING: data_job_pb2.DATA_JOB_STATUS_RUNNING,
    State.SUCCEEDED: data_job_pb2.DATA_JOB_STATUS_FINISHED,
    State.FAILED: data_job_pb2.DATA_JOB_STATUS_FAILED,
    State.PARTIALLY_FAILED: data_job_pb2.DATA_JOB_STATUS_PARTIALLY_FAILED,
    State.CANCELLING: data_job_pb2.DATA_JOB_STATUS_CANCELLING,
    State.CANCELLED: data_job_pb2.DATA_JOB_STATUS_CANCELLED,
}
NOT_YET: Final = "it was not handed over yet"


def status(state: State) -> data_job_pb2.DataJobStatus.ValueType:
    """The status that a state is."""
    return _STATUS[state]


def sub_job(piece: Subjob) -> data_job_service_pb2.SubJob:
    """A part, as NCMP answers it."""
    facts, news = facts_of(piece), news_of(piece)
    problem = None
    if not news.id:
        problem = piece.message or (NOT_YET if piece.result == "null" and not piece.state.terminal else None)
    return data_job_service_pb2.SubJob(
        sub_job_id=news.id, dmi_service_name=facts.dmi, data_producer_id=facts.producer, problem=problem
    )


def rapp_job(job: Job, pieces: Sequence[Subjob] = ()) -> rapp_service_pb2.RappDataJob:
    """A job, as an rApp sees it."""
    name = job.display_name
    cancelling = not job.state.terminal and any(map(_cancelling, pieces))
    return rapp_service_pb2.RappDataJob(
        job_id=name,
        status=data_job_pb2.DATA_JOB_STATUS_CANCELLING if cancelling else status(job.state),
        sub_jobs=map(rapp_sub_job, pieces),
        bucket_id=job_facts(job).metadata.destination or name,
    )


def _cancelling(piece: Subjob) -> bool:
    """Whether the DMI service of a part says that it is about to end it, which to us is running."""
    return piece.state is State.RUNNING and news_of(piece).status == CANCELLING


def rapp_sub_job(piece: Subjob) -> rapp_service_pb2.RappSubJob:
    """A part, as an rApp sees it."""
    facts, news = facts_of(piece), news_of(piece)
    return rapp_service_pb2.RappSubJob(
        sub_job_id=news.id,
        dmi_service_name=facts.dmi,
        data_producer_id=facts.producer,
        status=data_job_pb2.DATA_JOB_STATUS_CANCELLING if _cancelling(piece) else status(piece.state),
        stale=news.stale,
        problem=piece.message,
    )


def classified(found: Classified) -> data_job_service_pb2.ReadDataJobResponse:
    """Which selectors concern whom."""
    return data_job_service_pb2.ReadDataJobResponse(
        broadcast_selectors=found.broadcast,
        dmi_selectors={
            dmi: data_job_service_pb2.ProducerSelectors(
                producers={
                    str(key): data_job_service_pb2.Selectors(selectors=selectors) for key, selectors in by_key.items()
                }
            )
            for dmi, by_key in found.dmi.items()
        },
        not_ready_selectors=found.not_ready,
        error_selectors=found.errors,
    )


def failed_targets(outcome: Outcome) -> inventory_service_pb2.FailedTargets | None:
    """The targets that were refused, if any."""
    if not outcome:
        return None
    return inventory_service_pb2.FailedTargets(
        failed_created_cm_handles=map(_failed, outcome.created),
        failed_updated_cm_handles=map(_failed, outcome.updated),
        failed_removed_cm_handles=map(_failed, outcome.removed),
        failed_upgrade_cm_handles=map(_failed, outcome.upgraded),
    )


def _failed(one: Failed) -> inventory_service_pb2.FailedTarget:
    return inventory_service_pb2.FailedTarget(cm_handle=one.id, error_code=str(one.code), error_text=one.text)
