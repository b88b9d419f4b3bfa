"""Changes of jobs: submitted, told about, taken to another state, deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf import json_format

from jobyard.viya.v1 import job_calls_pb2, job_pb2
from jobyard_server.apis.viya import finding, preconditions, states, times
from jobyard_server.apis.viya.heartbeats import beat, last_beat_locked, listen
from jobyard_server.apis.viya.mapping import modified_at
from jobyard_server.apis.viya.members import searched
from jobyard_server.apis.viya.planning import Plan
from jobyard_server.domain.event import EventType
from jobyard_server.domain.job import Attribute, Job, Micros
from jobyard_server.domain.reason import Reason, Refused, refuse
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import resolve
from jobyard_server.usecases.finish_job import finish_locked
from jobyard_server.usecases.ports import Store, Tx


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody says about a job."""

    wanted: states.Wanted | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Members that are set anew."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    message: str = ""


async def submit(store: Store, call: Call, plan: Plan) -> Job:
    """Accept a job, and listen to its heartbeats if its provider has some."""
    new = await resolve(store.read, call, plan.draft)
    if not plan.heartbeat_interval:
        return (await store.submit(new)).job

    def accept(tx: Tx) -> Job:
        job = tx.submit(new).job
        listen(tx, job)
        return job

    return await store.run(accept, size=len(new.spec) + sum(len(piece.payload) for piece in new.subjobs))


async def set_state(store: Store, call: Call, id_: str, word: str) -> Job:
    """Take a job to the state of a word."""

    def set_it(tx: Tx) -> Job:
        job = finding.locked(tx, call, id_)
        if not word:
            raise states.missing()
        return apply(tx, call, job, Change(states.wanted(word)))

    return await store.run(set_it)


async def update(store: Store, call: Call, request: job_calls_pb2.UpdateJobRequest) -> Job:
    """Change a job as its provider tells, if that has seen its newest state."""

    def change(tx: Tx) -> Job:
        job = finding.locked(tx, call, request.job_id)
        said = request.job
        if said.id not in {"", request.job_id}:
            problem = f"Job with ID: {said.id} does not match passed in ID: {request.job_id}."
            raise refuse(Reason.REQUEST_INVALID, problem)
        told = _change(said)
        preconditions.check(request, modified_at(job))
        return apply(tx, call, job, told)

    return await store.run(change)


def _change(said: job_pb2.JobUpdate) -> Change:
    spec: dict[str, Any] = {}
    attributes: dict[str, Attribute] = {}
    if said.results:
        spec["results"] = dict(said.results)
    if said.HasField("error"):
        spec["error"] = json_format.MessageToDict(said.error)
        attributes["error_message"] = said.error.message
        attributes["error_code"] = said.error.error_code
    attributes.update(searched(spec, "results", "error"))
    if said.state:
        # The hint belongs to a state: it comes with one, and goes with the next.
        attributes["state_details"] = said.state_details or None
    if said.log_location:
        attributes["log_location"] = said.log_location
    if said.HasField("heartbeat_interval"):
        attributes["heartbeat_interval"] = said.heartbeat_interval
    wanted = states.wanted(said.state) if said.state else None
    return Change(wanted, spec, attributes, said.error.message)


def apply(tx: Tx, call: Call, job: Job, change: Change) -> Job:
    """Change a job that is locked; one that has ended is refused."""
    if job.terminal:
        raise _finished(job)
    said_at = times.after(modified_at(job), tx.now)
    attributes = {**job.attributes, **change.attributes, "modified_by": call.user, "modified_at": said_at}
    spec = json.dumps({**json.loads(job.spec), **change.spec}, ensure_ascii=False) if change.spec else None
    wanted = change.wanted
    if wanted is not None and wanted.final:
        attributes["beat_at"] = last_beat_locked(tx, job)
        return finish_locked(
            tx, call, job, wanted.state,
            reason=wanted.reason, message=change.message, spec=spec, attributes=attributes,
        )  # fmt: skip
    if wanted is not None:
        _move(tx, call, job, wanted.state)
    changed = tx.change_job(
        job, spec=spec, attributes=attributes, event=EventType.JOB_UPDATED, by=call.user, request_id=call.request_id
    )
    if change.attributes.get("heartbeat_interval", job.attributes.get("heartbeat_interval")) != job.attributes.get(
        "heartbeat_interval"
    ):
        listen(tx, changed)
    return tx.refold(changed, by=call.user, request_id=call.request_id)


def _move(tx: Tx, call: Call, job: Job, state: State) -> None:
    """Between pending and running; a provider outside runs what no worker has taken."""
    for subjob in tx.subjobs(job.number):
        if state is State.RUNNING and subjob.state is State.PENDING:
            tx.accept_subjob(subjob, job.generation, by=call.user, request_id=call.request_id)
        elif state is State.PENDING and subjob.state is State.RUNNING:
            tx.change_subjob(subjob, state, actor=Actor.WORKER, by=call.user, request_id=call.request_id)


def _finished(job: Job) -> Refused:
    name = job.external_id or job.uid
    return refuse(Reason.JOB_FINISHED, f"The job {name} has already finished.", job=name, state=job.state)


async def heartbeat(store: Store, call: Call, id_: str) -> Micros:
    """Say that a job goes on."""

    def say(tx: Tx) -> Micros:
        job = finding.locked(tx, call, id_)
        if job.terminal:
            raise _finished(job)
        return beat(tx, job)

    return await store.run(say)


async def expire_at(store: Store, call: Call, id_: str, at: Micros) -> Job:
    """Say when a job that has ended is removed."""

    def say(tx: Tx) -> Job:
        job = finding.locked(tx, call, id_)
        if not job.terminal:
            name = job.external_id or job.uid
            raise refuse(Reason.JOB_NOT_FINISHED, f"The job {name} has not finished.", job=name)
        return tx.change_job(
            job,
            attributes={**job.attributes, "expiration": at, "modified_by": call.user},
            expires_at=at,
            event=EventType.JOB_UPDATED,
            by=call.user,
            request_id=call.request_id,
        )

    return replace(await store.run(say), expires_at=at)


async def delete(store: Store, call: Call, id_: str) -> None:
    """Remove a job with its log; whoever runs it is told to stop."""

    def remove(tx: Tx) -> None:
        job = finding.locked(tx, call, id_)
        tx.delete_job(job, by=call.user, request_id=call.request_id)

    await store.run(remove)
