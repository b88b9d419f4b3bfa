"""Whatever two tenants do over REST, in any order and under the same names, neither learns of the other."""

from __future__ import annotations

import contextlib
import http.client
import json
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apis.qinling.yard import CODE, PYTHON, form_of, packed
from jobyard_server import main
from jobyard_server.rpc import methods
from support.callers import Callers
from support.running import Server

EXAMPLES = 12
FILES = [file for api in main.APIS for file in api.files]
PERMISSIONS = methods.permissions(methods.read([s.name for api in main.APIS for s in api.services], FILES))
"""All there are, and so not the one for things of other tenants."""
INLINE = {"name": "inline", "type": "Compute", "code": "run;"}
CONTRACT = {
    "api": "dataone",
    "kind": "contract",
    "id": "C",
    "queue": "q",
    "spec": {
        "type": "Input",
        "actor": "A",
        "actions": [{"name": "pull", "trigger": "OnDemand", "template": {"id": 7, "name": "t", "revision": 1}}],
    },
}
PROVIDER = {"api": "viya", "kind": "provider", "id": "Compute", "queue": "viya/Compute"}
INFO_TYPE = {"info_job_data_schema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}}

MAKING = {
    "job": lambda one, key: ("POST", "/jobyard/v1/jobs", {
        "queue": "q", "payload": json.dumps(one.mark), "display_name": one.mark, "idempotency_key": key,
    }),
    "webhook": lambda one, key: ("PUT", f"/jobyard/v1/webhooks/{key}", {"url": f"https://example.org/{one.mark}"}),
    "definition": lambda one, key: ("PUT", f"/jobyard/v1/definitions/{key}", {
        "api": "jobs", "kind": "definition", "id": key, "display_name": one.mark, "queue": "q",
    }),
    "dataone job": lambda _, key: ("POST", "/ghibli-rest/v2/job-manager/jobs", {
        "contractName": "C", "actionName": "pull", "extIPID": key,
    }),
    "viya job": lambda one, _: ("POST", "/jobExecution/jobs", {"name": one.mark, "jobDefinition": INLINE}),
    "viya request": lambda one, _: ("POST", "/jobExecution/jobRequests", {"name": one.mark, "jobDefinition": INLINE}),
    "viya definition": lambda one, _: ("POST", "/jobDefinitions/definitions", {**INLINE, "name": one.mark}),
    "qinling job": lambda one, _: ("POST", "/v1/jobs", {
        "name": one.mark, "function_id": one.function, "pattern": "0 21 * * *",
    }),
    "info type": lambda one, key: ("PUT", f"/data-producer/v1/info-types/{key}", {
        **INFO_TYPE, "info_type_information": {"by": one.mark},
    }),
    "info job": lambda one, key: ("PUT", f"/data-consumer/v1/info-jobs/{key}", {
        "info_type_id": "t", "job_owner": one.mark, "job_definition": {}, "job_result_uri": "https://example.org/r",
    }),
    "target": lambda one, key: ("POST", "/ncmpInventory/v1/ch", {
        "dmiPlugin": f"http://127.0.0.1:1/{one.mark}",
        "createdCmHandles": [{"cmHandle": key, "alternateId": f"/{key}", "dataProducerIdentifier": one.mark}],
    }),
}  # fmt: skip
TIMES = re.compile(rb'"elapsedTime":[0-9]+')
LISTS = (
    "/jobyard/v1/jobs?page_size=100",
    "/jobyard/v1/definitions?page_size=100",
    "/jobyard/v1/webhooks?page_size=100",
    "/jobyard/v1/deliveries?page_size=100",
    "/jobyard/v1/executors?page_size=100",
    "/jobyard/v1/queues?page_size=100",
    "/ghibli-rest/v2/job-manager/jobs?maxItems=100",
    "/jobExecution/jobs?limit=100",
    "/jobExecution/jobRequests?limit=100",
    "/jobDefinitions/definitions?limit=100",
    "/v1/jobs",
    "/v1/functions",
    "/v1/executions",
    "/v1/aliases",
    "/v1/webhooks",
    "/data-producer/v1/info-types",
    "/data-consumer/v1/info-types",
    "/data-consumer/v1/info-jobs",
    "/A1-EI/v1/eitypes",
    "/A1-EI/v1/eijobs",
    "/data-producer/v1/info-producers",
    "/data-consumer/v1/info-type-subscription",
    "/dms/data-consumer/v0alpha1/info-jobs",
    "/dms/data-consumer/v0alpha1/info-types",
    "/dms/data-producer/v0alpha1/info-types",
    "/ranoam/cm/v1/dataJob",
    "/v1/runtimes",
    "/status",
)
ITEMS = (
    ("GET", "/jobyard/v1/jobs/{}"),
    ("GET", "/jobyard/v1/jobs/{}/subjobs"),
    ("GET", "/jobyard/v1/jobs/{}/subjobs/0/log"),
    ("GET", "/jobyard/v1/jobs/{}/subjobs/0/attempts"),
    ("POST", "/jobyard/v1/jobs/{}:cancel"),
    ("POST", "/jobyard/v1/jobs/{}:suspend"),
    ("DELETE", "/jobyard/v1/jobs/{}"),
    ("GET", "/ghibli-rest/v2/job-manager/jobs/{}"),
    ("GET", "/jobExecution/jobs/{}"),
    ("GET", "/jobExecution/jobs/{}/state"),
    ("DELETE", "/jobExecution/jobs/{}"),
    ("GET", "/jobExecution/jobRequests/{}"),
    ("POST", "/jobExecution/jobRequests/{}/jobs"),
    ("DELETE", "/jobExecution/jobRequests/{}"),
    ("GET", "/jobDefinitions/definitions/{}"),
    ("DELETE", "/jobDefinitions/definitions/{}"),
    ("GET", "/v1/jobs/{}"),
    ("PUT", "/v1/jobs/{}"),
    ("DELETE", "/v1/jobs/{}"),
    ("GET", "/v1/functions/{}"),
    ("GET", "/v1/executions/{}"),
)

BRIEFLY = {"Grpc-Timeout": "300m"}
"""With what would be told until its reader goes; all else may take its time on a busy machine."""


class Tenant:
    """One tenant with its only user, whose name and whose things bear its mark."""

    def __init__(self, server, callers, name):
        self.name = name
        self.mark = f"mark-of-{name}"
        self.shown = callers.caller(f"user-{self.mark}", *PERMISSIONS, tenant=name)
        self.made = []
        self.names = set()
        self._server = server

    def ask(self, method, path, body=None, headers=None):
        sent = {"Authorization": f"Bearer {self.shown.token}", "X-Auth-Token": self.shown.token}
        if body is not None and not isinstance(body, bytes):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = self._server.connection
        connection.request(method, path, body, {**sent, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def begin(self):
        """What is there before anything happens: a contract, a type, a provider and a function, each its own."""
        assert self.ask("PUT", "/jobyard/v1/definitions/C", CONTRACT)[0] < 300
        assert self.ask("PUT", "/data-producer/v1/info-types/t", INFO_TYPE)[0] < 300
        assert self.ask("PUT", "/jobyard/v1/executors/Compute", PROVIDER)[0] < 300
        fields = {"runtime_id": PYTHON, "code": '{"source": "package"}', "name": self.mark}
        status, text = self.ask("POST", "/v1/functions", *form_of(fields, packed(CODE)))
        assert status == 201, text
        self.function = json.loads(text)["id"]
        self.names.add(self.function)

    def make(self, kind, key):
        """Make a thing, or meet what was made under the same name before; what was answered."""
        status, text = self.ask(*MAKING[kind](self, key))
        assert status < 300 or (kind, key) in self.made, (kind, status, text)
        self.made.append((kind, key))
        with contextlib.suppress(ValueError):
            found = json.loads(text)
            if isinstance(found, dict):
                self.names |= {str(found[name]) for name in ("id", "uid", "number") if found.get(name)}
        return text

    def sees(self):
        """Everything that it is shown of its own accord, but for what tells the time."""
        return {path: (status, TIMES.sub(b"", text)) for path in LISTS for status, text in (self.ask("GET", path),)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants")
    callers = Callers(folder, [])
    pairs = []
    with contextlib.ExitStack() as stack:
        server = Server(folder, JOBYARD_LOG_CALLS="false", JOBYARD_LOG_CHANGES="false", **callers.settings)
        pairs += [
            tuple(Tenant(server, callers, f"{side}{number}.") for side in ("north", "south"))
            for number in range(EXAMPLES + 5)
        ]
        stack.enter_context(server)
        server.connection = http.client.HTTPConnection(server.rest, timeout=60)
        server.pairs = iter(pairs)
        yield server
        server.connection.close()


STEP = st.tuples(st.booleans(), st.sampled_from(sorted(MAKING)), st.sampled_from(["k1", "k2"]))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(STEP, min_size=4, max_size=14))
def test_neither_learns_of_the_other(server, steps):
    both = next(server.pairs)
    for one in both:
        one.begin()
    for northern, kind, key in steps:
        me, other = both if northern else both[::-1]
        assert other.mark.encode() not in me.make(kind, key), kind
    for me, other in (both, both[::-1]):
        before = other.sees()
        shown = me.sees()
        assert [path for path, (_, text) in shown.items() if other.mark.encode() in text] == []
        assert [(path, told[0]) for path, told in shown.items() if told[0] >= 400] == []
        everything = b"".join(text for _, text in shown.values())
        assert (me.mark.encode() in everything) or not me.made
        jobs = len(json.loads(shown["/data-consumer/v1/info-jobs"][1]))
        assert json.loads(shown["/status"][1])["no_of_jobs"] == jobs, "counts are of one tenant, too"
        for name in sorted(other.names):
            for verb, path in ITEMS:
                brief = BRIEFLY if name in me.names else None
                status, text = me.ask(verb, path.format(name), {} if verb == "PUT" else None, brief)
                assert status in {400, 404, 405} or name in me.names, (verb, path.format(name), status, text)
                assert other.mark.encode() not in text
        after = other.sees()
        for path in set(LISTS) - {"/jobyard/v1/deliveries?page_size=100"}:  # which are tried again all the time
            assert after[path] == before[path], "nothing of the other was changed"


def test_pages_of_one_are_not_turned_by_the_other(server):
    north, south = next(server.pairs)
    for one in (north, south):
        one.begin()
        for key in ("k1", "k2", "k3"):
            for kind in ("job", "viya job", "dataone job"):
                one.make(kind, key)
    for path, into, query in (
        ("/jobyard/v1/jobs?page_size=1", "next_page_token", "/jobyard/v1/jobs?page_size=1&page_token={}"),
        ("/ghibli-rest/v2/job-manager/jobs?maxItems=1", "next", "{}"),
    ):
        _, text = north.ask("GET", path)
        token = json.loads(text)[into]
        assert token
        target = query.format(token)
        target = target[target.index("/", 8) :] if target.startswith("http") else target
        assert north.ask("GET", target)[0] == 200
        status, text = south.ask("GET", target)
        assert status in {200, 400}
        assert north.mark.encode() not in text


def test_a_change_of_one_wakes_no_watch_of_the_other(server):
    north, south = next(server.pairs)
    north.begin()
    south.begin()
    _, text = south.ask("GET", "/jobyard/v1/jobs?page_size=10")
    token = json.loads(text)["watch_token"]
    for key in ("k1", "k2"):
        north.make("job", key)
    south.make("job", "k1")
    _, text = south.ask("GET", f"/jobyard/v1/jobs:watch?resume_token={token}", headers=BRIEFLY)
    assert south.mark.encode() in text
    assert north.mark.encode() not in text
