"""What each face says to requests that are odd or wrong: status, media type and words, a line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apis.infojobs.yard import Yard

JOBS = "/data-consumer/v1/info-jobs"
TYPES = "/data-producer/v1/info-types"
PRODUCERS = "/data-producer/v1/info-producers"
EI = "/A1-EI/v1/eijobs"
DMS_JOBS = "/dms/data-consumer/v0alpha1/info-jobs"
DMS = "/dms/data-producer/v0alpha1"
DMS_SUBSCRIPTIONS = "/dms/data-consumer/v0alpha1/info-type-subscriptions"
RESULT = "/dms/v0alpha1/job_results/there"
SERVICE = "/dms/service/v0alpha1/services/there"
PROBLEM, PLAIN = "application/problem+json", "application/json"

JOB = {"info_type_id": "t_1.5.0", "job_owner": "me", "job_definition": {"property1": "x"}}
DMS_JOB = {**JOB, "job_result_uri": "http://consumer.example/results"}
NEWER = {**DMS_JOB, "info_type_id": "t_2.0.0", "job_definition": {"property2": "x"}}
EI_JOB = {"eiTypeId": "t_1.5.0", "jobOwner": "me", "jobDefinition": {"property1": "x"}}
PRODUCER = {
    "supported_info_types": ["t_1.5.0"],
    "info_job_callback_url": "http://producer.example/jobs",
    "info_producer_supervision_callback_url": "http://producer.example/health",
}
SUBSCRIPTION = {"owner": "me", "status_result_uri": "http://consumer.example/types"}
BEAT = [{"op": "REPLACE", "path": "/status", "value": "REGISTERED"}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory, peers) -> Iterator[Yard]:
    """One server with a type, a producer and a job of each face."""
    found = Yard(tmp_path_factory.mktemp("infojobs"), peers)
    found.server.start()
    try:
        for name in ("t_1.5.0", "other"):
            assert found.put_type(name).status == 201
        assert found.put_type("t_2.0.0", {"required": ["property2"]}).status == 201
        assert found.put_producer("there", "t_1.5.0").status == 201
        assert found.put_job("there", "t_1.5.0").status == 201
        assert found.ask("PUT", SERVICE, {}).status == 201
        yield found
    finally:
        found.stop()


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


MISSING = [
    (path, without(body, name), f"Required field '{name}' missing.")
    for path, body, names in (
        (f"{JOBS}/j", JOB, ("info_type_id", "job_owner")),
        (f"{EI}/j", EI_JOB, ("eiTypeId", "jobOwner")),
        (f"{DMS_JOBS}/j", DMS_JOB, ("info_type_id", "job_owner", "job_definition", "job_result_uri")),
        (f"{PRODUCERS}/p", PRODUCER, ("supported_info_types",)),
        (f"{DMS}/info-producers/p", PRODUCER, ("supported_info_types",)),
    )
    for name in names
]
URIS = [
    ("junk", "URI: junk is not absolute"),
    ("/x", "URI: /x is not absolute"),
    ("http://a b", "URI: http://a b is broken"),
    ("http://a|b/", "URI: http://a|b/ is broken"),
    ("http://x/%zz", "URI: http://x/%zz is broken"),
    ("http://x#a#b", "URI: http://x#a#b is broken"),
    ("http:", "URI: http: is broken"),
    ("http://", "URI: http:// is broken"),
]
REFUSED = [
    # method, path, body, status, media type, words
    *[("PUT", path, body, 400, PROBLEM, words) for path, body, words in MISSING],
    *[("PUT", f"{JOBS}/j", JOB | {"job_result_uri": uri}, 400, PROBLEM, words) for uri, words in URIS],
    *[("PUT", f"{JOBS}/j", JOB | {"status_notification_uri": uri}, 400, PROBLEM, words) for uri, words in URIS[:3]],
    ("PUT", f"{EI}/j", EI_JOB | {"jobResultUri": "junk"}, 400, PROBLEM, "URI: junk is not absolute"),
    (
        "PUT",
        f"{DMS_JOBS}/j",
        DMS_JOB | {"job_result_uri": ""},
        400,
        PROBLEM,
        "Required field 'job_result_uri' missing.",
    ),
    *[
        ("PUT", f"{JOBS}/j", JOB | {"job_definition": value}, 400, PROBLEM, "Json validation failure")
        for value in (None, [], "x", 1, True)
    ],
    ("PUT", f"{JOBS}/j", without(JOB, "job_definition"), 400, PROBLEM, "Json validation failure"),
    ("PUT", f"{JOBS}/j", JOB | {"info_type_id": ""}, 404, PROBLEM, "Information type not found: "),
    ("PUT", f"{JOBS}/j", JOB | {"info_type_id": None}, 400, PROBLEM, "Required field 'info_type_id' missing."),
    ("PUT", f"{JOBS}/j", JOB | {"more": 1}, 400, PLAIN, "more: is not known here"),
    ("PUT", f"{JOBS}/j", b"{bad", 400, PLAIN, "the body is not JSON"),
    ("PUT", f"{JOBS}/j", b"", 400, PLAIN, "the request has no body"),
    ("PUT", f"{JOBS}/{'j' * 256}", JOB, 400, PROBLEM, "info_job_id: must be at most 255 characters"),
    ("PUT", f"{JOBS}/there", JOB | {"info_type_id": "other"}, 409, PROBLEM, "change type for existing job"),
    ("PUT", f"{EI}/there", EI_JOB | {"eiTypeId": "other"}, 409, PROBLEM, "change type for existing EI job"),
    ("PUT", f"{DMS_JOBS}/there", DMS_JOB | {"info_type_id": "other"}, 400, PROBLEM, "change type for existing job"),
    # Another version names the same type for ICS; the job keeps its own, which its definition has to fit.
    *[
        ("PUT", f"{jobs}/there", NEWER, 400, PROBLEM, words)
        for jobs, words in ((JOBS, "Required field 'property1' missing."), (DMS_JOBS, "change type for existing job"))
    ],
    # A version that does not exist: a newer one does for ICS and A1-EI, not for DMS, which knows no versions.
    ("PUT", f"{DMS_JOBS}/there", DMS_JOB | {"info_type_id": "t_1.1.0"}, 400, PROBLEM, "type not found: t_1.1.0"),
    ("PUT", f"{JOBS}/j", JOB | {"info_type_id": "t_1.6.0"}, 404, PROBLEM, "type not found: t_1.6.0"),
    ("POST", f"{JOBS}/there", {}, 405, PLAIN, "POST is not allowed here"),
    ("DELETE", EI, None, 405, PLAIN, "DELETE is not allowed here"),
    ("DELETE", DMS_JOBS, None, 405, PROBLEM, "DELETE is not allowed here"),
    ("DELETE", JOBS, None, 400, PLAIN, "owner: is required"),
    ("GET", f"{JOBS}/there/", None, 404, PLAIN, "nothing is found"),
    ("GET", "/data-consumer/v1", None, 404, PLAIN, "nothing is found"),
    ("PUT", f"{TYPES}/new", {}, 400, PROBLEM, "No schema provided"),
    ("PUT", f"{TYPES}/new", {"info_job_data_schema": None}, 400, PROBLEM, "No schema provided"),
    ("PUT", f"{TYPES}/new", {"info_job_data_schema": {"type": "objekt"}}, 400, PROBLEM, "No schema that can be used"),
    ("DELETE", f"{TYPES}/t_1.5.0", None, 409, PROBLEM, "The type has active producers: there"),
    ("DELETE", f"{DMS}/info-types/t_1.5.0", None, 409, PROBLEM, "The type has active producers: there"),
    *[
        ("PUT", f"{PRODUCERS}/p", PRODUCER | {name: value}, 400, PROBLEM, words)
        for name in ("info_job_callback_url", "info_producer_supervision_callback_url")
        for value, words in (
            ("", "Missing required URL"),
            ("junk", "URI: junk is not absolute"),
            ("http://a b", "URI:"),
        )
    ],
    ("PUT", f"{PRODUCERS}/p", without(PRODUCER, "info_job_callback_url"), 400, PROBLEM, "Missing required URL"),
    ("PUT", f"{PRODUCERS}/p", PRODUCER | {"supported_info_types": ["none"]}, 404, PROBLEM, "type not found: none"),
    ("PUT", f"{DMS}/info-producers/p", PRODUCER | {"supported_info_types": ["none"]}, 400, PROBLEM, "type not found"),
    ("DELETE", f"{PRODUCERS}/none", None, 404, PROBLEM, "Could not find Information Producer: none"),
    *[
        (
            "PUT",
            f"{DMS_SUBSCRIPTIONS}/s",
            without(SUBSCRIPTION, name),
            400,
            PROBLEM,
            f"Required field '{name}' missing.",
        )
        for name in SUBSCRIPTION
    ],
    ("POST", RESULT, {}, 400, PROBLEM, "Required field 'data' missing."),
    ("POST", RESULT, {"data": {"type": "application/json"}}, 400, PROBLEM, "data.uri: must say where the data is"),
    ("POST", "/dms/v0alpha1/job_results/none", {"data": {"uri": "u"}}, 400, PROBLEM, "There is no job none"),
    ("PATCH", SERVICE, [], 400, PROBLEM, "[0]: is missing"),
    ("PATCH", SERVICE, [BEAT[0] | {"op": "remove"}], 400, PROBLEM, "[0].op: is neither replace nor add"),
    ("PATCH", SERVICE, [*BEAT, BEAT[0] | {"path": "/url"}], 400, PROBLEM, "[1].path: is not /status"),
    ("PATCH", SERVICE, [BEAT[0] | {"value": "DEAD"}], 400, PROBLEM, "[0].value: is neither REGISTERED nor"),
    ("PATCH", SERVICE, BEAT[0], 400, PROBLEM, "the body must be a list"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "media", "words"), REFUSED)
def test_refused(shared, method, path, body, status, media, words):
    raw = body if isinstance(body, bytes) else None
    answer = shared.ask(method, path, None if raw is not None else body, raw=raw)
    assert (answer.status, answer.media_type) == (status, media), answer
    said = answer.json
    assert said["status"] == status
    assert words in said["detail" if media == PROBLEM else "error"], said
    if media == PLAIN:
        assert said.keys() == {"timestamp", "status", "error", "path"}
    else:
        assert ("title" in said) is path.startswith("/dms")


TAKEN = [
    # method, path, query, body, status, answer
    ("PUT", f"{JOBS}/there", {"typeCheck": "junk"}, JOB, 200, None),
    ("PUT", f"{JOBS}/there", {}, JOB | {"job_result_uri": "localhost:80/x"}, 200, None),
    ("PUT", f"{JOBS}/there", {}, JOB | {"job_result_uri": "http://höst/%C3%BC?a=[b]#c"}, 200, None),
    ("PUT", f"{JOBS}/there", {}, JOB | {"info_type_id": "t_1.1.0"}, 200, None),
    ("PUT", f"{JOBS}/there", {}, JOB | {"info_type_id": "t_2.0.0"}, 200, None),
    ("PUT", f"{EI}/bare", {}, EI_JOB | {"jobOwner": ""}, 201, None),
    (
        "GET",
        f"{DMS_JOBS}/bare",
        {},
        None,
        200,
        {**JOB, "job_owner": "", "job_result_uri": "", "status_notification_uri": ""},
    ),
    ("GET", f"{JOBS}/there/status", {}, None, 200, {"info_job_status": "ENABLED", "producers": ["there"]}),
    ("GET", PRODUCERS, {"infoTypeId": "t_1.5.0"}, None, 200, ["there"]),
    # The type does not exist, though a compatible one does.
    ("GET", PRODUCERS, {"infoTypeId": "t_1.1.0"}, None, 200, []),
    ("GET", f"{DMS}/info-producers", {"info_type_id": "t_1.5.7"}, None, 200, []),
    ("GET", JOBS, {"infoTypeId": "t_1.1.0"}, None, 200, []),
    ("GET", DMS_JOBS, {"infoTypeId": "t_1.1.0"}, None, 200, []),
    ("DELETE", JOBS, {"owner": ""}, None, 204, None),
    ("DELETE", JOBS, {"owner": "nobody"}, None, 204, None),
    ("DELETE", f"{DMS_JOBS}/none", {}, None, 204, None),
    ("DELETE", f"{DMS}/info-producers/none", {}, None, 204, None),
    ("PUT", f"{TYPES}/free", {}, {"info_job_data_schema": {}, "info_type_information": None}, 201, None),
    ("GET", f"{TYPES}/free", {}, None, 200, {"info_job_data_schema": {}}),
    # Subscribers of ICS may say nothing.
    ("PUT", "/data-consumer/v1/info-type-subscription/s", {}, {}, 201, None),
    ("PATCH", SERVICE, {}, BEAT, 204, None),
    ("GET", "/dms/heartbeat", {}, None, 200, {"message": "alive"}),
]


@pytest.mark.parametrize(("method", "path", "query", "body", "status", "said"), TAKEN)
def test_taken(shared, method, path, query, body, status, said):
    answer = shared.ask(method, path, body, query=query)
    assert answer.status == status, answer
    assert answer.body == b"" if said is None else answer.json == said


def test_a_heartbeat_may_be_a_json_patch(shared):
    said = {"Content-Type": "application/json-patch+json"}
    assert shared.ask("PATCH", SERVICE, raw=json.dumps(BEAT).encode(), headers=said).status == 204


@pytest.mark.parametrize("path", [JOBS, f"{JOBS}/there", EI, DMS_JOBS, "/status"])
def test_head_is_get_without_a_body(shared, path):
    answer = shared.ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
