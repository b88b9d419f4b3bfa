"""What faces declare, continued: methods told apart by media type, text, links, tags, preconditions, failed items."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2

from support.asgi import Client
from support.recording import Recording, failure
from support.trial import make

MODIFIED = Timestamp(seconds=1649361603, nanos=977_000_000)
TICKET_TYPE = "application/vnd.desk.ticket+json"
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}


def ticket(**fields):
    return make("desk.Ticket", id="t/1", state=1, modified=MODIFIED, **fields)


def collection(*items, **fields):
    return make("desk.Collection", name="tickets", count=len(items), items=items, **fields)


@pytest.fixture
def desk(serve, backend: Recording) -> Client:
    backend.handlers["Submit"] = lambda request: make(
        "desk.SubmitResponse", ticket=ticket(arguments=request.ticket.arguments)
    )
    backend.handlers["Open"] = lambda _: make("desk.SubmitResponse", ticket=ticket())
    backend.handlers["Filter"] = lambda _: make("desk.FilterResponse", collection=collection())
    backend.handlers["FilterOpen"] = lambda _: make("desk.FilterResponse", collection=collection())
    backend.handlers["Get"] = lambda _: make("desk.GetResponse", ticket=ticket())
    backend.handlers["Put"] = lambda request: make("desk.GetResponse", ticket=request.ticket)
    backend.handlers["GetState"] = lambda _: make("desk.StateResponse", state=2)
    backend.handlers["PutState"] = lambda _: make("desk.StateResponse", state=2)
    return serve("desk.DeskService")


def method(backend: Recording) -> str:
    return backend.calls[-1].method.rpartition("/")[2]


SELF = {
    "method": "GET",
    "rel": "self",
    "href": "/desk/tickets/t%2F1",
    "uri": "/desk/tickets/t%2F1",
    "type": "application/vnd.desk.ticket",
}


async def test_a_submit_is_answered_with_tags_and_links(desk: Client, backend: Recording) -> None:
    body = {"arguments": {"a": 1, "b": None, "c": True, "d": "x"}, "links": [], "version": 3}
    answer = await desk("POST", "/desk/tickets?submitter=me&_action=wait", body, headers={"Delegate-Domain": ""})
    assert answer.status == 201, answer.text
    assert answer.headers["content-type"] == TICKET_TYPE
    assert answer.headers["etag"] == '"l1pfbamh"'
    assert answer.headers["last-modified"] == "Thu, 07 Apr 2022 20:00:03 GMT"
    assert answer.headers["location"] == "/desk/tickets/t%2F1"
    assert answer.json == {
        "id": "t/1",
        "state": "running",
        "arguments": {"a": "1", "c": "true", "d": "x"},
        "elapsed": 0,
        "modified": "2022-04-07T20:00:03.977Z",
        "links": [SELF],
    }
    assert backend.request.submitter == "me"


@pytest.mark.parametrize(
    ("headers", "body", "wanted"),
    [
        (JSON, b"{}", "Submit"),
        ({"Content-Type": "Application/VND.desk.ticket+JSON;version=3"}, b"{}", "Submit"),
        (TEXT, b"eq(name,'x')", "Filter"),
        ({"Content-Type": "text/plain; charset=utf-8"}, b"eq(name,'x')", "Filter"),
    ],
)
async def test_the_media_type_chooses_the_method(desk: Client, backend: Recording, headers, body, wanted) -> None:
    answer = await desk("POST", "/desk/tickets", body, headers=headers)
    assert answer.status in {200, 201}, answer.text
    assert method(backend) == wanted


async def test_no_method_for_a_media_type(desk: Client) -> None:
    answer = await desk("POST", "/desk/tickets", b"<a/>", headers={"Content-Type": "text/xml"})
    assert answer.status == 415
    assert "application/json, application/vnd.desk.ticket+json, text/plain" in answer.json["message"]
    empty = await desk("POST", "/desk/tickets")
    assert (empty.status, empty.json["message"]) == (400, "The request body was missing or invalid.")


async def test_an_empty_body_chooses_the_method(desk: Client, backend: Recording) -> None:
    for headers in ({}, {"Content-Length": "0"}, {"Content-Length": "0", **JSON}):
        assert (await desk("POST", "/desk/templates/x/tickets?submitter=", headers=headers)).status == 201
        assert method(backend) == "Open"
    assert backend.request.submitter == ""
    answer = await desk("POST", "/desk/templates/x/tickets", b"eq(a,b)", headers=TEXT)
    assert (answer.status, method(backend)) == (200, "FilterOpen")
    assert (backend.request.filter, backend.request.template) == ("eq(a,b)", "x")


async def test_text_stands_bare(desk: Client, backend: Recording) -> None:
    answer = await desk("GET", "/desk/tickets/x/state", headers={"Accept": "application/json"})
    assert (answer.body, answer.headers["content-type"]) == (b"timedOut", "text/plain")
    for headers, body in ((TEXT, b"{}"), ({}, b"x y"), (JSON, b"{}"), ({}, None)):
        put = await desk("PUT", "/desk/tickets/x/state?value=running", body, headers=headers)
        assert put.status == 200, (headers, body, put.text)
        assert (backend.request.value, backend.request.text) == ("running", (body or b"").decode())
    bad = await desk("PUT", "/desk/tickets/x/state", b"\xff", headers=TEXT)
    assert bad.status == 400


async def test_parameters_given_again(desk: Client, backend: Recording) -> None:
    twice = "submitter=a&sumbitter=a&first=1&first=2&last=1&last=2"
    answer = await desk("POST", f"/desk/tickets?{twice}", {})
    assert answer.status == 201, answer.text
    assert (backend.request.submitter, backend.request.first, backend.request.last) == ("a", "1", "2")
    assert answer.headers["desk-version"] == "4"
    differing = await desk("POST", "/desk/tickets?submitter=a&sumbitter=b", {})
    assert (differing.status, differing.json["message"]) == (400, "There are two of submitter: a and b.")
    assert "errors" not in differing.json
    assert differing.headers["desk-version"] == "4"


async def test_nothing_set_is_no_content(desk: Client, backend: Recording) -> None:
    backend.handlers["GetBeat"] = lambda _: make("desk.BeatResponse")
    assert (await desk("GET", "/desk/tickets/x/beat")).status == 204
    backend.handlers["GetBeat"] = lambda _: make("desk.BeatResponse", beat="2022-01-01T00:00:00.000Z")
    answer = await desk("GET", "/desk/tickets/x/beat")
    assert (answer.status, answer.text) == (200, "2022-01-01T00:00:00.000Z")


async def test_errors_as_one_line_of_text(desk: Client, backend: Recording) -> None:
    backend.refuse = failure(code_pb2.NOT_FOUND, "none", "TICKET_NOT_FOUND", ticket="x")
    answer = await desk("GET", "/desk/tickets/x/state")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain")
    assert answer.text == (
        "Error[status=404,err=0,message=Ticket not found with ID: x.,detail=[path: /desk/tickets/x/state]]"
    )
    beat = await desk("GET", "/desk/tickets/x/beat")
    assert (beat.status, beat.text) == (404, "404: Ticket not found with ID: x.")
    whole = await desk("GET", "/desk/tickets/x")
    assert "json" in whole.headers["content-type"]


async def test_errors_with_numbers_and_remedies(desk: Client, backend: Recording) -> None:
    backend.refuse = failure(code_pb2.FAILED_PRECONDITION, "done", "TICKET_FINISHED", ticket="x")
    answer = await desk("GET", "/desk/tickets/x", headers={"X-Request-Id": "r-1"})
    assert answer.status == 405
    assert answer.headers["content-type"] == "application/vnd.desk.error+json;version=2;charset=UTF-8"
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.json == {
        "errorCode": 31501,
        "message": "The ticket x has already finished.",
        "httpStatusCode": 405,
        "details": ["traceId: r-1", "path: /desk/tickets/x"],
        "remediation": "Open another one than x.",
        "version": 2,
    }
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    traced = await desk("GET", "/desk/tickets/x", headers={"traceparent": trace})
    assert traced.json["details"][0] == "traceId: 4bf92f3577b34da6a3ce929d0e0e4736"
    backend.refuse = None
    nested = await desk("POST", "/desk/tickets", {"state": "pending"}, headers=JSON)
    assert nested.json["errors"][0]["errorCode"] == 1020
    assert nested.json["errors"][0]["message"].startswith("state is not valid: must be one of")


async def test_a_view_is_chosen_by_accept(desk: Client, backend: Recording) -> None:
    backend.handlers["Get"] = lambda request: make(
        "desk.GetResponse", **({"summary": make("desk.Summary", id="t")} if request.view else {"ticket": ticket()})
    )
    for accept in (
        "*/*",
        "application/json",
        "application/vnd.desk.ticket",
        "text/html, application/json;q=0.5",
        "x/y",
    ):
        answer = await desk("GET", "/desk/tickets/x", headers={"Accept": accept})
        assert (answer.headers["content-type"], backend.request.view) == (TICKET_TYPE, 0), accept
    for accept in ("application/vnd.desk.summary+json", f"{TICKET_TYPE};q=0.1, application/vnd.desk.summary+json"):
        answer = await desk("GET", "/desk/tickets/x?view=VIEW_SUMMARY", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/vnd.desk.summary+json"
        assert answer.json == {"id": "t"}


async def test_conditional_reads(desk: Client, backend: Recording) -> None:
    tag, date = '"l1pfbamh"', "Thu, 07 Apr 2022 20:00:03 GMT"
    for headers in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"x", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
    ):
        answer = await desk("GET", "/desk/tickets/x", headers=headers)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    for headers in (
        {"If-None-Match": '"x"'},
        {"If-None-Match": '"x"', "If-Modified-Since": date},
        {"If-Modified-Since": "Thu, 07 Apr 2022 20:00:02 GMT"},
        {"If-Modified-Since": "rubbish"},
    ):
        assert (await desk("GET", "/desk/tickets/x", headers=headers)).status == 200
    head = await desk("HEAD", "/desk/tickets/x")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 100


async def test_preconditions_are_request_fields(desk: Client, backend: Recording) -> None:
    headers = {"If-Match": '"a", W/"b,c"', "If-Unmodified-Since": "Thu, 07 Apr 2022 20:00:03 GMT"}
    answer = await desk("PUT", "/desk/tickets/x", {"id": "x"}, headers=headers)
    assert answer.status == 200, answer.text
    assert list(backend.request.if_match) == ["a", "b,c"]
    assert backend.request.if_unmodified_since.seconds == 1649361603
    await desk("PUT", "/desk/tickets/x", {"ifMatch": ["q"]}, headers={"If-Match": "*", "If-Unmodified-Since": "never"})
    assert list(backend.request.if_match) == ["*"]
    assert not backend.request.HasField("if_unmodified_since")


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Thu, 01 Jan 0999 00:00:00 GMT", -30_641_760_000), ("Fri, 31 Dec 9999 23:59:59 -0100", None)],
)
async def test_dates_far_away(desk: Client, backend: Recording, date: str, seconds: int | None) -> None:
    answer = await desk("PUT", "/desk/tickets/x", {"id": "x"}, headers={"If-Unmodified-Since": date})
    assert answer.status == 200, answer.text
    found = backend.request.if_unmodified_since.seconds if backend.request.HasField("if_unmodified_since") else None
    assert found == seconds


async def test_links_of_pages_and_of_what_is_inside(desk: Client, backend: Recording) -> None:
    inside = ticket(template=make("desk.Template", id="m"), log_location="/files/a b?x=1")
    response = make("desk.FilterResponse", collection=collection(make("desk.Item", ticket=inside)), next_start=4)
    backend.handlers["List"] = lambda _: response
    answer = await desk("GET", "/desk/tickets?&filter=eq(name,%20%22x%22)&limit=2&unknown=1")
    rows = {row["rel"]: row["href"] for row in answer.json["links"]}
    assert rows == {
        "self": "/desk/tickets?filter=eq%28name%2C%20%22x%22%29&limit=2&start=0",
        "next": "/desk/tickets?filter=eq%28name%2C%20%22x%22%29&limit=2&start=4",
    }
    item = answer.json["items"][0]
    assert item["links"] == [SELF, {"method": "GET", "rel": "log", "href": "/files/a b?x=1", "uri": "/files/a b?x=1"}]
    assert item["template"]["links"][0]["href"] == "/desk/templates/m"
    assert not response.collection.links, "the handler's own message must stay as it was"
    response.next_start = 0
    assert [row["rel"] for row in (await desk("GET", "/desk/tickets")).json["links"]] == ["self"]


async def test_items_that_failed_print_as_errors(desk: Client, backend: Recording) -> None:
    status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="no")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="TICKET_NOT_FOUND", metadata={"ticket": "q"}))
    items = [make("desk.Item", ticket=ticket()), make("desk.Item", error=status)]
    backend.handlers["Select"] = lambda _: make("desk.SelectResponse", items=items)
    answer = await desk("PUT", "/desk/tickets/@selection/state?value=canceled", {"resources": ["a"]})
    good, bad = answer.json["items"]
    assert good["links"] == [SELF]
    assert bad == {
        "errorCode": 0,
        "message": "Ticket not found with ID: q.",
        "httpStatusCode": 404,
        "details": [],
        "version": 2,
    }


async def test_the_root_lists_links(desk: Client, backend: Recording) -> None:
    backend.handlers["Root"] = lambda _: make("desk.RootResponse")
    headers = {"Content-Type": "application/vnd.odd+json"}
    for path in ("/desk", "/desk/"):
        answer = await desk("GET", path, b"{}", headers=headers)
        assert answer.json == {
            "links": [{"method": "POST", "rel": "create", "href": "/desk/tickets", "uri": "/desk/tickets"}]
        }
    assert (await desk("HEAD", "/desk/")).status == 200
