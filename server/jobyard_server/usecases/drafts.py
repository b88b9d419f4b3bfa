"""A job as a caller drafts it, and how it is resolved against its definition into what is stored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jobyard_server.domain.hot import hot
from jobyard_server.domain.job import IdempotencyKey, LeaseLoss, NewJob, NewSubjob, RetryPolicy, TimeLimits
from jobyard_server.domain.json_text import member
from jobyard_server.domain.reason import Reason, Violation, refuse
from jobyard_server.domain.schedule import NewSchedule, Progress, check_schedule, first_due
from jobyard_server.domain.state import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.catalog import Definition
    from jobyard_server.domain.job import Attribute, Micros
    from jobyard_server.domain.schedule import Schedule
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Reader

_RETRY: Final = RetryPolicy()
_LIMITS: Final = TimeLimits()

MAX_BYTES: Final = 8 * 1024 * 1024
"""Free JSON of one job in all; larger inputs belong into a file that the payload names."""


@dataclass(frozen=True, slots=True)
class ScheduleDraft:
    """What a caller says about the schedule of a new job."""

    schedule: Schedule
    remaining: int | None = None
    """Jobs it is to make; ``None``: without limit."""
    paused: bool = False
    next_due: Micros | None = None
    """When it is due first; ``None``: as the schedule says."""


@hot
@dataclass(frozen=True, slots=True)
class JobDraft:
    """What a caller says about a new job. ``None`` leaves a choice to the definition, then to the server."""

    definition: str = ""
    definition_version: int = 0
    """0: the newest."""
    resolved: Definition | None = None
    """The definition itself, for an API that has read and examined it already."""
    mode: Mode = Mode.ONCE
    external_id: str | None = None
    queue: str | None = None
    payload: str | None = None
    """JSON of the only subjob; ``None``: the member ``payload`` of the definition's spec, else null."""
    subjobs: tuple[NewSubjob, ...] | None = None
    """The pieces; ``None``: one piece with ``payload``."""
    split_complete: bool = True
    spec: str = "{}"
    """What the API itself keeps about the job, as JSON text."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    display_name: str = ""
    priority: int = 0
    fair_key: str = ""
    """Empty: the caller's user."""
    retry: RetryPolicy | None = None
    limits: TimeLimits | None = None
    on_lease_loss: LeaseLoss | None = None
    resumable: bool | None = None
    expires_after: float | None = None
    schedule: ScheduleDraft | None = None
    """Makes it a SCHEDULED job, without subjobs. What its jobs are is for its API to keep in ``spec``."""
    key: IdempotencyKey | None = None
    """The identity of the request, for an API with rules of its own."""
    parent: int | None = None
    """Number of the scheduled job that makes it."""
    due_at: Micros | None = None
    """The due time it makes it for."""
    request_key: str = ""
    """The identity of the request by the usual rules: remembered for a day, bound to the whole draft."""


async def resolve(read: Reader, call: Call, draft: JobDraft) -> NewJob:
    """The job to store; raises ``Refused`` when the definition is unknown or disabled, or the draft is too large."""
    definition = draft.resolved
    if definition is None and draft.definition:
        definition = await find_definition(read, call, draft)
    subjobs = draft.subjobs
    if subjobs is None:
        default = member(definition.spec, "payload") if definition is not None else None
        subjobs = (NewSubjob(payload=draft.payload or default or "null"),)
    _check_size(draft, subjobs)
    schedule = await _schedule(read, draft.schedule) if draft.schedule is not None else None
    return NewJob(
        api=call.api,
        tenant=call.tenant,
        actor=call.user,
        mode=draft.mode if schedule is None else Mode.SCHEDULED,
        external_id=draft.external_id,
        key=draft.key or _request_key(call, draft),
        definition=draft.definition,
        definition_version=definition.version if definition is not None else draft.definition_version,
        queue=draft.queue or (definition.queue if definition is not None else "") or "default",
        priority=draft.priority,
        fair_key=draft.fair_key or call.user,
        display_name=draft.display_name or (definition.display_name if definition is not None else ""),
        spec=draft.spec,
        attributes=draft.attributes,
        labels=draft.labels,
        subjobs=subjobs if schedule is None else (),
        split_complete=draft.split_complete,
        retry=draft.retry or (definition.retry if definition is not None else _RETRY),
        limits=draft.limits or (definition.limits if definition is not None else _LIMITS),
        on_lease_loss=draft.on_lease_loss
        or (definition.on_lease_loss if definition is not None else LeaseLoss.REQUEUE),
        resumable=_first(draft.resumable, definition.resumable if definition is not None else False),
        expires_after=draft.expires_after,
        request_id=call.request_id,
        schedule=schedule,
        parent=draft.parent,
        due_at=draft.due_at,
    )


async def _schedule(read: Reader, draft: ScheduleDraft) -> NewSchedule:
    now = await read.now()
    check_schedule(draft.schedule, now)
    due = first_due(draft.schedule, now) if draft.next_due is None else draft.next_due
    return NewSchedule(draft.schedule, Progress(due, draft.remaining), draft.paused)


def _first(said: bool | None, otherwise: bool) -> bool:  # noqa: FBT001 - both are the value itself
    return otherwise if said is None else said


async def find_definition(read: Reader, call: Call, draft: JobDraft) -> Definition:
    """The definition that a draft names; raises ``Refused`` when it is unknown or disabled."""
    found = await read.definition(call.api, call.tenant, draft.definition, draft.definition_version)
    if found is None:
        version = f" version {draft.definition_version}" if draft.definition_version else ""
        raise refuse(
            Reason.DEFINITION_REFERENCE_UNKNOWN,
            f"There is no definition {draft.definition!r}{version}.",
            Violation("definition", "names no definition"),
            definition=draft.definition,
        )
    if not found.enabled:
        raise refuse(
            Reason.DEFINITION_DISABLED,
            f"Definition {draft.definition!r} is disabled.",
            Violation("definition", "names a disabled definition"),
            definition=draft.definition,
        )
    return found


def _check_size(draft: JobDraft, subjobs: tuple[NewSubjob, ...]) -> None:
    size = len(draft.spec) + sum(len(subjob.payload) for subjob in subjobs)
    if size > MAX_BYTES:
        raise refuse(
            Reason.PAYLOAD_TOO_LARGE,
            f"The payloads of a job may have {MAX_BYTES} characters in all; these have {size}.",
            Violation("payload", f"is longer than {MAX_BYTES} characters"),
        )


def _request_key(call: Call, draft: JobDraft) -> IdempotencyKey | None:
    """The usual key: another user's request under the same key is another request."""
    if not draft.request_key:
        return None
    said = [
        draft.definition, draft.definition_version, draft.mode, draft.external_id, draft.queue, draft.payload,
        None if draft.subjobs is None else [[piece.key, piece.queue, piece.payload] for piece in draft.subjobs],
        draft.spec, sorted(draft.attributes.items()), sorted(draft.labels.items()), draft.display_name,
        draft.priority, draft.fair_key, repr((draft.retry, draft.limits)), draft.on_lease_loss, draft.resumable,
        draft.expires_after, repr(draft.schedule),
    ]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(said, ensure_ascii=True).encode(), digest_size=16).hexdigest()
    return IdempotencyKey(key=f"{len(call.user)}:{call.user}:{draft.request_key}", fingerprint=digest)
