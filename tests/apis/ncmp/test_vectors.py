"""Every vector of the roles rApp and NCMP: what the original's own tests assert, asked of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apis.ncmp.yard import METADATA, operation, target
from jobyard_server.apis.ncmp.dmi_calls import FIRST, SubjobName, authorization, check_dmi_url, status_url
from jobyard_server.apis.ncmp.routing import Route, route_of
from jobyard_server.apis.ncmp.selectors import name_of, search_term, selectors_of
from jobyard_server.apis.ncmp.splitting import Splitter
from jobyard_server.domain.reason import Reason, Refused

CASES = {case["id"]: case for case in json.loads((Path(__file__).parent / "vectors" / "cases.json").read_text())}
CH = "/ncmpInventory/v1/ch"


def body(id_: str) -> Any:
    return CASES[id_]["request"]["body"]


def of(function: str) -> list[str]:
    return [id_ for id_, case in CASES.items() if case["request"]["path"] == f"fn:{function}"]


def split(known, *paths):
    splitter = Splitter(lambda _: b'{"data":[', "data")
    splitter.take([msgspec.Raw(json.dumps({"path": path, "op": "add"}).encode()) for path in paths], known)
    return splitter.end()


def refused(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("id_", of("splitWriteOperations"))
def test_splitting(id_):
    known = {
        "fdn1": Route("dmiA", producer="p1"),
        "fdn2": Route("dmiA", producer="p1"),
        "fdn3": Route("dmiA", producer="p2"),
        "fdn4": Route("dmiB", producer="p1"),
    }
    parts = split(known, *body(id_)["paths"])
    assert {str(part.key) for part in parts} == {"dmiA#p1", "dmiA#p2", "dmiB#p1"}
    assert sum(part.count for part in parts) == 4


@pytest.mark.parametrize("id_", of("producerKey"))
def test_producer_keys(id_):
    said = body(id_)
    route = Route(
        said["dmiServiceName"], write=said["dmiDatajobsWriteServiceName"], producer=said["dataProducerIdentifier"]
    )
    assert str(route.write_key) == "dmi-datajobs-write-service#dpi1"


@pytest.mark.parametrize("id_", [id_ for id_ in of("resolveDmiServiceName") if body(id_)["required"] != "DATA"])
def test_services(id_):
    said = body(id_)
    route = Route(said["dmi"], said["dmiDatajobsRead"] or "", said["dmiDatajobsWrite"] or "")
    key = route.write_key if said["required"] == "DATAJOBS_WRITE" else route.read_key
    assert f"== '{key.dmi}'" in CASES[id_]["expect"]["body"][0]


@pytest.mark.parametrize("id_", of("longestMatch") + of("longestMatchPreloaded"))
def test_matches(id_):
    known = {"/a/b": Route("dmi")}
    found = CASES[id_]["expect"]["status"] == "ok"
    assert (route_of(body(id_)["path"], known) is not None) is found
    if not found:
        refusal = refused(lambda: split(known, body(id_)["path"])).refusal
        assert refusal.reason is Reason.TARGET_REFERENCE_UNKNOWN
        assert refusal.metadata["details"] in CASES[id_]["expect"]["body"][0]


@pytest.mark.parametrize("id_", [id_ for id_ in CASES if id_.startswith("jex")])
def test_selectors_taken_apart(id_):
    said, expected = body(id_), CASES[id_]["expect"]["body"][0]
    match CASES[id_]["request"]["path"]:
        case "fn:jexSplit":
            assert selectors_of(said["text"]) == expected
        case "fn:jexFdnPrefix":
            assert f"'{name_of(said['selector'])}'" == expected
        case "fn:jexSearchTerm":
            assert f"'{search_term(said['selector'])}'" == expected


@pytest.mark.parametrize("id_", of("outgoingAuthorization"))
def test_credentials(id_):
    said = body(id_)
    shown = authorization("user:pass" if said["dmiBasicAuthEnabled"] else "", said["incoming"], forward=True)
    assert f"outgoing Authorization == {shown or None}" in CASES[id_]["expect"]["body"]


@pytest.mark.parametrize("id_", of("validateDmiUrl"))
def test_urls_of_services(id_):
    pattern = re.search(r"allow-pattern (\S+) \(full", CASES[id_]["given"])

    def check() -> object:
        return check_dmi_url(body(id_)["url"], "dmiPlugin", pattern[1] if pattern else "")

    if CASES[id_]["expect"]["status"] == "ok":
        assert check() == body(id_)["url"]
    else:
        refused(check)


def test_statuses_of_the_first_generation():
    said = body("fwd-005")
    name = SubjobName("some-dmi-service", said["dataProducerId"], said["requestId"], said["dataProducerJobId"], FIRST)
    assert f"outgoing GET {status_url(name)}" in CASES["fwd-005"]["expect"]["body"]


def test_an_object_itself_is_found_by_an_attribute_of_it():
    # The original loses it, which the case calls a defect.
    assert split({"/S=1/M=1": Route("dmi")}, body("edge-001")["data"][0]["path"])


# --- over HTTP ---------------------------------------------------------------------------------------------------


def test_a_write_job(yard, dmi, other_dmi):
    producer = "some data producer id"
    yard.register(dmi.url, target("ch-1", "p1", producer), target("ch-2", "p2", producer))
    yard.register(other_dmi.url, target("ch-3", "p3", producer))
    dmi.created = other_dmi.created = lambda _: (200, b'{"subJobId":"some sub job id"}')
    answer = yard.ask("POST", f"/do-not-use/dataJobs/{yard.name('some-job-id')}/write", body("write-001"))
    assert answer.status == 200
    assert [(one["subJobId"], one["dataProducerId"]) for one in answer.json] == [("some sub job id", producer)] * 2
    assert {one["dmiServiceName"] for one in answer.json} == {dmi.url, other_dmi.url}
    for service, paths in ((dmi, ["p1", "p2"]), (other_dmi, ["p3"])):
        (heard,) = service.heard("POST")
        assert heard.query == {"destination": ["d1"]}
        assert [one["path"] for one in heard.json["data"]] == paths


def test_a_write_job_of_nothing(yard, dmi):
    answer = yard.ask("POST", f"/do-not-use/dataJobs/{yard.name('j')}/write", body("edge-007"))
    assert (answer.status, answer.body) == (200, b"[]")
    assert dmi.calls == []


def test_a_second_service_that_fails_loses_nothing(yard, dmi, other_dmi):
    # The original loses the first part, which the case tells.
    yard.register(dmi.url, target("ch-1", "p1"))
    yard.register(other_dmi.url, target("ch-3", "p3"))
    other_dmi.created = lambda _: (500, b"")
    answer = yard.write("j", *map(operation, body("edge-009")["data"]))
    assert [one["subJobId"] for one in answer.json] == ["1", None]


def test_a_status_is_passed_on_as_it_is(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    status = b'{"status":"status details from mock service"}'
    dmi.status = lambda _: (200, status)
    yard.write("j", operation("p1"))
    answer = yard.ask("GET", f"/do-not-use/dataJobs/{yard.name('j')}/dataProducerJob/1/status")
    assert answer.body == status
    assert status.decode() in CASES["fwd-003"]["expect"]["body"][0]


def test_a_read_job_sends_nothing_to_anybody(yard, dmi):
    # read-0001: its text is classified as a whole, and that is all.
    yard.register(dmi.url, target("ch-1", "/ManagedElement=ME1"))
    answer = yard.ask("POST", "/do-not-use/dataJobs/read", body("read-0001"))
    assert answer.json == {
        "broadcastSelectors": ["selector1", "selector2"],
        "dmiSelectors": {},
        "notReadySelectors": [],
        "errorSelectors": [],
    }
    assert dmi.calls == []


@pytest.mark.parametrize("id_", ["read-000", *of("classifySelectors")])
def test_selectors_classified(yard, id_):
    ready = {"cmHandleStatus": "ADVISED"} if id_ == "read-011" else {}
    if id_ not in {"read-000", "read-014", "read-016"}:
        yard.register("http://dmi-plugin-1", target("ch-1", "/ManagedElement=ME1", "producer-A", **ready))
        yard.register("http://dmi-plugin-1", target("ch-2", "/SubNetwork=SN1/ManagedElement=ME2", "producer-A"))
        yard.register("http://dmi-plugin-2", target("ch-3", "/MeContext=MC1", "producer-B"))
    said = body(id_) if id_ == "read-000" else {"readProperties": body(id_)}
    answer = yard.ask("POST", "/do-not-use/dataJobs/read", said)
    expected = CASES[id_]["expect"]["body"][0]
    if id_ == "read-000":
        assert answer.json == {**json.loads(expected), "broadcastSelectors": ["some selector"]}
    else:
        assert json.loads(answer.body.replace(b"http://", b"")) == expected


@pytest.mark.parametrize("id_", [id_ for id_ in of("checkAlternateIds") if body(id_)["operation"] == "CREATE"])
def test_alternate_ids_of_new_targets(yard, id_):
    yard.register("http://dmi", target("a", "fdnInCache1"), target("b", "fdnInCache2"))
    said = {name: value for name, value in body(id_).items() if name != "operation"}
    answer = yard.register("http://dmi", *(target(name, value) for name, value in said.items()))
    yard.targets.update(said)
    refused_ones = [] if answer.status == 200 else [one["cmHandle"] for one in answer.json["failedCreatedCmHandles"]]
    assert CASES[id_]["expect"]["body"] == [f"rejected == {refused_ones}"]
    yard.targets -= set(refused_ones)


@pytest.mark.parametrize("id_", [id_ for id_ in of("checkAlternateIds") if body(id_)["operation"] == "UPDATE"])
def test_alternate_ids_of_targets_that_change(yard, id_):
    yard.register("http://dmi", target("ch-1", body(id_)["current"]))
    answer = yard.ask("POST", CH, {"updatedCmHandles": [target("ch-1", body(id_)["proposed"])]})
    refused_ones = [] if answer.status == 200 else [one["cmHandle"] for one in answer.json["failedUpdatedCmHandles"]]
    assert CASES[id_]["expect"]["body"] == [f"rejected == {refused_ones}"]


@pytest.mark.parametrize("id_", ["reg-017", "reg-019", "reg-021"])
def test_an_alternate_id_stays(yard, dmi, id_):
    existing = re.search("'(.*)'", CASES[id_]["given"])[1]
    yard.register(dmi.url, target("ch-1", existing))
    answer = yard.ask("POST", CH, {**body(id_), "dmiPlugin": dmi.url})
    assert answer.status == 200
    assert yard.write("j", operation("old")).status == (200 if existing else 404)


@pytest.mark.parametrize("id_", of("updateDataProducerIdentifier"))
def test_data_producers_change(yard, dmi, id_):
    said = body(id_)
    yard.register(dmi.url, target("ch-1", "p1", said["current"]))
    assert yard.ask("POST", CH, {"updatedCmHandles": [target("ch-1", "", said["target"])]}).status == 200
    assert yard.write("j", operation("p1")).json[0]["dataProducerId"] == said["target"]


def test_targets_without_an_alternate_id_are_known_by_their_own(yard, dmi):
    # match-025 and reg-025: nobody else may have it as an alternate id, and no operation is routed by it.
    yard.register(dmi.url, target("ch-1"))
    taken = yard.register(dmi.url, target("ch-2", "ch-1"))
    assert [one["errorCode"] for one in taken.json["failedCreatedCmHandles"]] == ["109"]
    assert yard.write("j", operation("ch-1")).status == 404


def test_what_is_sent_says_what_was_asked(yard, dmi):
    yard.register(dmi.url, target("ch-1", "p1"))
    yard.write("j", operation("p1"))
    assert {name: dmi.heard("POST")[0].json[name] for name in METADATA} == METADATA
