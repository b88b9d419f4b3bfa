"""JobService of Data One: submit jobs of contracts, and list them."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from jobyard.dataone.v1 import job_service_pb2, job_service_pb2_grpc
from jobyard_server.apis.dataone import listing, mapping, variables
from jobyard_server.apis.dataone.contract import find_action
from jobyard_server.apis.dataone.identity import fingerprint, ipid
from jobyard_server.apis.registration import Options
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.job import IdempotencyKey, Job, KeyReuse
from jobyard_server.domain.reason import Refused
from jobyard_server.rpc import caller
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.drafts import JobDraft
from jobyard_server.usecases.list_jobs import list_jobs
from jobyard_server.usecases.ports import JobQuery, Store, Submitted
from jobyard_server.usecases.submit_job import submit_job


class JobService(job_service_pb2_grpc.JobServiceServicer):
    """Answers the Job Manager by the use cases."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options

    @override
    async def SubmitJob(
        self, request: job_service_pb2.SubmitJobRequest, context: object
    ) -> job_service_pb2.SubmitJobResponse:
        call = _current_call()
        # Read before anything is looked up: what is wrong with a request does not depend on which contracts exist.
        submit = variables.requested(request.action_variables, "action_variables")
        try:
            definition, action = await find_action(self._store.read, call, request.contract_name, request.action_name)
        except Refused:
            # What was submitted while the contract was open is still the answer to the same request.
            if (before := await self._submitted(call, request)) is None:
                raise
            return before
        draft = JobDraft(
            definition=request.contract_name,
            resolved=definition,
            payload=variables.merged(action.variables, submit),
            spec=action.spec,
            attributes={**action.attributes, **mapping.submit_attributes(request.ext_ipid)},
            # An ERROR may be resumed or aborted; it is not the end.
            resumable=True,
            key=_key(call, request, submit),
        )
        submitted = await submit_job(self._store, call, draft)
        _refuse_mixed_up(submitted, call, request)
        created, existing = job_service_pb2.SUBMIT_OUTCOME_CREATED, job_service_pb2.SUBMIT_OUTCOME_EXISTING
        return job_service_pb2.SubmitJobResponse(
            job=mapping.job_message(submitted.job),
            outcome=existing if submitted.replayed else created,
            payload_mismatch=submitted.payload_differs,
        )

    async def _submitted(
        self, call: Call, request: job_service_pb2.SubmitJobRequest
    ) -> job_service_pb2.SubmitJobResponse | None:
        """The job that a submit has made before, if it can be told."""
        if not request.ext_ipid:
            return None
        identity = zip(_IDENTITY, _wanted(call, request), strict=True)
        where = All(tuple(Comparison(name, Op.EQ, value) for name, value in identity))
        found = await self._store.read.jobs(JobQuery(mapping.API_NAME, call.tenant, where, limit=1))
        existing = job_service_pb2.SUBMIT_OUTCOME_EXISTING
        return job_service_pb2.SubmitJobResponse(job=mapping.job_message(found[0]), outcome=existing) if found else None

    @override
    async def ListJobs(
        self, request: job_service_pb2.ListJobsRequest, context: object
    ) -> job_service_pb2.ListJobsResponse:
        page = await list_jobs(self._store, _current_call(), listing.job_list(request))
        return job_service_pb2.ListJobsResponse(
            jobs=map(mapping.job_message, page.jobs), next_page_token=page.next_page_token
        )


def _current_call() -> Call:
    return Call(principal=caller.principal(), api=mapping.API_NAME, request_id=caller.request_id())


def _key(call: Call, request: job_service_pb2.SubmitJobRequest, submit: variables.Requested) -> IdempotencyKey | None:
    """The identity of a submit; it is kept as long as the job, whatever becomes of that."""
    if not request.ext_ipid:
        return None
    return IdempotencyKey(
        key=ipid(call.user, request.contract_name, request.action_name, request.ext_ipid),
        fingerprint=fingerprint(submit.text),
        reuse=KeyReuse.RETURN,
        lifetime=None,
    )


def _refuse_mixed_up(submitted: Submitted, call: Call, request: job_service_pb2.SubmitJobRequest) -> None:
    """Never hand out a job under a key that is not its own, whatever an import said."""
    if submitted.replayed and _identity(submitted.job) != _wanted(call, request):
        raise RuntimeError(f"job {submitted.job.number} is kept under a key that is not its own")


def _wanted(call: Call, request: job_service_pb2.SubmitJobRequest) -> tuple[str, ...]:
    return call.user, request.contract_name, request.action_name, request.ext_ipid


def _identity(job: Job) -> tuple[object, ...]:
    return job.created_by, *(job.attributes.get(name) for name in _IDENTITY[1:])


_IDENTITY: Final = ("created_by", "contract", "contract_action", "ext_ipid")
"""What tells a submit from all others."""
