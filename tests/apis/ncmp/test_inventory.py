"""Targets registered, changed, removed, and loaded by an operator."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from apis.ncmp.yard import operation, target
from jobyard_server.apis.ncmp import API
from jobyard_server.apis.registration import DmiRules, Options, checks_of
from jobyard_server.domain.reason import Refused
from support.command import JOBYARD, environment

CH = "/ncmpInventory/v1/ch"


def failed(answer):
    """Those refused, by list, as identifiers and codes."""
    assert answer.status == 500, answer
    return {
        name: [(one["cmHandle"], one["errorCode"]) for one in found] for name, found in answer.json.items() if found
    }


def producers(yard, *paths):
    return [one["dataProducerId"] for one in yard.write("j", *map(operation, paths)).json]


def test_what_cannot_be_registered_does_not_disturb_the_rest(yard, dmi):
    yard.register(dmi.url, target("ch-1", "/a"))
    answer = yard.register(
        dmi.url,
        target("ch-1"),
        target("ch-2", "/b", " p "),
        target("ch-3", "/b"),
        target("ch-4", "ch-1"),
        target("/b", "/c"),
        target("not an id"),
        updatedCmHandles=[target("ch-2", "/b"), target("ch-2", "/other"), target("ch-8")],
        removedCmHandles=["ch-9"],
        upgradedCmHandles={"cmHandles": ["ch-2", "ch-7"], "moduleSetTag": "new"},
    )
    assert failed(answer) == {
        "failedCreatedCmHandles": [
            ("ch-1", "109"),
            ("ch-3", "109"),
            ("ch-4", "109"),
            ("/b", "109"),
            ("not an id", "110"),
        ],
        "failedUpdatedCmHandles": [("ch-2", "109"), ("ch-8", "100")],
        "failedRemovedCmHandles": [("ch-9", "100")],
        "failedUpgradeCmHandles": [("ch-7", "100")],
    }
    yard.targets.add("ch-2")
    assert producers(yard, "/b/x") == ["p"]
    assert dmi.heard("POST")[-1].json["data"][0]["moduleSetTag"] == "new"


def test_updates_say_what_changes_and_removals_free_the_name(yard, dmi):
    assert yard.register(dmi.url, target("ch-1"), target("ch-2", "/old", "x")).status == 200
    changes = [target("ch-1", "/a", "y"), target("ch-2", "", ""), target("ch-2", "/old", "z")]
    assert yard.ask("POST", CH, {"dmiPlugin": dmi.url, "updatedCmHandles": changes}).status == 200
    assert sorted(producers(yard, "/a", "/old")) == ["y", "z"]
    answer = yard.register(dmi.url, target("ch-3", "/a", "new"), removedCmHandles=["ch-1"])
    assert (answer.status, answer.body) == (200, b"")
    yard.targets.discard("ch-1")
    assert producers(yard, "/a") == ["new"]


def test_jobs_go_to_the_services_for_jobs_and_never_to_that_for_data(yard, dmi, other_dmi):
    yard.register(dmi.url, target("ch-1", "/a"), dmiDatajobsWritePlugin=other_dmi.url, dmiDataPlugin="http://data")
    yard.register(dmi.url, target("ch-2", "/b"), dmiDataPlugin="http://data")
    answer = yard.write("j", operation("/a"), operation("/b"))
    assert [one["dmiServiceName"] for one in answer.json] == [other_dmi.url, dmi.url]


def test_a_service_for_jobs_of_one_kind_is_enough(yard, dmi):
    writes = {"dmiDatajobsWritePlugin": dmi.url}
    assert yard.register("", target("ch-1", "/ManagedElement=1", "p"), **writes).status == 200
    reads = {"dmiDatajobsReadPlugin": "http://read"}
    assert yard.register("", target("ch-2", "/ManagedElement=2", "p"), **reads).status == 200
    (part,) = yard.write("j", operation("/ManagedElement=1/x")).json
    assert part["dmiServiceName"] == dmi.url
    refused = yard.write("k", operation("/ManagedElement=2/x"))
    assert (refused.status, "no DMI service for write jobs" in refused.json["details"]) == (404, True)
    said = {"readProperties": {"dataNodeSelector": '/ManagedElement[id="2"]'}}
    found = yard.ask("POST", "/do-not-use/dataJobs/read", said).json
    assert found["dmiSelectors"] == {"http://read": {"http://read#p": ['/ManagedElement[id="2"]']}}


def test_addresses_that_are_none_are_refused(yard):
    for name in ("dmiPlugin", "dmiModelPlugin", "dmiDatajobsReadPlugin"):
        answer = yard.ask("POST", CH, {"dmiPlugin": "http://dmi", name: "http://host with spaces"})
        assert (answer.status, name in answer.json["message"]) == (400, True)
    assert yard.ask("POST", CH, {"createdCmHandles": [target("ch-1")]}).status == 400


def test_selectors_are_told_apart(yard, dmi):
    me = "/SubNetwork=SN1/ManagedElement="
    yard.register(
        dmi.url,
        target("ch-1", f"{me}Ireland-1", "A"),
        target("ch-2", f"{me}Ireland-2", "A", cmHandleStatus="ADVISED"),
        dmiDatajobsReadPlugin="http://read",
    )
    text = (
        '&& all of them\n//ManagedElement[id="x"]\n/SubNetwork[id="SN1"]/ManagedElement[id="Ireland-1"]/attributes OR '
        '/a/ManagedElement[contains(id, "Ireland")]\n/SubNetwork[id="SN1"]/ManagedElement[id="Ireland-2"]\n'
        '/ManagedElement[id="nobody"]'
    )
    body = {"name": "n", "readProperties": {"dataNodeSelector": text}, "customProperties": {"a": None}}
    exact, search, late, nobody = (one.strip() for one in text.replace(" OR ", "\n").split("\n")[2:])
    answer = yard.ask("POST", "/do-not-use/dataJobs/read", body)
    assert answer.json == {
        "broadcastSelectors": ['//ManagedElement[id="x"]'],
        "dmiSelectors": {"http://read": {"http://read#A": [exact, search]}},
        "notReadySelectors": [search, late],
        "errorSelectors": [nobody],
    }
    for empty in ({}, {"readProperties": {"dataNodeSelector": None}}):
        assert yard.ask("POST", "/do-not-use/dataJobs/read", empty).json == {
            "broadcastSelectors": [],
            "dmiSelectors": {},
            "notReadySelectors": [],
            "errorSelectors": [],
        }


def test_operators_load_targets_from_files(yard, dmi, tmp_path):
    def apply(*bodies):
        file = tmp_path / "targets.yaml"
        records = [{"record": {"api": "ncmp", "kind": "target", "id": id_, "body": body}} for id_, body in bodies]
        file.write_text(yaml.safe_dump_all(records))
        command = [JOBYARD, "apply", "--file", str(file), "--server", yard.server.grpc]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    body = {"alternateId": "/a", "dmiService": dmi.url, "dataProducerIdentifier": "p", "moduleSetTag": "t"}
    assert apply(("ch-1", body)).returncode == 0
    yard.targets.add("ch-1")
    assert producers(yard, "/a/b") == ["p"]
    taken = apply(("ch-2", body))
    assert (taken.returncode != 0, "alternate" in taken.stderr + taken.stdout) == (True, True)
    assert apply(("ch-1", {**body, "alternateId": "/c"})).returncode == 0
    assert producers(yard, "/c") == ["p"]
    assert yard.write("k", operation("/a")).status == 404
    for wrong in ({"alternateId": "/x"}, {**body, "dmiService": "ftp://x"}, {**body, "strange": 1}, []):
        assert apply(("ch-3", wrong)).returncode != 0, wrong


def test_files_name_only_services_that_may_be_called():
    options = Options(dmi=DmiRules(url_pattern="http://dmi-[0-9]+"))
    check = checks_of([API], options)["ncmp", "target"]
    assert check('{"alternateId":"/a","dmiService":"http://dmi-1"}') == {"alternate_id": "/a", "producer": None}
    for name in ("dmiService", "dmiDatajobsReadService", "dmiDatajobsWriteService"):
        with pytest.raises(Refused, match=rf"record\.body\.{name}"):
            check(json.dumps({"alternateId": "/a", name: "http://dmi-1.elsewhere"}))
