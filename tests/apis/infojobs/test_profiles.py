"""What the profiles of information jobs switch back to, as older or other brokers had it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apis.infojobs.yard import SCHEMA, Yard, eventually

JOB = "/data-consumer/v1/info-jobs/j"
CHECKED = {"typeCheck": "true"}


@pytest.fixture
def old_yard(tmp_path, simulator) -> Iterator[Yard]:
    """As ICS was from 2021 to 2022, with a token that everybody is shown."""
    token = tmp_path / "token"
    token.write_text("secret-1")
    settings = {
        "JOBYARD_PROFILES": "ics-legacy-type-check,ics-token-for-all",
        "JOBYARD_OUTBOUND_TOKEN_FILE": str(token),
    }
    found = Yard(tmp_path, simulator, **settings)
    found.server.start()
    try:
        yield found
    finally:
        found.stop()


def job(yard, **changed):
    body = {
        "info_type_id": "pm",
        "job_owner": "me",
        "job_definition": {"anything": 1},
        "status_notification_uri": f"{yard.simulator.url}/cons/jobs/j/status",
    }
    return body | changed


def test_a_job_may_come_before_its_type(old_yard):
    checked = old_yard.ask("PUT", JOB, job(old_yard), query=CHECKED)
    assert (checked.status, checked.json["detail"]) == (404, "Information type not found: pm")
    assert old_yard.ask("PUT", JOB, job(old_yard)).status == 201
    assert old_yard.ask("PUT", JOB, job(old_yard), query={"typeCheck": "false"}).status == 200
    assert old_yard.ask("PUT", JOB, job(old_yard, job_definition=[])).status == 400
    assert old_yard.ask("PUT", JOB, job(old_yard, info_type_id="else")).status == 409
    assert old_yard.ask("GET", JOB).json["info_type_id"] == "pm"
    assert old_yard.status("j") == {"info_job_status": "DISABLED", "producers": []}
    # A1-EI never had the parameter, and what DMS means by it is something else.
    wanted = {"eiTypeId": "pm", "jobOwner": "me", "jobDefinition": {}}
    assert old_yard.ask("PUT", "/A1-EI/v1/eijobs/k", wanted).status == 404
    dms = job(old_yard, job_result_uri="http://consumer.example/")
    assert old_yard.ask("PUT", "/dms/data-consumer/v0alpha1/info-jobs/k", dms).status == 400

    assert old_yard.put_type("pm", SCHEMA).status == 201
    # The definition does not fit the schema, which is looked at only where the request says so.
    assert old_yard.ask("PUT", JOB, job(old_yard)).status == 200
    misfit = old_yard.ask("PUT", JOB, job(old_yard), query=CHECKED)
    assert (misfit.status, misfit.json["detail"][:23]) == (400, "Json validation failure")
    assert old_yard.put_producer("p", "pm").status == 201
    eventually(lambda: enabled(old_yard))
    assert old_yard.ask("PUT", JOB, job(old_yard, job_definition={"property1": "x"}), query=CHECKED).status == 200


def enabled(yard):
    assert yard.status("j") == {"info_job_status": "ENABLED", "producers": ["p"]}


def test_everybody_is_shown_the_token(old_yard):
    old_yard.put_type("pm")
    subscription = {"status_result_uri": f"{old_yard.simulator.url}/cons/type-status", "owner": "me"}
    assert old_yard.ask("PUT", "/data-consumer/v1/info-type-subscription/s", subscription).status == 201
    old_yard.put_type("pm")
    old_yard.put_job("j", "pm")
    old_yard.put_producer("p", "pm")
    for path in ("/prod/ok/p/jobs", "/cons/jobs/j/status", "/cons/type-status"):
        eventually(lambda path=path: shown(old_yard, path, "Bearer secret-1"))


def test_consumers_are_told_through_the_proxy_and_not_shown_the_token_otherwise(tmp_path, simulator):
    token = tmp_path / "token"
    token.write_text("secret-1")
    settings = {"JOBYARD_OUTBOUND_TOKEN_FILE": str(token), "JOBYARD_OUTBOUND_PROXY": simulator.url}
    yard = Yard(tmp_path, simulator, **settings)
    with yard.server:
        yard.put_type("pm")
        yard.put_job("j", "pm")
        yard.put_producer("p", "pm")
        eventually(lambda: shown(yard, "/prod/ok/p/jobs", "Bearer secret-1"))
        eventually(lambda: shown(yard, f"{simulator.url}/cons/jobs/j/status", None))
        simulator.rounds.let_go()


def test_a_forgetful_server_begins_anew(tmp_path, simulator):
    """As ICS after a restart: producers are new, jobs are posted again, and nobody is told of any of it."""
    yard = Yard(tmp_path, simulator, JOBYARD_PROFILES="ics-forgetful")
    yard.server.start()
    try:
        for name in ("told", "untold"):
            yard.put_type(f"{name}_1.0.0")
            assert yard.put_producer(name, f"{name}_1.0.0").status == 201
            assert yard.put_job(name, f"{name}_1.0.0").status == 201
        assert yard.ask("DELETE", "/data-producer/v1/info-producers/told").status == 204
        eventually(lambda: told_disabled(yard, "told", 1))
        yard.restart()
        assert yard.ask("GET", "/data-producer/v1/info-producers").json == []
        for name in ("told", "untold"):
            assert yard.status(name) == {"info_job_status": "DISABLED", "producers": []}
            assert yard.put_producer(name, f"{name}_1.0.0").status == 201
            eventually(lambda name=name: enabled_again(yard, name))
            assert yard.ask("DELETE", f"/data-producer/v1/info-producers/{name}").status == 204
        # In between they were ENABLED again, of which nobody was told, for what was told before is forgotten.
        eventually(lambda: told_disabled(yard, "told", 2))
        eventually(lambda: told_disabled(yard, "untold", 1))
    finally:
        yard.stop()


def told_disabled(yard, name, times):
    heard = yard.simulator.heard("POST", f"/cons/jobs/{name}/status")
    assert [call.json for call in heard] == [{"eiJobStatus": "DISABLED"}] * times


def enabled_again(yard, name):
    assert yard.status(name) == {"info_job_status": "ENABLED", "producers": [name]}
    assert len(yard.simulator.heard("POST", f"/prod/ok/{name}/jobs")) == 2


def shown(yard, path, authorization):
    (call,) = yard.simulator.heard("POST", path)
    assert call.headers.get("authorization") == authorization
