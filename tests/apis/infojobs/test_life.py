"""The life of jobs beyond the vectors: faces, history, results, supervision by heartbeat."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from apis.infojobs.yard import eventually

DMS = "/dms/data-consumer/v0alpha1/info-jobs"
PRODUCE = "/dms/data-producer/v0alpha1"
PM = {"type": "object", "required": ["counter_names"]}
DEFINITION = {"counter_names": ["A"], "start": 12345678901234567890, "share": 1.0}


def dms_job(yard, id_="j", **changed):
    body = {
        "info_type_id": "pm",
        "job_result_uri": f"{yard.simulator.url}/cons/results/{id_}",
        "job_owner": "rapp",
        "job_definition": DEFINITION,
        "status_notification_uri": f"{yard.simulator.url}/cons/jobs/{id_}/status",
    }
    return body | changed


def put_dms_type(yard, **more):
    return yard.ask("PUT", f"{PRODUCE}/info-types/pm", {"info_job_data_schema": PM, **more})


def put_dms_producer(yard, id_="pm-history"):
    body = {"supported_info_types": ["pm"], "info_job_callback_url": f"{yard.simulator.url}/prod/ok/{id_}/jobs"}
    return yard.ask("PUT", f"{PRODUCE}/info-producers/{id_}", body)


def first_post(yard):
    """What the producer heard of the job first. One of DMS is looked after all the time, and may hear of it again."""
    return yard.simulator.heard("POST", "/prod/ok/pm-history/jobs")[0]


def test_one_behaviour_three_faces(yard):
    unknown = dms_job(yard)
    ics = dict(unknown)
    dms = yard.ask("PUT", f"{DMS}/j", unknown)
    assert (dms.status, dms.media_type) == (400, "application/problem+json")
    assert {"title", "status", "detail"} <= dms.json.keys()
    found = yard.ask("PUT", "/data-consumer/v1/info-jobs/j", ics)
    assert (found.status, found.json) == (
        404,
        {"type": "about:blank", "status": 404, "detail": "Information type not found: pm"},
    )
    assert put_dms_type(yard).status == 201
    misfit = yard.ask("PUT", f"{DMS}/j", dms_job(yard, job_definition={}))
    assert (misfit.status, misfit.json["detail"]) == (400, "Required field 'counter_names' missing.")
    misfit = yard.ask("PUT", "/data-consumer/v1/info-jobs/j", ics | {"job_definition": {}})
    assert misfit.json["detail"] == "Json validation failure Required field 'counter_names' missing."
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard), query={"type_check": "true"}).status == 400
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard)).status == 201
    assert yard.ask("GET", f"{DMS}/j/status").json == {"info_job_status": "DISABLED", "producers": []}
    assert put_dms_producer(yard).status == 201
    eventually(lambda: said(yard, "j", "ENABLED"))
    assert yard.ask("GET", "/A1-EI/v1/eijobs/j/status").json == {"eiJobStatus": "ENABLED"}
    body = yard.ask("GET", f"{DMS}/j").body
    # Numbers keep their digits on the way in, to the producer, and back.
    assert b'"start": 12345678901234567890, "share": 1.0' in body
    # A producer that is looked after before it has answered is posted the job again.
    posts = {
        call.body.rpartition(b',"last_updated"')[0] for call in yard.simulator.heard("POST", "/prod/ok/pm-history/jobs")
    }
    (post,) = posts
    assert b'"start": 12345678901234567890, "share": 1.0' in post
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard), query={"type_check": "true"}).status == 200
    assert yard.ask("DELETE", f"{DMS}/j").status == 204
    assert yard.ask("DELETE", f"{DMS}/j").status == 204
    assert yard.ask("DELETE", "/data-consumer/v1/info-jobs/j").status == 404


def test_a_producer_that_is_being_told_is_not_told_again(yard):
    yard.put_type("pm_1.0.0")
    yard.put_producer("slow", "pm_1.0.0")
    # It is looked after several times meanwhile.
    yard.simulator.rounds.let_go()
    yard.simulator.delays["slow"] = 1.5
    assert yard.put_job("j", "pm_1.0.0").status == 201
    eventually(lambda: said(yard, "j", "ENABLED"))
    assert len(yard.simulator.heard("GET", "/prod/ok/slow/health")) > 1
    assert len(yard.simulator.heard("POST", "/prod/ok/slow/jobs")) == 1


def said(yard, id_, status):
    assert yard.status(id_)["info_job_status"] == status


def test_a_consumer_hears_when_a_job_begins_to_be_served(yard):
    yard.put_type("pm_1.0.0")
    assert yard.put_job("j", "pm_1.0.0").status == 201
    yard.put_producer("p", "pm_1.0.0")
    path = "/cons/jobs/j/status"
    eventually(lambda: told(yard, path, {"eiJobStatus": "ENABLED"}, 1))
    assert yard.ask("DELETE", "/data-producer/v1/info-producers/p").status == 204
    eventually(lambda: told(yard, path, {"eiJobStatus": "DISABLED"}, 2))


def test_a_job_stays_enabled_while_an_update_of_it_is_under_way(yard):
    """What was accepted before holds until the producer refuses the newer one; nobody is told otherwise."""
    yard.put_type("pm_1.0.0")
    for name in ("one", "two"):
        yard.put_producer(name, "pm_1.0.0")
    assert yard.put_job("j", "pm_1.0.0").status == 201
    # The older post is still out when the job is put: its outcome says nothing about the newer one.
    yard.simulator.delays |= {"one": 0.4, "two": 0.4}
    yard.put_producer("two", "pm_1.0.0")
    eventually(lambda: posted(yard, "two", 2))
    with ThreadPoolExecutor() as others:
        put = others.submit(yard.put_job, "j", "pm_1.0.0")
        eventually(lambda: posted(yard, "one", 2))
        said(yard, "j", "ENABLED")
        assert yard.ask("DELETE", "/data-producer/v1/info-producers/one").status == 204
        said(yard, "j", "ENABLED")
        assert put.result().status == 200
    eventually(lambda: posted(yard, "two", 3))
    assert yard.simulator.heard("POST", "/cons/jobs/j/status") == []
    assert yard.ask("DELETE", "/data-producer/v1/info-producers/two").status == 204
    eventually(lambda: told(yard, "/cons/jobs/j/status", {"eiJobStatus": "DISABLED"}, 1))


def posted(yard, producer, count):
    assert len(yard.simulator.heard("POST", f"/prod/ok/{producer}/jobs")) == count


def told(yard, path, body, count):
    heard = yard.simulator.heard("POST", path)
    assert [len(heard), heard[-1].json if heard else None] == [count, body]


def test_producers_hear_when_a_job_was_put_and_not_when_its_consumer_was_told(yard):
    yard.put_type("pm_1.0.0")
    yard.put_producer("p", "pm_1.0.0")
    assert yard.put_job("j", "pm_1.0.0").status == 201
    (posted,) = posts(yard, 1)
    assert listed(yard) == [posted]
    assert yard.ask("DELETE", "/data-producer/v1/info-producers/p").status == 204
    eventually(lambda: told(yard, "/cons/jobs/j/status", {"eiJobStatus": "DISABLED"}, 1))
    yard.put_producer("p", "pm_1.0.0")
    eventually(lambda: told(yard, "/cons/jobs/j/status", {"eiJobStatus": "ENABLED"}, 2))
    assert posts(yard, 2)[-1] == posted
    assert yard.put_job("j", "pm_1.0.0").status == 200
    assert posts(yard, 3)[-1]["last_updated"] > posted["last_updated"]
    assert listed(yard) == posts(yard, 3)[-1:]


def posts(yard, count):
    heard = yard.simulator.heard("POST", "/prod/ok/p/jobs")
    assert len(heard) == count
    return [one.json for one in heard]


def listed(yard):
    return yard.ask("GET", "/data-producer/v1/info-producers/p/info-jobs").json


def test_a_job_is_a_standing_job_of_the_jobs_api(yard):
    yard.put_type("pm_1.0.0")
    yard.put_producer("one", "pm_1.0.0")
    yard.put_producer("two", "pm_1.0.0")
    assert yard.put_job("j", "pm_1.0.0").status == 201
    (job,) = yard.ask("GET", "/jobyard/v1/jobs", query={"filter": 'api = "infojobs"'}).json["jobs"]
    assert (job["mode"], job["state"], job["external_id"]) == ("MODE_STANDING", "STATE_RUNNING", "j")
    pieces = yard.ask("GET", f"/jobyard/v1/jobs/{job['uid']}/subjobs").json["subjobs"]
    assert {(piece["key"], piece["state"]) for piece in pieces} == {("one", "STATE_RUNNING"), ("two", "STATE_RUNNING")}
    assert yard.ask("POST", f"/jobyard/v1/jobs/{job['uid']}:cancel", {}).status == 200
    assert yard.ask("GET", "/data-consumer/v1/info-jobs/j").status == 404
    for producer in ("one", "two"):
        eventually(lambda producer=producer: stopped(yard, producer))
    assert yard.put_job("j", "pm_1.0.0").status == 201
    assert yard.ask("GET", "/data-consumer/v1/info-jobs/j").status == 200


def stopped(yard, producer):
    assert len(yard.simulator.heard("DELETE", f"/prod/ok/{producer}/jobs/j")) == 1


def test_results_of_collectable_jobs_reach_the_consumer(yard):
    put_dms_type(yard, collectable=True)
    put_dms_producer(yard)
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard)).status == 201
    call = first_post(yard)
    target = call.json["target_uri"]
    assert target == f"{yard.server.url}/dms/v0alpha1/job_results/j"
    assert yard.ask("GET", "/dms/v0alpha1/collections/j").status == 404
    result = {"data": {"uri": "http://producer/data/1", "type": "application/json", "data_type": "pm"}}
    assert yard.ask("POST", "/dms/v0alpha1/job_results/j", result).status == 204
    assert yard.ask("POST", "/dms/v0alpha1/job_results/none", result).status == 400
    assert yard.ask("POST", "/dms/v0alpha1/job_results/j", {}).status == 400
    eventually(lambda: told(yard, "/cons/results/j", result, 1))
    assert yard.ask("GET", "/dms/v0alpha1/collections/j").json == result


def test_a_result_is_posted_where_the_job_said_whatever_its_name(yard):
    put_dms_type(yard, collectable=True)
    put_dms_producer(yard)
    assert yard.ask("PUT", f"{DMS}/cell%201%2Fnight%3F", dms_job(yard)).status == 201
    call = first_post(yard)
    target = call.json["target_uri"].removeprefix(yard.server.url)
    assert target == "/dms/v0alpha1/job_results/cell%201%2Fnight%3F"
    assert yard.ask("POST", target, {"data": {"uri": "http://producer/data/1"}}).status == 204
    assert yard.ask("GET", "/dms/v0alpha1/collections/cell%201%2Fnight%3F").status == 200


SERVICE = "/dms/service/v0alpha1/services/pm-history"
BEAT = [{"op": "replace", "path": "/status", "value": "REGISTERED"}]
SAID = {
    "version": "0.1.0",
    "display_name": "PM history",
    "service_type": "rApp",
    "service_href": "http://pm-history/v0alpha1",
}


def test_a_silent_service_is_not_discoverable(yard):
    put_dms_type(yard)
    put_dms_producer(yard)
    # The times and the status are the server's own.
    put = yard.ask("PUT", SERVICE, {**SAID, "name": "x", "status": "x", "updated_at": 1})
    assert (put.status, put.json) == (201, {"heartbeat_timer": 1})
    assert yard.ask("PATCH", SERVICE, [{"op": "remove", "path": "/status"}]).status == 400
    assert yard.ask("PATCH", "/dms/service/v0alpha1/services/none", BEAT).status == 404
    # A slow machine may be late for a beat.
    eventually(lambda: heard_of(yard))
    time.sleep(3.2)
    assert yard.ask("GET", f"{PRODUCE}/info-producers/pm-history/status").json == {
        "operational_state": "UNDISCOVERABLE"
    }
    assert yard.ask("GET", SERVICE).json["status"] == "UNDISCOVERABLE"
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard), query={"type_check": "true"}).status == 400
    eventually(lambda: taken(yard))


def heard_of(yard):
    assert yard.ask("PATCH", SERVICE, BEAT).status == 204
    shown = yard.ask("GET", SERVICE).json
    assert 10**18 < shown.pop("created_at") < shown.pop("updated_at")
    assert shown == {"name": "pm-history", "status": "REGISTERED", **SAID}
    assert yard.ask("GET", f"{PRODUCE}/info-producers/pm-history/status").json == {"operational_state": "REGISTERED"}


def taken(yard):
    assert yard.ask("PATCH", SERVICE, BEAT).status == 204
    assert yard.ask("PUT", f"{DMS}/j", dms_job(yard), query={"type_check": "true"}).status == 201


def test_a_subscriber_who_cannot_be_told_is_forgotten(yard):
    path = "/data-consumer/v1/info-type-subscription/s"
    body = {"status_result_uri": f"{yard.simulator.url}/cons/JUNK", "owner": "me"}
    assert yard.ask("PUT", path, body).status == 201
    assert yard.put_type("pm_1.0.0").status == 201
    eventually(lambda: gone(yard, path), 20)
    assert len(yard.simulator.heard("POST", "/cons/JUNK")) == 4


def gone(yard, path):
    assert yard.ask("GET", path).status == 404


def test_the_owner_of_a_job_may_change(yard):
    yard.put_type("pm_1.0.0")
    yard.put_job("j", "pm_1.0.0", owner="old")
    assert yard.put_job("j", "pm_1.0.0", owner="new").status == 200
    assert yard.ask("GET", "/data-consumer/v1/info-jobs", query={"owner": "old"}).json == []
    assert yard.ask("GET", "/data-consumer/v1/info-jobs", query={"owner": "new"}).json == ["j"]
    assert yard.ask("DELETE", "/data-consumer/v1/info-jobs").status == 400
    assert yard.ask("DELETE", "/data-consumer/v1/info-jobs", query={"owner": "new"}).status == 204
    assert yard.ask("GET", "/status").json == {
        "status": "success",
        "no_of_producers": 0,
        "no_of_types": 1,
        "no_of_jobs": 0,
    }
