"""The life of a job between Data One, its workers and its operators, and what becomes of its key."""

import pytest

from apis.dataone.yard import OPERATOR
from jobyard.jobs.v1 import job_submit_pb2, state_pb2, worker_lease_pb2, worker_service_pb2_grpc, worker_settle_pb2

SESSION = "session-of-the-tests"


@pytest.fixture
def work(yard):
    return Work(yard)


class Work:
    """A worker, step by step."""

    def __init__(self, yard) -> None:
        self.yard = yard
        self.service = worker_service_pb2_grpc.WorkerServiceStub(yard.channel)

    def acquire(self, queue: str = "Default Queue") -> worker_lease_pb2.Lease:
        request = worker_lease_pb2.AcquireRequest(session=SESSION, worker="w", queues=[queue], limit=1)
        [lease] = self.service.Acquire(request, **self.yard.operator).leases
        return lease

    def complete(self, lease, message: str = "") -> None:
        request = worker_settle_pb2.Completion(token=lease.token, result="{}", message=message)
        self.service.Complete(worker_settle_pb2.CompleteRequest(completions=[request]), **self.yard.operator)

    def fail(self, lease, message: str = "", *, cancelled: bool = False) -> None:
        request = worker_settle_pb2.Failure(token=lease.token, reason="BROKEN", message=message, cancelled=cancelled)
        self.service.Fail(worker_settle_pb2.FailRequest(failures=[request]), **self.yard.operator)

    def status(self, number: int) -> str:
        [job] = self.yard.list(f"id={number}").json["jobs"]
        assert self.yard.ids(f"id={number}&status={job['status']}") == [number]
        return job["status"]


def submitted(yard, key: str = "k") -> int:
    answer = yard.submit(extIPID=key)
    assert answer.status == 201
    return int(answer.json["id"])


def test_a_job_runs_and_completes(yard, work):
    number = submitted(yard)
    assert work.status(number) == "SUBMITTED"
    lease = work.acquire()
    assert (lease.job.number, lease.job.definition) == (number, "InvoicesIn")
    assert work.status(number) == "RUNNING"
    work.complete(lease)
    assert work.status(number) == "COMPLETED"
    assert yard.cancel(number).state == yard.job(number).state, "a completed job cannot be aborted"
    assert work.status(number) == "COMPLETED"


def test_a_job_waits_in_the_queue_of_its_contract(yard, work):
    yard.submit(contractName="InvoicesOut")
    assert work.acquire("Express").job.queue == "Express"


def test_jobs_of_a_queue_leave_in_their_order(yard, work):
    numbers = [submitted(yard, key) for key in ("c", "a", "b")]
    assert [work.acquire().job.number for _ in numbers] == numbers


def test_a_job_that_waits_is_aborted_at_once(yard, work):
    number = submitted(yard)
    yard.cancel(number)
    assert work.status(number) == "ABORTED"


def test_an_abort_takes_effect_after_the_current_task(yard, work):
    number = submitted(yard)
    lease = work.acquire()
    yard.cancel(number)
    assert work.status(number) == "RUNNING"
    work.fail(lease, cancelled=True)
    assert work.status(number) == "ABORTED"


def test_an_error_is_not_the_end(yard, work):
    number = submitted(yard)
    work.fail(work.acquire(), "step 3 failed")
    assert work.status(number) == "ERROR"
    assert yard.list(f"id={number}").json["jobs"][0]["statusMessage"] == "step 3 failed"
    assert not yard.job(number).terminal
    yard.cancel(number)
    assert work.status(number) == "ABORTED"
    assert yard.job(number).terminal


@pytest.mark.parametrize("end", ["COMPLETED", "ERROR", "ABORTED"])
def test_a_key_stays_used_whatever_becomes_of_its_job(yard, work, end):
    number = submitted(yard)
    lease = work.acquire()
    if end == "ABORTED":
        yard.cancel(number)
    if end == "COMPLETED":
        work.complete(lease)
    else:
        work.fail(lease, cancelled=end == "ABORTED")
    again = yard.submit(extIPID="k")
    assert (again.status, again.json["id"], again.json["status"]) == (409, str(number), end)


def test_a_key_still_finds_its_job_when_the_contract_is_closed(yard):
    number = submitted(yard)
    yard.set_contract("InvoicesIn", enabled=False)
    again = yard.submit(extIPID="k")
    assert (again.status, again.json["id"]) == (409, str(number))
    assert yard.submit(extIPID="other").status == yard.submit().status == 400
    assert yard.submit("bob", extIPID="k").status == 400, "the job is another user's"


def test_a_key_is_free_again_when_its_job_is_gone(yard):
    number = submitted(yard)
    assert yard.delete(number)
    assert submitted(yard) > number


def test_a_key_of_an_imported_job_is_used(yard):
    number = submitted(yard)
    yard.set_job(number, "COMPLETED", "moved over")
    again = yard.submit(extIPID="k", actionVariables={"x": 1})
    assert (again.status, again.json["id"]) == (409, str(number))
    assert "idempotency-payload-mismatch" not in again.headers, "what was asked for then is not known any more"


def test_an_error_that_is_moved_over_is_not_the_end_either(yard, work):
    number = submitted(yard)
    yard.set_job(number, "ERROR", "moved over")
    assert not yard.job(number).terminal
    yard.resume(number)
    work.fail(work.acquire())
    yard.cancel(number)
    assert work.status(number) == "ABORTED"


def test_a_job_that_is_moved_over_is_found_by_what_it_lacks(yard):
    bare = job_submit_pb2.ImportedJob(api="dataone", number=7, state=state_pb2.STATE_SUCCEEDED)
    yard.jobs.ImportJobs(job_submit_pb2.ImportJobsRequest(jobs=[bare]), **yard.operator)
    for empty in ("actor=", "extIPID=", "dfiid=", "contract=", "workflowTemplateId=0"):
        assert yard.ids(empty) == [7]


def test_keys_and_pages_outlive_the_process(yard):
    numbers = [submitted(yard, key) for key in ("k1", "k2", "k3")]
    link = yard.list("maxItems=1").json["next"]
    yard.restart()
    again = yard.submit(extIPID="k1")
    assert (again.status, again.json["id"]) == (409, str(numbers[0]))
    page = yard.ask("ursula", "GET", link)
    assert [job["id"] for job in page.json["jobs"]] == [str(numbers[1])]


def test_a_grant_counts_without_a_restart(yard):
    assert yard.submit("gus").status == 403
    yard.grant("gus", "WORKFLOW")
    assert yard.submit("gus").json["submittedBy"] == "gus"
    assert yard.list(user="gus").status == 403


def test_the_operator_sees_the_job_in_the_words_of_both(yard):
    number = submitted(yard)
    job = yard.job(number)
    assert (job.api, job.created_by, job.definition) == ("dataone", "alice", "InvoicesIn")
    assert yard.metadata(OPERATOR)
