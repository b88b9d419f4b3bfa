"""Documents of the trial APIs say what the transcoder does: paths, parameters, bodies, answers, errors."""

from functools import cache
from typing import Any

import pytest
from openapi_spec_validator import validate

from jobyard_server.transcoding.openapi.comments import Comments
from jobyard_server.transcoding.openapi.document import documents
from jobyard_server.transcoding.plan import compile_plan
from jobyard_server.transcoding.settings import Settings
from support.trial import pool_of, service

SERVICES = (
    "orders.OrderService",
    "board.BoardService",
    "board.NoticeService",
    "cron.CronService",
    "desk.DeskService",
    "feed.FeedService",
    "relay.RelayService",
    "rules.RulesService",
)
FACES = ("all", "board", "cron", "desk", "feed", "notices", "orders", "plain", "relay")


@cache
def printed(*profiles: str) -> dict[str, Any]:
    plan = compile_plan([service(name) for name in SERVICES], Settings())
    return documents(plan, Comments(b""), frozenset(profiles))


def operation(face: str, verb: str, path: str) -> dict[str, Any]:
    return printed()[face]["paths"][path][verb]


def schema(face: str, name: str) -> dict[str, Any]:
    return printed()[face]["components"]["schemas"][f"trial.{face}.v1.{name}"]


def answer(face: str, verb: str, path: str, status: int, media_type: str = "application/json") -> Any:
    return operation(face, verb, path)["responses"][str(status)]["content"][media_type]["schema"]


def to(face: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/trial.{face}.v1.{name}"}


def parameters(face: str, verb: str, path: str) -> dict[str, tuple[str, bool]]:
    listed = operation(face, verb, path).get("parameters", [])
    return {each["name"]: (each["in"], each["required"]) for each in listed}


@pytest.mark.parametrize("face", FACES)
def test_every_document_is_valid_and_whole(face):
    validate(printed()[face])


def test_every_face_has_a_document_and_one_holds_them_all():
    assert sorted(printed()) == sorted(FACES)
    paths = [set(printed()[face]["paths"]) for face in FACES if face != "all"]
    assert set(printed()["all"]["paths"]) == set().union(*paths)
    assert "board.trial.board.v1.Problem" in printed()["all"]["components"]["schemas"]
    assert "notices.trial.board.v1.Problem" in printed()["all"]["components"]["schemas"]


def test_a_face_tells_its_title_version_and_description():
    assert printed()["relay"]["info"] == {"title": "Relay", "version": "1.2", "description": "Hands parcels on."}
    assert printed()["feed"]["info"] == {"title": "feed", "version": "1"}


def test_services_without_a_face_have_a_document_too():
    plain = printed()["plain"]
    assert plain["info"] == {"title": "REST", "version": "1"}
    assert set(plain["paths"]["/v1/one/{name}"]) == {"get", "delete"}
    assert operation("plain", "delete", "/v1/one/{name}")["operationId"] == "RulesService.Nothing"
    assert "google.rpc.Status" in plain["components"]["schemas"]


# --- parameters --------------------------------------------------------------------------------------------------


def test_parameters_carry_their_names_on_the_wire():
    assert parameters("orders", "get", "/shop/v2/orders") == {
        "maxItems": ("query", False),
        "sort": ("query", False),
        "pageToken": ("query", False),
        "status": ("query", False),
        "extIPID": ("query", False),
        "id": ("query", False),
        "createdAtFrom": ("query", False),
    }


def test_what_is_needed_is_required():
    assert parameters("board", "delete", "/consumer/v1/topics") == {"owner": ("query", True)}
    assert parameters("relay", "post", "/relay/parcels")["X-Sender"] == ("header", True)
    assert parameters("feed", "get", "/feed/{topic}") == {
        "topic": ("path", True),
        "Last-Event-ID": ("header", False),
    }


def test_what_the_choice_of_a_media_type_sets_is_no_parameter():
    assert parameters("desk", "get", "/desk/tickets/{ticket_id}") == {"ticket_id": ("path", True)}


def test_every_parameter_that_is_bound_is_listed_as_it_is_written():
    listed = {each["name"]: each for each in operation("plain", "get", "/v1/find")["parameters"]}
    assert {"byPart.author", "part.inner.edition", "moments"} <= set(listed)
    assert not {"part", "parts", "byPart"} & set(listed)
    counts = listed["counts"]
    assert (counts["style"], counts["explode"], counts["schema"]["type"]) == ("deepObject", True, "object")
    assert listed["anything"]["content"] == {"application/json": {"schema": {"type": "object"}}}
    assert listed["list"]["content"] == {"application/json": {"schema": {"type": "array", "items": {}}}}
    assert listed["value"]["content"] == {"application/json": {"schema": {}}}


ODD = """
syntax = "proto3";
package odd.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
service Odd { rpc Do(Request) returns (Request) { option (google.api.http) = { get: "/odd/{part.text}" }; } }
message Request {
  google.protobuf.Any any = 1;
  map<bool, Part> parts = 2;
  map<bool, int32> flags = 3;
  repeated google.protobuf.Struct rows = 4;
  Part part = 5;
}
message Part { string text = 1; string note = 2; }
"""


def test_what_no_parameter_can_fill_is_not_listed(tmp_path):
    file = pool_of("odd.proto", ODD, tmp_path)
    plan = compile_plan(file.services_by_name.values(), Settings())
    document = documents(plan, Comments(b""))["plain"]
    validate(document)
    get = document["paths"]["/odd/{part_text}"]["get"]
    listed = {each["name"]: each for each in get["parameters"] if each["in"] == "query"}
    assert set(listed) == {"flags", "rows", "part.note"}
    assert listed["rows"]["schema"]["items"] == {"type": "string", "contentMediaType": "application/json"}


# --- bodies ------------------------------------------------------------------------------------------------------


def test_a_body_is_required_where_the_method_says_so():
    body = operation("orders", "post", "/shop/v2/orders")["requestBody"]
    assert body == {"required": True, "content": {"application/json": {"schema": to("orders", "SubmitRequest")}}}
    assert operation("cron", "put", "/cron/v1/jobs/{cron_id}")["requestBody"]["required"] is False
    assert "requestBody" not in operation("orders", "get", "/shop/v2/orders")
    assert "requestBody" not in operation("relay", "post", "/relay/bell")


def test_methods_on_one_path_are_one_operation_of_several_bodies():
    content = operation("desk", "post", "/desk/tickets")["requestBody"]["content"]
    assert content["text/plain"]["schema"] == {"type": "string"}
    assert content["application/vnd.desk.ticket+json"]["schema"] == to("desk", "Ticket")
    assert {"200", "201"} <= set(operation("desk", "post", "/desk/tickets")["responses"])


def test_requests_that_stream_in_are_arrays():
    content = operation("feed", "post", "/feed/{topic}:send")["requestBody"]["content"]
    assert content["application/json"]["schema"] == {"type": "array", "items": to("feed", "Event")}


# --- schemas -----------------------------------------------------------------------------------------------------


def test_members_are_spelled_as_the_codec_spells_them():
    order = schema("orders", "Order")
    assert order["properties"] == {
        "id": {"type": "string", "format": "int64"},
        "status": to("orders", "Status"),
        "contract": {"type": "string"},
        "createdAt": {"type": "string", "format": "date-time"},
        "extIPID": {"type": "string"},
        "work": to("orders", "Work"),
        "ownerId": {"type": "integer", "format": "int64"},
    }
    assert schema("orders", "Status")["enum"] == ["SUBMITTED", "RUNNING"]
    assert schema("desk", "State")["enum"] == ["running", "timedOut"]


def test_raw_json_is_what_it_may_be():
    topic = schema("board", "Topic")
    assert topic["properties"]["definition"] == {"type": "object"}
    assert topic["properties"]["note"] == {}
    assert topic["required"] == ["info_type_id", "definition"]


def test_unknown_members_are_refused_unless_the_face_takes_them():
    assert schema("board", "Topic")["additionalProperties"] is False
    assert "additionalProperties" not in schema("desk", "Ticket")


def test_inlined_members_are_alternatives():
    assert schema("desk", "Item") == {"anyOf": [to("desk", "Ticket"), to("desk", "ErrorBody")]}


# --- answers -----------------------------------------------------------------------------------------------------


def test_declared_answers_have_their_statuses_bodies_and_headers():
    responses = operation("orders", "post", "/shop/v2/orders")["responses"]
    assert set(responses["201"]["headers"]) == {"Location"}
    assert set(responses["409"]["headers"]) == {"Idempotent-Replayed", "Payload-Mismatch"}
    assert answer("orders", "post", "/shop/v2/orders", 201) == to("orders", "Order")
    assert answer("orders", "post", "/shop/v2/orders", 409) == to("orders", "Order")
    assert answer("board", "get", "/consumer/v1/topics", 200) == {"type": "array", "items": {"type": "string"}}


def test_an_empty_answer_has_no_content():
    assert operation("board", "delete", "/consumer/v1/topics")["responses"]["204"] == {"description": "No Content"}


def test_answers_of_one_status_are_alternatives():
    either = answer("desk", "get", "/desk/tickets/{ticket_id}", 200, "application/vnd.desk.ticket+json")
    assert either == {"anyOf": [to("desk", "Summary"), to("desk", "Ticket")]}


def test_what_has_a_validator_may_be_unchanged():
    responses = operation("desk", "get", "/desk/tickets/{ticket_id}")["responses"]
    assert set(responses["200"]["headers"]) == {"ETag", "Last-Modified"}
    assert "304" in responses
    assert "304" not in operation("desk", "post", "/desk/tickets")["responses"]


def test_a_profile_chooses_among_answers():
    path = "/cron/v1/jobs/{cron_id}"
    assert "200" in operation("cron", "put", path)["responses"]
    documented = printed("documented")["cron"]["paths"][path]["put"]["responses"]
    assert "202" in documented
    assert "200" not in documented


def test_streams_are_offered_in_every_form():
    content = operation("feed", "get", "/feed/{topic}")["responses"]["200"]["content"]
    assert set(content) == {"application/x-ndjson", "text/event-stream", "application/json"}
    assert content["application/json"]["schema"] == {"type": "array", "items": to("feed", "Event")}


def test_exact_bytes_are_of_any_type():
    assert operation("relay", "get", "/relay/photo")["responses"]["200"]["content"] == {"*/*": {}}


def test_what_exact_bytes_hold_may_be_said():
    content = operation("feed", "post", "/feed/{topic}/freight")["requestBody"]["content"]
    assert content == {
        "application/json": {"schema": to("feed", "Event")},
        "text/plain": {"schema": {"type": "string"}},
    }


# --- errors ------------------------------------------------------------------------------------------------------


def test_a_row_of_the_face_moves_a_reason_to_its_status():
    board, notices = (printed()[face]["components"]["responses"] for face in ("board", "notices"))
    assert "TOPIC_NOT_FOUND" in board["404"]["description"]
    assert "TOPIC_NOT_FOUND" in notices["400"]["description"]
    assert "TOPIC_NOT_FOUND" not in notices["404"]["description"]


def test_a_row_of_a_method_moves_a_reason_for_it_alone():
    responses = operation("relay", "post", "/relay/parcels")["responses"]
    assert "SENDER_UNKNOWN" in responses["422"]["description"]
    assert "SENDER_UNKNOWN" not in responses["404"]["description"]
    assert responses["422"]["content"]["application/json"]["schema"] == to("relay", "Trouble")
    assert "422" not in operation("relay", "get", "/relay/parcels")["responses"]


@pytest.mark.parametrize("status", ["401", "403", "500", "504"])
def test_what_any_method_may_answer_is_told_of_every_method(status):
    paths = printed()["all"]["paths"].values()
    assert all(status in operation["responses"] for path in paths for operation in path.values())


def test_errors_have_the_forms_that_the_face_declares():
    content = printed()["board"]["components"]["responses"]["404"]["content"]
    assert set(content) == {"application/json", "application/problem+json"}
    text = operation("desk", "get", "/desk/tickets/{ticket_id}/state")["responses"]["404"]["content"]
    assert text["text/plain"]["schema"] == {"type": "string"}


def test_credentials_of_the_face_are_asked_for():
    assert operation("orders", "get", "/shop/v2/orders")["security"] == [{"bearer": []}]
    assert printed()["orders"]["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert printed()["cron"]["components"]["securitySchemes"] == {
        "X-Auth-Token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
    }
