"""What faces declare: names, strictness, presence, answers, errors and links, on APIs that differ in all of it."""

from __future__ import annotations

import pytest
from google.rpc import code_pb2, error_details_pb2

from jobyard_server.transcoding.backend import RpcFailure
from support.asgi import Client
from support.recording import Recording, failure
from support.trial import make

# Orders: strict, JSON names, everything always there.


@pytest.fixture
def orders(serve) -> Client:
    return serve("orders.OrderService")


def order(**fields):
    return make("orders.Order", id=2**60, status=1, contract="c", **fields)


def submitted(outcome: int, *, mismatch: bool = False):
    return make("orders.SubmitResponse", order=order(), outcome=outcome, payload_mismatch=mismatch)


async def test_new_and_known_orders_are_told_apart(orders: Client, backend: Recording) -> None:
    backend.handlers["Submit"] = lambda _: submitted(1)
    new = await orders("POST", "/shop/v2/orders", {"contractName": "c", "extIPID": "k"})
    assert (new.status, new.headers["location"]) == (201, f"/shop/v2/orders/{2**60}")
    assert new.json == {
        "id": str(2**60),
        "status": "SUBMITTED",
        "contract": "c",
        "extIPID": "",
        "ownerId": 0,
    }
    assert backend.request.ext_ipid == "k"
    backend.handlers["Submit"] = lambda _: submitted(2, mismatch=True)
    known = await orders("POST", "/shop/v2/orders", {"contractName": "c"})
    assert known.status == 409
    assert known.json == new.json
    assert known.headers["idempotent-replayed"] == "true"
    assert known.headers["payload-mismatch"] == "true"
    backend.handlers["Submit"] = lambda _: submitted(2)
    assert "payload-mismatch" not in (await orders("POST", "/shop/v2/orders", {})).headers


async def test_free_json_keeps_every_byte(orders: Client, backend: Recording) -> None:
    backend.handlers["Submit"] = lambda _: submitted(1)
    raw = b'{"big":9007199254740993, "one": 1.0,"e":1E40, "z":{"b":1,"a":2}}'
    answer = await orders(
        "POST",
        "/shop/v2/orders",
        b'{"contractName":"c","variables":' + raw + b"}",
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status == 201, answer.text
    assert backend.request.variables == raw


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the request has no body"),
        (b"[]", 400, "the body must be an object, not a list"),
        (b'{"contractName":', 400, "the body is not JSON: unexpected end of data at line 1 column 17"),
        (b'{"contract_name":"x"}', 400, "contract_name: is not known here, did you mean contractName?"),
        (b'{"contractName":7}', 400, "contractName: must be text, not a number"),
        (b'{"variables":[1]}', 400, "variables: must be an object, not a list"),
        (b'{"contractName":"a","contractName":"b"}', 400, "contractName: is given twice"),
        (b'{"contractName":"\xff"}', 400, None),
        (b'{"contractName":"' + b"x" * 5000 + b'"}', 413, "the body is larger than 4096 bytes"),
    ],
)
async def test_bad_bodies(orders: Client, backend: Recording, body: bytes, status: int, message: str | None) -> None:
    answer = await orders("POST", "/shop/v2/orders", body, headers={"Content-Type": "application/json"})
    assert answer.status == status, answer.text
    error = answer.json["error"]
    assert error["code"] == status
    assert message is None or error["message"] == message
    assert not backend.requests


async def test_another_media_type_is_refused(orders: Client) -> None:
    answer = await orders("POST", "/shop/v2/orders", b"{}", headers={"Content-Type": "text/xml"})
    assert (answer.status, answer.json["error"]["message"]) == (
        415,
        "the media type 'text/xml' is not supported here; send application/json",
    )
    missing = await orders("POST", "/shop/v2/orders", b"{}")
    assert missing.status == 415


async def test_errors_carry_their_details(orders: Client, backend: Recording) -> None:
    backend.refuse = failure(5, "no contract x", "CONTRACT_UNKNOWN", contract="x")
    answer = await orders("POST", "/shop/v2/orders", {"contractName": "x"})
    assert answer.status == 404
    assert answer.json["error"] == {
        "code": 404,
        "status": "NOT_FOUND",
        "message": "no contract x",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "CONTRACT_UNKNOWN",
                "domain": "trial",
                "metadata": {"contract": "x"},
            }
        ],
    }


async def test_refused_callers_learn_nothing_else(orders: Client, backend: Recording) -> None:
    backend.refuse = failure(code_pb2.UNAUTHENTICATED, "who are you?")
    nobody = await orders("POST", "/shop/v2/orders", b"rubbish", headers={"Content-Type": "application/json"})
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="shop"')
    backend.refuse = failure(code_pb2.PERMISSION_DENIED, "role x is missing")
    answer = await orders("GET", "/shop/v2/orders?nope=1")
    assert (answer.status, answer.json["error"]["message"]) == (403, "You may not do that.")


async def test_violated_rules_name_what_the_client_wrote(orders: Client, backend: Recording) -> None:
    bad = error_details_pb2.BadRequest(
        field_violations=[error_details_pb2.BadRequest.FieldViolation(field="ext_ipid", description="is too long")]
    )
    backend.refuse = RpcFailure(code_pb2.INVALID_ARGUMENT, "invalid", (bad,))
    answer = await orders("POST", "/shop/v2/orders", {})
    assert answer.json["error"]["details"][0]["fieldViolations"] == [
        {"field": "extIPID", "description": "is too long", "reason": ""}
    ]


async def test_retry_info_becomes_retry_after(orders: Client, backend: Recording) -> None:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(1500)
    backend.refuse = RpcFailure(code_pb2.RESOURCE_EXHAUSTED, "later", (info,))
    answer = await orders("GET", "/shop/v2/orders")
    assert (answer.status, answer.headers["retry-after"]) == (429, "2")


async def test_the_next_page_is_the_same_query_with_a_new_token(serve, backend: Recording) -> None:
    backend.handlers["List"] = lambda _: make("orders.ListResponse", orders=[order()], next_page_token="t/1")
    orders = serve("orders.OrderService")
    query = "maxItems=2&sort=%2Bid&extIPID=&createdAtFrom=2026-01-15T10:00:00%2B01:00&pageToken=old"
    first = await orders("GET", f"/shop/v2/orders?{query}")
    assert first.json["next"] == (
        "/shop/v2/orders?maxItems=2&sort=%2Bid&extIPID=&createdAtFrom=2026-01-15T10%3A00%3A00%2B01%3A00&pageToken=t%2F1"
    )
    again = await orders("GET", first.json["next"])
    assert again.status == 200
    assert (backend.request.sort, backend.request.page_token, backend.request.ext_ipid) == ("+id", "t/1", "")
    assert backend.request.HasField("ext_ipid")
    backend.handlers["List"] = lambda _: make("orders.ListResponse")
    assert (await orders("GET", "/shop/v2/orders")).json == {"orders": []}


async def test_a_face_can_be_moved(serve, backend: Recording) -> None:
    backend.handlers["Submit"] = lambda _: submitted(1)
    moved = serve(
        "orders.OrderService", mounts={"orders": "/apps/shop"}, absolute_locations=True, public_url="https://x.test"
    )
    answer = await moved("POST", "/apps/shop/orders", {})
    assert answer.headers["location"] == f"https://x.test/apps/shop/orders/{2**60}"
    assert (await moved("POST", "/shop/v2/orders", {})).status == 404
    wrong = await moved("GET", "/apps/shop/nothing")
    assert wrong.json["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("maxItems=", "maxItems: must not be empty"),
        ("sort=", "sort: must not be empty"),
        ("status=1", "status: must be one of SUBMITTED, RUNNING"),
        ("id=x", "id: must be a whole number"),
        ("ext_ipid=x", "ext_ipid: is not a parameter of this method"),
        ("extIPID=a&extIPID=b", "extIPID: may be given only once"),
    ],
)
async def test_parameters_are_strict(orders: Client, query: str, message: str) -> None:
    answer = await orders("GET", f"/shop/v2/orders?{query}")
    assert (answer.status, answer.json["error"]["message"]) == (400, message)


# Board: proto names, bare arrays, empty answers, two faces over the same errors.


@pytest.fixture
def board(serve) -> Client:
    return serve("board.BoardService", "board.NoticeService")


TOPIC = b'{"info_type_id":"t","definition":{"a": 1.0,"A":2},"note":null}'


async def test_created_and_updated_without_a_body(board: Client, backend: Recording) -> None:
    for created, status in ((True, 201), (False, 200)):
        backend.handlers["PutTopic"] = lambda _, made=created: make("board.PutTopicResponse", created=made)
        answer = await board("PUT", "/consumer/v1/topics/x", TOPIC, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.body, answer.headers["content-length"]) == (status, b"", "0")
        assert "content-type" not in answer.headers
    assert backend.request.topic.definition == b'{"a": 1.0,"A":2}'
    assert backend.request.topic.note == b"null"


async def test_bare_arrays_and_defaults(board: Client, backend: Recording) -> None:
    backend.handlers["ListTopics"] = lambda _: make("board.ListTopicsResponse", topic_ids=["a", "b"])
    assert (await board("GET", "/consumer/v1/topics?typeCheck=YES&unknown=1")).json == ["a", "b"]
    assert backend.request.type_check is True
    backend.handlers["ListTopics"] = lambda _: make("board.ListTopicsResponse")
    assert (await board("GET", "/consumer/v1/topics?type_check=0")).body == b"[]"
    topic = make("board.Topic", info_type_id="t", definition=b'{"x":1e2}')
    backend.handlers["GetTopic"] = lambda _: make("board.GetTopicResponse", topic=topic)
    answer = await board("GET", "/consumer/v1/topics/x")
    assert answer.body == b'{"info_type_id":"t","owner":"","definition":{"x":1e2},"producers":[]}'


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b'{"definition":{}}', "info_type_id", "is required"),
        (b'{"info_type_id":"t","definition":null}', "definition", "is required"),
        (b'{"info_type_id":"t","definition":[]}', "definition", "must be an object, not a list"),
        (b'{"info_type_id":"t","definition":{},"infoTypeId":"x"}', "infoTypeId", "is not known here"),
    ],
)
async def test_the_layer_has_errors_of_its_own(board: Client, body: bytes, field: str, problem: str) -> None:
    answer = await board("PUT", "/consumer/v1/topics/x", body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json.items() >= {"status": 400, "error": "Bad Request", "path": "/consumer/v1/topics/x"}.items()
    assert answer.json["timestamp"].endswith("Z")
    notice = await board("PUT", "/notices/v0/topics/x", body, headers={"Content-Type": "application/json"})
    assert notice.headers["content-type"] == "application/problem+json"
    assert notice.json["invalid"][0].startswith(f"{field}: {problem}")


async def test_the_same_reason_differs_by_face(board: Client, backend: Recording) -> None:
    backend.refuse = failure(5, "gone", "TOPIC_NOT_FOUND", topic="x")
    answer = await board("GET", "/consumer/v1/topics/x")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json == {
        "type": "about:blank",
        "title": "Topic not found",
        "status": 404,
        "detail": "Topic not found: x",
    }
    notice = await board("PUT", "/notices/v0/topics/x", TOPIC, headers={"Content-Type": "application/json"})
    assert notice.json == {"type": "about:blank", "title": "Bad topic", "status": 400, "detail": "No such topic."}
    backend.refuse = failure(9, "changed", "TOPIC_CHANGED")
    assert (await board("GET", "/consumer/v1/topics/x")).status == 409


async def test_unknown_paths_belong_to_the_longest_prefix(board: Client) -> None:
    assert (await board("GET", "/consumer/v1/nope")).json["error"] == "Not Found"
    assert (await board("GET", "/notices/nope")).json["title"] == "Not found"
    assert (await board("GET", "/nowhere")).json["code"] == 5
    assert (await board("GET", "/statusquo")).json["code"] == 5


async def test_a_required_parameter(board: Client, backend: Recording) -> None:
    backend.handlers["DeleteTopics"] = lambda _: make("board.DeleteTopicsResponse")
    assert (await board("DELETE", "/consumer/v1/topics")).json["status"] == 400
    empty = await board("DELETE", "/consumer/v1/topics?owner=")
    assert (empty.status, empty.body) == (204, b"")
    assert "content-length" not in empty.headers


# Cron: everything there, nulls, lenient input, two kinds of error bodies, profiles.


@pytest.fixture
def cron(serve, backend: Recording) -> Client:
    backend.handlers["Create"] = lambda request: make("cron.CreateResponse", cron=request.cron)
    return serve("cron.CronService")


async def test_every_member_is_there_and_odd_input_is_taken(cron: Client, backend: Recording) -> None:
    answer = await cron("POST", "/cron/v1/jobs/", {"name": None, "count": "5", "id": "mine", "status": "finished"})
    assert answer.status == 201, answer.text
    assert answer.body == b'{"id":"","name":null,"count":5,"status":"finshed","pattern":null,"project_id":null}'
    await cron("POST", "/cron/v1/jobs.json", {"count": 5.5})
    assert backend.request.cron.count == 5
    await cron("POST", "/cron/v1/jobs", {"count": True})
    assert backend.request.cron.count == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"bogus": 1}, "Unknown attribute for argument cron: bogus"),
        ({"project_id": "x"}, "Invalid input for field/attribute project_id. Value: 'x'. Cannot set read only field."),
        (
            {"project_id": None},
            "Invalid input for field/attribute project_id. Value: 'None'. Cannot set read only field.",
        ),
        (None, 'Missing argument: "cron"'),
    ],
)
async def test_faults_in_the_words_of_the_api(cron: Client, body, text: str) -> None:
    answer = await cron("POST", "/cron/v1/jobs", body)
    assert (
        answer.body == b'{"faultcode":"Client","faultstring":"%b","debuginfo":null}' % text.replace('"', '\\"').encode()
    )
    assert answer.status == 400


async def test_a_form_may_hold_what_its_message_ignores(cron: Client, backend: Recording) -> None:
    backend.handlers["Replace"] = lambda request: make("cron.ReplaceResponse", name=request.name)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await cron("PUT", "/cron/v1/functions", b"name=a&nope=1", headers=form)).json == {"name": "a"}
    assert (await cron("PUT", "/cron/v1/functions?nope=1", b"name=a", headers=form)).status == 400


async def test_a_suffix_is_no_part_of_an_id(cron: Client, backend: Recording) -> None:
    backend.handlers["Update"] = lambda request: make("cron.UpdateResponse", cron=request.cron)
    for path in ("/cron/v1/jobs/7", "/cron/v1/jobs/7.json", "/cron/v1/jobs/7.json/"):
        assert (await cron("PUT", path, {})).status == 200
        assert backend.request.cron_id == "7"
    await cron("PUT", "/cron/v1/jobs/7.xml", {})
    assert backend.request.cron_id == "7.xml"


async def test_answers_as_xml(cron: Client) -> None:
    xml = {"Accept": "application/xml"}
    answer = await cron("POST", "/cron/v1/jobs", {"name": "a&b"}, headers=xml)
    assert (answer.status, answer.headers["content-type"]) == (201, "application/xml; charset=UTF-8")
    assert answer.body.startswith(b'<result><id></id><name>a&amp;b</name><count nil="true" />')
    refused = await cron("POST", "/cron/v1/jobs", {"bogus": 1}, headers=xml)
    assert (refused.status, refused.headers["content-type"]) == (400, "application/xml; charset=UTF-8")
    assert b"<faultstring>Unknown attribute for argument cron: bogus</faultstring><debuginfo />" in refused.body


async def test_the_other_kind_of_error(cron: Client, backend: Recording) -> None:
    unknown = await cron("GET", "/cron/v9")
    assert unknown.json == {"code": 404, "title": "Not Found", "description": "nothing is found at /cron/v9"}
    backend.refuse = failure(code_pb2.UNAUTHENTICATED, "Failed to validate")
    answer = await cron("GET", "/cron/v1/jobs")
    assert answer.json == {"code": 401, "title": "Unauthorized", "description": "Failed to validate"}
    assert answer.headers["server-error-message"] == "Failed to validate"
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://shop.test"'
    backend.refuse = failure(code_pb2.UNAVAILABLE, "down")
    assert (await cron("GET", "/cron/v1/jobs")).json["faultcode"] == "Server"
    backend.refuse = None
    text = await cron("POST", "/cron/v1/jobs", b"x", headers={"Content-Type": "text/plain"})
    assert (text.status, text.json["faultstring"]) == (415, "Unknown mimetype: text/plain")
    extra = await cron("GET", "/cron/v1/jobs?limit=3")
    assert (extra.status, extra.json["faultstring"]) == (400, 'Unknown argument: "limit"')


async def test_tokens_of_odd_headers_are_bearer_tokens(cron: Client, backend: Recording) -> None:
    backend.handlers["List"] = lambda _: make("cron.ListResponse")
    answer = await cron(
        "GET", "/cron/v1/jobs?all_projects=Yes&project_id=a,b&project_id=c", headers={"X-Auth-Token": "t1"}
    )
    assert answer.json == {"jobs": []}
    assert ("authorization", "Bearer t1") in backend.calls[0].metadata
    assert backend.request.all_projects is True
    assert list(backend.request.project_id) == ["a", "b", "c"]


async def test_profiles_switch_answers_and_words(serve, backend: Recording) -> None:
    backend.handlers["Update"] = lambda _: make("cron.UpdateResponse", cron=make("cron.Cron", status=2))
    plain = await serve("cron.CronService")("PUT", "/cron/v1/jobs/x", {"status": "finshed"})
    assert (plain.status, plain.json["status"]) == (200, "finshed")
    switched = serve("cron.CronService", profiles=frozenset({"documented", "right-spelling"}))
    other = await switched("PUT", "/cron/v1/jobs/x", {"status": "finshed"})
    assert (other.status, other.json["status"]) == (202, "finished")


async def test_absolute_links_on_a_hidden_route(cron: Client, backend: Recording) -> None:
    backend.handlers["Versions"] = lambda _: make("cron.VersionsResponse", versions=[make("cron.Version", id="v1")])
    answer = await cron("GET", "/cron/")
    assert answer.json == {
        "versions": [{"id": "v1", "links": [{"href": "http://shop.test/cron/v1", "target": "v1", "rel": "self"}]}]
    }


async def test_forms_and_files(cron: Client, backend: Recording) -> None:
    backend.handlers["Upload"] = lambda request: make("cron.UploadResponse", size=len(request.package))
    body = (
        b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nf\xc3\xa9\r\n'
        b'--B\r\nContent-Disposition: form-data; name="package"; filename="z.zip"\r\n\r\n\x00\r\n--\xff\r\n--B--\r\n'
    )
    answer = await cron("POST", "/cron/v1/functions", body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert (answer.status, answer.json) == (201, 6), answer.text
    assert (backend.request.name, backend.request.package) == ("fé", b"\x00\r\n--\xff")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    await cron("POST", "/cron/v1/functions", b"name=a+b%26&timeout=3", headers=form)
    assert (backend.request.name, backend.request.timeout) == ("a b&", 3)
    bad = await cron("POST", "/cron/v1/functions", b"name=a&nope=1", headers=form)
    assert bad.json["faultstring"] == 'Unknown argument: "nope"'
    cut = await cron(
        "POST", "/cron/v1/functions", body[:-6], headers={"Content-Type": "multipart/form-data; boundary=B"}
    )
    assert (cut.status, cut.json["faultstring"]) == (400, "the form has no closing boundary")
