"""Between the messages of jobyard.dataone.v1 and the domain: the job, its status words and its attributes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.dataone.v1 import contract_pb2, job_pb2
from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.job import Attribute, Job, Micros, NewJob
from jobyard_server.domain.state import State

API_NAME: Final = "dataone"
CONTRACT_KIND: Final = "contract"

WORDS: Final[Mapping[State, str]] = {
    State.PENDING: "SUBMITTED",
    State.RUNNING: "RUNNING",
    State.SUSPENDED: "SUSPENDED",
    # An abort takes effect after the current task: until then the job runs.
    State.CANCELLING: "RUNNING",
    State.SUCCEEDED: "COMPLETED",
    State.FAILED: "ERROR",
    State.PARTIALLY_FAILED: "ERROR",
    State.CANCELLED: "ABORTED",
}
"""The status of a job in each state."""

STATUS: Final[Mapping[str, job_pb2.JobStatus.ValueType]] = {
    word: job_pb2.JobStatus.Value(f"JOB_STATUS_{word}") for word in WORDS.values()
}

FINDERS: Final = ("dfiid", "lcid", "ext_ipid")
"""What finds a few jobs among many."""

FIELDS: Final = ApiFields(
    attributes={
        "actor": Kind.TEXT,
        "contract": Kind.TEXT,
        "contract_type": Kind.TEXT,
        "contract_action": Kind.TEXT,
        "contract_action_trigger": Kind.TEXT,
        "workflow_template_id": Kind.INT,
        "workflow_template_name": Kind.TEXT,
        "workflow_template_revision": Kind.INT,
        "dfiid": Kind.TEXT,
        "lcid": Kind.TEXT,
        "ext_ipid": Kind.TEXT,
    },
    indexed=(
        # What jobs are sorted by.
        "state_word",
        "queue",
        "contract",
        "workflow_template_id",
        "workflow_template_name",
        "workflow_template_revision",
        "created_by",
        "created_at",
        "updated_at",
        *FINDERS,
    ),
    finders=frozenset(FINDERS),
)
"""What Data One jobs are filtered and sorted by beside the columns of every job; named as in the proto."""


def contract_attributes(
    name: str, contract: contract_pb2.Contract, action: contract_pb2.ContractAction
) -> Mapping[str, Attribute]:
    """What the jobs of an action take from their contract."""
    return {
        "actor": contract.actor,
        "contract": name,
        "contract_type": contract.type,
        "contract_action": action.name,
        "contract_action_trigger": action.trigger,
        "workflow_template_id": action.template.id,
        "workflow_template_name": action.template.name,
        "workflow_template_revision": action.template.revision,
    }


def contract_spec(action: contract_pb2.ContractAction) -> str:
    """What else of a contract its jobs show."""
    return orjson.dumps({"workflow_template_description": action.template.description}).decode()


def submit_attributes(ext_ipid: str) -> Mapping[str, Attribute]:
    """What a job has of its own. Every submit opens a dataflow, and a work session in which it is the first."""
    return {"dfiid": str(uuid.uuid4()), "lcid": f"{uuid.uuid4()}:1", "ext_ipid": ext_ipid}


def completed(new: NewJob) -> NewJob:
    """A job that is moved over, as a submit would have made it.

    What it lacks is found by the empty values that it is shown with, and an ERROR may be resumed or aborted.
    """
    shown = {
        name: _number(new.attributes, name) if kind is Kind.INT else _text(new.attributes, name)
        for name, kind in FIELDS.attributes.items()
    }
    return replace(new, attributes={**new.attributes, **shown}, resumable=True)


def job_message(job: Job) -> job_pb2.Job:
    """A job as clients see it; what an import left out is empty."""
    known = job.attributes
    spec = orjson.loads(job.spec)
    return job_pb2.Job(
        id=job.number,
        status=STATUS[WORDS[job.state]],
        status_message=job.message,
        created_at=timestamp(job.created_at),
        updated_at=timestamp(job.updated_at),
        submitted_by=job.created_by,
        queue=job.queue,
        actor=_text(known, "actor"),
        contract=_text(known, "contract"),
        contract_type=_text(known, "contract_type"),
        contract_action=_text(known, "contract_action"),
        contract_action_trigger=_text(known, "contract_action_trigger"),
        contract_action_workflow_instance=job_pb2.WorkflowInstance(
            id=_text(spec, "workflow_instance_id") or job.uid,
            workflow_template_id=_number(known, "workflow_template_id"),
            workflow_template_name=_text(known, "workflow_template_name"),
            workflow_template_revision=_number(known, "workflow_template_revision"),
            workflow_template_description=_text(spec, "workflow_template_description"),
        ),
        dfic=job_pb2.DataflowContext(
            dfiid=_text(known, "dfiid"), lcid=_text(known, "lcid"), user_attrs=_texts(spec, "user_attrs")
        ),
        ext_ipid=_text(known, "ext_ipid"),
    )


def timestamp(micros: Micros) -> Timestamp:
    """An instant."""
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _number(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0


def _texts(values: Mapping[str, Any], name: str) -> dict[str, str]:
    found = values.get(name)
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
