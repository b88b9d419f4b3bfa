"""What the vectors leave open about the wire: methods, media, bodies, parameters, who may do what, and links."""

import json
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import grpc
import pytest

from apis.dataone.expectations import check_error, check_job
from apis.dataone.yard import FIXTURES, JOBS, PATIENCE, Yard, rows_of
from jobyard.dataone.v1 import job_pb2, job_service_pb2

JSON = {"Content-Type": "application/json"}
PULL = b'{"contractName":"InvoicesIn","actionName":"pull"}'


def violations(answer) -> dict[str, str]:
    check_error(answer)
    details = {detail["@type"].rpartition("/")[2]: detail for detail in answer.json["error"]["details"]}
    found = details.get("google.rpc.BadRequest", {}).get("fieldViolations", [])
    if found:
        assert found[0]["field"] in answer.json["error"]["message"], "people read the spelling they used"
    return {violation["field"]: violation["description"] for violation in found}


# --- methods, media, bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(yard, method):
    answer = yard.ask("alice", method, JOBS)
    assert answer.status == 405
    assert {word.strip() for word in answer.headers["allow"].split(",")} >= {"GET", "POST"}
    check_error(answer)


def test_head_is_another_method_too(yard):
    assert yard.ask("ursula", "HEAD", JOBS).status == 405


def test_unknown_paths_are_answered_in_the_form_of_the_api(yard):
    answer = yard.ask("alice", "GET", "/ghibli-rest/v2/job-manager/jobs/1")
    assert answer.status == 404
    check_error(answer)


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "APPLICATION/JSON", 'application/json;charset="UTF-8"']
)
def test_json_under_any_spelling_is_taken(yard, media):
    assert yard.ask("alice", "POST", JOBS, PULL, {"Content-Type": media}).status == 201


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
def test_other_media_are_not(yard, media):
    answer = yard.ask("alice", "POST", JOBS, PULL, {"Content-Type": media} if media else {})
    assert answer.status == 415
    check_error(answer)
    assert yard.ids() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"   ", None),
        (b"{", None),
        (b"[]", None),
        (b'"text"', None),
        (b"null", None),
        (b"7", None),
        (b'{"contractName":"InvoicesIn","actionName":"pull"} {}', None),
        (b'{"contractName":1,"actionName":"pull"}', "contractName"),
        (b'{"contractName":null,"actionName":"pull"}', "contractName"),
        (b'{"contractName":"","actionName":"pull"}', "contractName"),
        (b'{"contractName":"InvoicesIn","actionName":["pull"]}', "actionName"),
        (PULL[:-1] + b',"actionVariables":[]}', "actionVariables"),
        (PULL[:-1] + b',"actionVariables":"a=1"}', "actionVariables"),
        (PULL[:-1] + b',"extIPID":7}', "extIPID"),
        (PULL[:-1] + b',"extIPID":"' + b"k" * 65 + b'"}', "extIPID"),
        (PULL[:-1] + b',"extIpid":"k"}', "extIpid"),
        (PULL[:-1] + b',"ext_ipid":"k"}', "ext_ipid"),
        (PULL[:-1] + b',"ipid":"k"}', "ipid"),
        (PULL[:-1] + b',"queue":"Express"}', "queue"),
        (b'{"contract_name":"InvoicesIn","action_name":"pull"}', "contract_name"),
    ],
)
def test_bodies_that_cannot_be_read(yard, body, field):
    answer = yard.ask("alice", "POST", JOBS, body, JSON)
    assert answer.status == 400, answer
    assert answer.json["error"]["status"] == "INVALID_ARGUMENT"
    assert field is None or field in violations(answer)
    check_error(answer)
    assert yard.ids() == []


@pytest.mark.parametrize("key", [None, ""])
def test_a_key_that_is_null_or_empty_is_none(yard, key):
    first, second = yard.submit(extIPID=key), yard.submit(extIPID=key)
    assert (first.status, second.status) == (201, 201)
    assert first.json["extIPID"] == ""


def test_variables_that_are_null_are_none(yard):
    created = yard.submit(actionVariables=None)
    assert json.loads(yard.payload(int(created.json["id"]))) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("key", [" k ", "K", "k\0", "\U0001f600" * 64, "é", "e\u0301", "a+b&c=d%20", "\n"])
def test_a_key_is_opaque(yard, key):
    first = yard.submit(extIPID=key)
    assert (first.status, first.json["extIPID"]) == (201, key)
    assert yard.submit(extIPID=key).json["id"] == first.json["id"]
    assert yard.submit(extIPID="k").status == 201, "a key that is only alike is another one"
    assert yard.ids(f"extIPID={quote(key)}") == [int(first.json["id"])]


# --- answers -----------------------------------------------------------------------------------------------------


def test_the_second_answer_says_that_it_is_one(yard):
    first = yard.submit(extIPID="k", actionVariables={"a": 1, "b": 2})
    again = yard.submit(extIPID="k", actionVariables={"b": 2, "a": 1})
    other = yard.submit(extIPID="k", actionVariables={"a": 1})
    assert (first.status, again.status, other.status) == (201, 409, 409)
    assert first.json == again.json == other.json
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == other.headers["idempotent-replayed"] == "true"
    assert "idempotency-payload-mismatch" not in again.headers
    assert other.headers["idempotency-payload-mismatch"] == "true"


def test_a_new_job_is_listed_at_once_as_it_was_answered(yard):
    created = yard.submit(extIPID="k").json
    check_job(created)
    assert yard.list(f"id={created['id']}").json["jobs"] == [created]
    assert created["status"] == "SUBMITTED"
    assert (created["contract"], created["contractType"], created["contractAction"]) == ("InvoicesIn", "Input", "pull")
    assert (created["actor"], created["queue"], created["submittedBy"]) == ("POLLUX", "Default Queue", "alice")
    assert created["contractActionTrigger"] == "OnDemand"
    instance = created["contractActionWorkflowInstance"]
    assert instance.pop("id")
    assert list(instance.values()) == ["7", "system_onDemand_exec", "1", "exec"]
    assert yard.ids(f"dfiid={created['dfic']['dfiid']}&lcid={quote(created['dfic']['lcid'])}") == [int(created["id"])]


def test_a_job_keeps_what_the_contract_said_at_the_submit(yard):
    before = yard.submit(extIPID="k").json
    yard.set_contract("InvoicesIn", actor="CASTOR", queue="Express")
    assert yard.submit(extIPID="k").json == before
    after = yard.submit(extIPID="k2").json
    assert (after["actor"], after["queue"]) == ("CASTOR", "Express")


def test_variables_reach_the_worker_merged_and_digit_for_digit(yard):
    body = PULL[:-1] + b',"actionVariables":{"b":9007199254740993,"f":1.50,"o":{"p":[1,  2]}}}'
    created = yard.ask("alice", "POST", JOBS, body, JSON)
    payload = yard.payload(int(created.json["id"]))
    assert json.loads(payload) == {"a": "1", "b": 9007199254740993, "f": 1.5, "o": {"p": [1, 2]}}
    assert '"b":9007199254740993,"f":1.50,"o":{"p":[1,  2]}' in payload


# --- parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("maxItems=1001", "maxItems"),
        ("maxItems=99999999999999999999", "maxItems"),
        ("maxItems=2147483648", "maxItems"),
        ("maxItems=1e2", "maxItems"),
        ("maxItems=", "maxItems"),
        ("maxItems=5&maxItems=5", "maxItems"),
        ("max_items=5", "max_items"),
        ("maxitems=5", "maxitems"),
        ("sort=", "sort"),
        ("sort=+foo", "sort"),
        ("sort=id&sort=queue", "sort"),
        ("status=", "status"),
        ("status=completed", "status"),
        ("status=6", "status"),
        ("status=JOB_STATUS_COMPLETED", "status"),
        ("status=ERROR&status=ABORTED", "status"),
        ("id=", "id"),
        ("id=9223372036854775808", "id"),
        ("workflowTemplateId=x", "workflowTemplateId"),
        ("createdAtFrom=", "createdAtFrom"),
        ("createdAtFrom=2024-03-26T12:30:30", "createdAtFrom"),
        ("createdAtTo=2024-03-26", "createdAtTo"),
        ("updatedAtFrom=yesterday", "updatedAtFrom"),
        ("updatedAtTo=2024-03-26T24:00:00Z", "updatedAtTo"),
        ("createdAtTo=2024-03-26T13:30:30%20%2001:00", "createdAtTo"),
        ("createdAtTo=2024-03-26T13:30:30%2B24:00", "createdAtTo"),
        ("maxItems=+5", "maxItems"),
        ("maxItems=%EF%BC%95", "maxItems"),
        ("id=101+", "id"),
        ("status=+ERROR", "status"),
        ("status=ERROR,ABORTED", "status"),
        ("a;b=1", "a;b"),
        ("pageToken=", "pageToken"),
        ("foo=1", "foo"),
        ("extIpid=k", "extIpid"),
        ("next=x", "next"),
    ],
)
def test_parameters_that_cannot_be_read_are_named(yard, query, field):
    answer = yard.list(query)
    assert answer.status == 400, answer
    assert field in violations(answer)


def test_no_size_is_the_usual_size(yard):
    yard.load(rows_of("G101"))
    assert len(yard.ids("maxItems=0")) == len(yard.ids()) == 100
    assert len(yard.ids("maxItems=1000")) == 101


def test_many_sort_keys(yard):
    yard.load(rows_of("D12"))
    rows = rows_of("D12")
    wanted = sorted(rows, key=lambda row: (row["queue"], row["submittedBy"], row["id"]))
    assert yard.ids("sort=+queue,%2BsubmittedBy,+id") == [row["id"] for row in wanted]
    wanted = sorted(sorted(rows, key=lambda row: -row["id"]), key=lambda row: row["queue"])
    assert yard.ids("sort=queue,-id") == [row["id"] for row in wanted]
    assert "sort" in violations(yard.list("sort=queue,-contractType")), "none of them is left out"


def test_nothing_lies_between_bounds_that_cross(yard):
    yard.load(rows_of("D12"))
    assert yard.ids("createdAtFrom=2024-03-26T13:00:00Z&createdAtTo=2024-03-26T12:00:00Z") == []


# --- who may do what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "<invalid>"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_challenged(yard, user, method):
    answer = yard.ask(user, method, JOBS, PULL if method == "POST" else None, JSON)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    check_error(answer)


@pytest.mark.parametrize("user", ["ursula", "nora", "sam"])
@pytest.mark.parametrize(
    "body",
    [PULL, b'{"contractName":"InvoicesIn","actionName":"nope"}', b'{"contractName":"nope","actionName":"a"}', b"{"],
)
def test_without_the_permission_nothing_is_learnt(yard, user, body):
    answer = yard.ask(user, "POST", JOBS, body, JSON)
    assert answer.status == 403
    check_error(answer)
    assert answer.json["error"]["message"] == yard.ask(user, "POST", JOBS, PULL, JSON).json["error"]["message"]


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("nora", 403), ("alice", 415)])
def test_media_are_looked_at_once_it_is_known_who_calls(yard, user, status):
    answer = yard.ask(user, "POST", JOBS, PULL, {"Content-Type": "text/plain"})
    assert answer.status == status
    check_error(answer)


@pytest.mark.parametrize("user", ["nora", "wendy"])
def test_without_the_permission_nothing_is_listed(yard, user):
    assert yard.list(user=user).status == 403
    assert yard.list("maxItems=abc", user=user).status == 403


def test_what_is_wrong_is_told_before_what_exists(yard):
    wrong = {"extIPID": "k" * 65}
    assert yard.submit(contractName="nope", **wrong).status == 400
    assert yard.submit(contractName="nope").status == 404


def test_everybody_who_may_list_sees_all_jobs(yard):
    ids = [int(yard.submit(user).json["id"]) for user in ("alice", "bob", "wendy")]
    assert yard.ids() == ids[::-1]


# --- links -------------------------------------------------------------------------------------------------------

AWKWARD = "R&D=x +1%#?é"


def test_next_repeats_what_was_asked(yard):
    yard.load(rows_of("DX"))
    bound = "2024-03-26T13:00:00+01:00"
    query = f"maxItems=1&actor={quote(AWKWARD)}&sort=+createdAt&createdAtFrom={bound}&extIPID=x1"
    assert "next" not in yard.list(query).json, "one job has this key"
    query = query.removesuffix("&extIPID=x1")
    link = yard.list(query).json["next"]
    said = parse_qs(urlsplit(link).query, strict_parsing=True)
    token = said.pop("pageToken")
    assert {name: values[0].replace(" ", "+", 1) for name, values in said.items() if name != "actor"} == {
        "maxItems": "1", "sort": "+createdAt", "createdAtFrom": bound
    }  # fmt: skip
    assert said["actor"] == [AWKWARD]
    assert len(token) == 1
    assert yard.ids(urlsplit(link).query) == [2]
    assert yard.ids(urlsplit(link).query) == [2], "a link may be followed again"


def test_a_token_is_bound_to_the_list_but_not_to_the_size_of_its_pages(yard):
    yard.load(rows_of("D12"))
    query = "status=COMPLETED&createdAtFrom=2024-03-26T13:00:00%2B01:00"
    link = urlsplit(yard.list(f"{query}&maxItems=1").json["next"]).query
    token = parse_qs(link)["pageToken"][0]
    assert yard.ids(f"{query}&maxItems=50&pageToken={token}") == [108, 107, 101]
    same_instant = "status=COMPLETED&createdAtFrom=2024-03-26T12:00:00Z"
    assert yard.ids(f"{same_instant}&pageToken={token}") == [108, 107, 101]
    damaged = f"{token[:-2]}{'A' if token[-2] != 'A' else 'B'}{token[-1]}"
    for other in (f"pageToken={token}", f"{query}&sort=-queue&pageToken={token}", f"{query}&pageToken={damaged}",
                  f"{query}&contract=InvoicesIn&pageToken={token}"):  # fmt: skip
        answer = yard.list(other)
        assert answer.status == 400, other
        assert "pageToken" in violations(answer)


def test_a_token_gives_no_access(yard):
    yard.load(rows_of("D12"))
    link = yard.list("maxItems=1").json["next"]
    assert yard.ask("nora", "GET", link).status == 403
    assert yard.ask(None, "GET", link).status == 401


def test_links_follow_the_api_to_another_path(tmp_path):
    paths = json.dumps({"dataone": "/primeur/rest"})
    moved = Yard(tmp_path, users=FIXTURES["users"], JOBYARD_CONTEXT_PATHS=paths)
    moved.start()
    try:
        moved.load(rows_of("D12"))
        target = "/primeur/rest/job-manager/jobs?maxItems=5"
        link = moved.ask("ursula", "GET", target).json["next"]
        assert link.startswith("/primeur/rest/job-manager/jobs?")
        page = moved.ask("ursula", "GET", urljoin(target, link)).json["jobs"]
        assert [job["id"] for job in page] == ["107", "106", "105", "104", "103"]
        assert moved.ask("ursula", "GET", JOBS).status == 404
    finally:
        moved.stop()


# --- the same over gRPC ------------------------------------------------------------------------------------------


def test_the_same_jobs_over_grpc(yard):
    alice, ursula = ({"metadata": yard.metadata(user), "timeout": PATIENCE} for user in ("alice", "ursula"))
    request = job_service_pb2.SubmitJobRequest(contract_name="InvoicesIn", action_name="pull", ext_ipid="k")
    first = yard.dataone.SubmitJob(request, **alice)
    assert first.outcome == job_service_pb2.SUBMIT_OUTCOME_CREATED
    assert yard.submit(extIPID="k").json["id"] == str(first.job.id)
    request.action_variables = '{"x": 1}'
    again = yard.dataone.SubmitJob(request, **alice)
    assert (again.outcome, again.payload_mismatch) == (job_service_pb2.SUBMIT_OUTCOME_EXISTING, True)
    assert again.job == first.job
    second = yard.dataone.SubmitJob(job_service_pb2.SubmitJobRequest(contract_name="A", action_name="BC"), **alice)
    page = yard.dataone.ListJobs(job_service_pb2.ListJobsRequest(max_items=1, ext_ipid=""), **ursula)
    assert ([job.id for job in page.jobs], page.next_page_token) == ([second.job.id], "")
    page = yard.dataone.ListJobs(
        job_service_pb2.ListJobsRequest(max_items=1, status=job_pb2.JOB_STATUS_SUBMITTED), **ursula
    )
    assert [job.id for job in page.jobs] == [second.job.id]
    assert not page.HasField("next")
    rest = job_service_pb2.ListJobsRequest(status=job_pb2.JOB_STATUS_SUBMITTED, page_token=page.next_page_token)
    assert [job.id for job in yard.dataone.ListJobs(rest, **ursula).jobs] == [first.job.id]


@pytest.mark.parametrize("text", ["[]", "{", "x", '{"a":' + "[" * 101 + "]" * 101 + "}"])
def test_variables_are_read_over_grpc_too(yard, text):
    request = job_service_pb2.SubmitJobRequest(contract_name="nope", action_name="a", action_variables=text)
    with pytest.raises(grpc.RpcError) as caught:
        yard.dataone.SubmitJob(request, metadata=yard.metadata("alice"), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "action_variables" in caught.value.details()
