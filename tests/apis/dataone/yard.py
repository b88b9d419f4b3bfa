"""A running server with the contracts and users of the vectors, and everything a vector does to it."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from jobyard.dataone.v1 import job_service_pb2_grpc as dataone_grpc
from jobyard.jobs.v1 import (
    definition_pb2,
    definition_service_pb2,
    definition_service_pb2_grpc,
    job_access_pb2,
    job_control_pb2,
    job_pb2,
    job_service_pb2_grpc,
    job_submit_pb2,
    state_pb2,
)
from jobyard_server.apis.dataone.identity import ipid
from jobyard_server.callers.token_file import digest, new_token
from support.command import JOBYARD, environment
from support.running import Server

JOBS = "/ghibli-rest/v2/job-manager/jobs"
FIXTURES: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "fixtures.json").read_text())
PATIENCE = 60.0
OPERATOR = "operator"
STATES = {
    "SUBMITTED": state_pb2.STATE_PENDING,
    "SUSPENDED": state_pb2.STATE_SUSPENDED,
    "RUNNING": state_pb2.STATE_RUNNING,
    "ERROR": state_pb2.STATE_FAILED,
    "ABORTED": state_pb2.STATE_CANCELLED,
    "COMPLETED": state_pb2.STATE_SUCCEEDED,
}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection(http.client.HTTPConnection):
    """A connection that sends paths byte for byte, right or wrong."""

    def _validate_path(self, url: str) -> None:
        """Let it pass."""


class Yard:
    """The server under test. Between two tests it is emptied, not replaced: its numbers go on growing."""

    def __init__(self, folder: Path, *arguments: str, users: Mapping[str, Any], **settings: str) -> None:
        self.folder = folder
        self.users = {**users, OPERATOR: {"roles": ["admin"]}}
        self.tokens = {user: new_token() for user in self.users}
        self.tokens_file = folder / "tokens.yaml"
        self.write_tokens()
        # Times of the vectors lie in the past; nothing is to be cleared away for its age.
        usual = {"JOBYARD_AUTH_TOKENS": str(self.tokens_file), "JOBYARD_RETENTION_SECONDS": "3e9"}
        self.server = Server(folder, *arguments, **usual, **settings)

    def start(self) -> None:
        self.server.start()
        self.channel = grpc.insecure_channel(self.server.grpc)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.definitions = definition_service_pb2_grpc.DefinitionServiceStub(self.channel)
        self.dataone = dataone_grpc.JobServiceStub(self.channel)
        self.put: set[str] = set()

    def stop(self) -> None:
        self.channel.close()
        assert self.server.stop() == 0

    def restart(self) -> None:
        """End the process and start another one on the same database."""
        self.channel.close()
        self.server.kill()
        changed = self.put
        self.start()
        self.put = changed

    # --- callers -------------------------------------------------------------------------------------------------

    def write_tokens(self) -> None:
        """Write the file of tokens; the server notices."""
        rows = [
            {
                "name": user,
                "sha256": digest(self.tokens[user]),
                "user": user,
                "roles": says["roles"],
                "permissions": [f"dataone.{resource}" for resource in says.get("grants", [])],
            }
            for user, says in self.users.items()
        ]
        self.tokens_file.write_text(yaml.safe_dump(rows))

    def grant(self, user: str, resource: str) -> None:
        """Give a user a resource, and wait until the server knows."""
        self.users[user] = {**self.users[user], "grants": [*self.users[user].get("grants", []), resource]}
        self.write_tokens()
        method = {"WORKFLOW": "POST", "SPENGCEMANJOBS": "GET"}[resource]
        deadline = time.monotonic() + PATIENCE
        while self.ask(user, method, JOBS).status == 403:
            assert time.monotonic() < deadline, "the grant has not been noticed"
            time.sleep(0.05)

    def metadata(self, user: str | None) -> tuple[tuple[str, str], ...]:
        if user is None:
            return ()
        return (("authorization", f"Bearer {self.tokens.get(user, 'nobody')}"),)

    @property
    def operator(self) -> dict[str, Any]:
        """What every call of the operator carries."""
        return {"metadata": self.metadata(OPERATOR), "timeout": PATIENCE}

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def ask(
        self,
        user: str | None,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request over a connection of its own; ``target`` is sent as it is."""
        connection = Connection(self.server.rest, timeout=PATIENCE)
        try:
            connection.putrequest(method, target)
            for name, value in self.metadata(user):
                connection.putheader(name, value)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def submit(self, user: str | None = "alice", **members: Any) -> Answer:
        """Submit over HTTP; without members the usual action."""
        body = {"contractName": "InvoicesIn", "actionName": "pull"} | members
        return self.ask(user, "POST", JOBS, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def list(self, query: str = "", user: str | None = "ursula") -> Answer:
        return self.ask(user, "GET", f"{JOBS}?{query}" if query else JOBS)

    def ids(self, query: str = "") -> list[int]:
        answer = self.list(query)
        assert answer.status == 200, answer.body
        return [int(job["id"]) for job in answer.json["jobs"]]

    # --- what is loaded ------------------------------------------------------------------------------------------

    def apply(self, contracts: Iterable[Mapping[str, Any]]) -> None:
        """Load contracts as an operator does."""
        file = self.folder / "contracts.yaml"
        file.write_text(yaml.safe_dump_all({"definition": definition(each)} for each in contracts))
        self.apply_file(file)

    def apply_file(self, file: Path) -> None:
        done = subprocess.run(
            [JOBYARD, "apply", "--server", self.server.grpc, "--file", str(file)],
            env=environment(JOBYARD_TOKEN=self.tokens[OPERATOR]),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def set_contract(self, name: str, **changes: Any) -> None:
        """Change a contract until the next reset."""
        contract = next(each for each in FIXTURES["contracts"] if each["name"] == name)
        self._put_contract({**contract, **changes})
        self.put.add(name)

    def _put_contract(self, contract: Mapping[str, Any]) -> None:
        said = definition(contract)
        message = definition_pb2.Definition(**{**said, "spec": json.dumps(said["spec"])})
        self.definitions.PutDefinition(definition_service_pb2.PutDefinitionRequest(definition=message), **self.operator)

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Import jobs, in batches that are taken."""
        jobs = [imported(row) for row in rows]
        for start in range(0, len(jobs), 1000):
            batch = job_submit_pb2.ImportJobsRequest(jobs=jobs[start : start + 1000])
            self.jobs.ImportJobs(batch, **self.operator)

    def reset(self) -> None:
        """Remove every job, and take back changed contracts."""
        request = job_access_pb2.ListJobsRequest(page_size=1000)
        while found := self.jobs.ListJobs(request, **self.operator).jobs:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda job: self.delete(job.number), found))
        for name in self.put:
            self._put_contract(next(each for each in FIXTURES["contracts"] if each["name"] == name))
        self.put.clear()

    # --- what happens to jobs ------------------------------------------------------------------------------------

    def delete(self, number: int) -> bool:
        """Remove a job; whether it was there."""
        try:
            self.jobs.DeleteJob(job_access_pb2.DeleteJobRequest(job=str(number), force=True), **self.operator)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True

    def job(self, number: int) -> job_pb2.Job:
        return self.jobs.GetJob(job_access_pb2.GetJobRequest(job=str(number)), **self.operator).job

    def cancel(self, number: int) -> job_pb2.Job:
        return self.jobs.CancelJob(job_access_pb2.CancelJobRequest(job=str(number)), **self.operator).job

    def resume(self, number: int) -> job_pb2.Job:
        return self.jobs.ResumeJob(job_control_pb2.ResumeJobRequest(job=str(number)), **self.operator).job

    def set_job(self, number: int, status: str, message: str = "") -> None:
        """Take a job to a status by importing it again."""
        self.jobs.ImportJobs(
            job_submit_pb2.ImportJobsRequest(jobs=[changed(self.job(number), status, message)]), **self.operator
        )

    def set_all(self, status: str) -> None:
        found = self.jobs.ListJobs(job_access_pb2.ListJobsRequest(page_size=1000), **self.operator).jobs
        jobs = [changed(job, status, "") for job in found]
        self.jobs.ImportJobs(job_submit_pb2.ImportJobsRequest(jobs=jobs), **self.operator)

    def payload(self, number: int) -> str:
        """What the worker of a job is given."""
        request = job_access_pb2.ListSubjobsRequest(job=str(number))
        [subjob] = self.jobs.ListSubjobs(request, **self.operator).subjobs
        return subjob.payload


# --- from the vectors to messages --------------------------------------------------------------------------------


def definition(contract: Mapping[str, Any]) -> dict[str, Any]:
    """A contract of the vectors as an operator writes it."""
    return {
        "api": "dataone",
        "kind": "contract",
        "id": contract["name"],
        "queue": contract["queue"],
        "disabled": not contract["enabled"],
        "spec": {name: contract[name] for name in ("type", "actor", "actions")},
    }


def rows_of(dataset: str) -> list[dict[str, Any]]:
    """The jobs of a dataset, those made by rule included."""
    found = FIXTURES["datasets"][dataset]
    if "rows" in found:
        return found["rows"]
    usual = next(row for row in FIXTURES["datasets"]["D12"]["rows"] if row["id"] == 101)
    made = []
    for number in range(1, found["generate"]["count"] + 1):
        minutes, seconds = divmod(number, 60)
        at = f"2024-01-01T00:{minutes:02}:{seconds:02}Z"
        instance = {**usual["contractActionWorkflowInstance"], "id": f"wfi-{number}"}
        dfic = {"dfiid": f"dfi-{number}", "lcid": "d90fef7b-1517-4ad6-b836-18b6b4645be7:0", "userAttrs": {}}
        own = {"id": number, "createdAt": at, "updatedAt": at, "status": "SUBMITTED", "extIPID": f"g-{number}"}
        made.append({**usual, **own, "contractActionWorkflowInstance": instance, "dfic": dfic})
    return made


def timestamp(text: str) -> Timestamp:
    found = Timestamp()
    found.FromJsonString(text)
    return found


def imported(row: Mapping[str, Any]) -> job_submit_pb2.ImportedJob:
    """A job of the vectors as it is moved over from another Job Manager."""
    instance, dfic, key = row["contractActionWorkflowInstance"], row["dfic"], row["extIPID"]
    return job_submit_pb2.ImportedJob(
        api="dataone",
        number=row["id"],
        state=STATES[row["status"]],
        message=row["statusMessage"],
        create_time=timestamp(row["createdAt"]),
        update_time=timestamp(row["updatedAt"]),
        created_by=row["submittedBy"],
        queue=row["queue"],
        attributes=json.dumps(
            {
                "actor": row["actor"],
                "contract": row["contract"],
                "contract_type": row["contractType"],
                "contract_action": row["contractAction"],
                "contract_action_trigger": row["contractActionTrigger"],
                "workflow_template_id": instance["workflowTemplateId"],
                "workflow_template_name": instance["workflowTemplateName"],
                "workflow_template_revision": instance["workflowTemplateRevision"],
                "dfiid": dfic["dfiid"],
                "lcid": dfic["lcid"],
                "ext_ipid": key,
            }
        ),
        spec=json.dumps(
            {
                "workflow_instance_id": instance["id"],
                "workflow_template_description": instance["workflowTemplateDescription"],
                "user_attrs": dfic["userAttrs"],
            }
        ),
        idempotency_key=ipid(row["submittedBy"], row["contract"], row["contractAction"], key) if key else "",
    )


def changed(job: job_pb2.Job, status: str, message: str) -> job_submit_pb2.ImportedJob:
    """A job with another status, everything else as it is."""
    known = json.loads(job.attributes)
    key = known["ext_ipid"]
    return job_submit_pb2.ImportedJob(
        api=job.api,
        number=job.number,
        state=STATES[status],
        message=message,
        create_time=job.create_time,
        created_by=job.created_by,
        queue=job.queue,
        attributes=job.attributes,
        spec=job.spec,
        idempotency_key=ipid(job.created_by, known["contract"], known["contract_action"], key) if key else "",
    )
