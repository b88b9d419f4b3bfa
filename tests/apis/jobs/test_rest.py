"""The jobs API as clients of HTTP find it: conditional requests, and streams that are taken up again."""

import aiohttp
import pytest

from jobyard.jobs.v1 import job_access_pb2, job_submit_pb2

pytestmark = pytest.mark.timeout(300)

EVENTS = {"Accept": "text/event-stream"}


async def test_a_change_is_made_only_to_the_state_that_was_seen(server, jobs):
    job = await jobs.submit()
    url = f"{server.url}/jobyard/v1/jobs/{job.uid}"
    async with aiohttp.ClientSession() as client:
        seen = (await client.get(url)).headers["ETag"]
        assert (await client.get(url, headers={"If-None-Match": seen})).status == 304
        suspended = await client.post(f"{url}:suspend", headers={"If-Match": seen})
        assert (suspended.status, (await suspended.json())["state"]) == (200, "STATE_SUSPENDED")
        for verb in ("suspend", "resume", "retry", "finish"):
            body = {"state": "STATE_CANCELLED"} if verb == "finish" else {}
            late = await client.post(f"{url}:{verb}", json=body, headers={"If-Match": seen})
            assert (late.status, (await late.json())["error"]["reason"]) == (412, "ETAG_MISMATCH"), verb
        assert (await client.delete(f"{url}?force=true", headers={"If-Match": seen})).status == 412
        now = (await client.get(url)).headers["ETag"]
        assert (await client.delete(f"{url}?force=true", headers={"If-Match": now})).status == 204


async def test_a_schedule_is_changed_only_as_it_was_seen(server, jobs):
    body = {"queue": jobs.queue, "schedule": {"cron": "0 0 1 1 *"}}
    async with aiohttp.ClientSession() as client:
        made = await (await client.post(f"{server.url}/jobyard/v1/jobs", json=body)).json()
        url = f"{server.url}/jobyard/v1/jobs/{made['uid']}"
        seen = (await client.get(url)).headers["ETag"]
        for status in (200, 412):
            answer = await client.patch(f"{url}/schedule", json={"cron": "0 0 2 1 *"}, headers={"If-Match": seen})
            assert answer.status == status
        assert (await client.patch(f"{url}/schedule", json={"cron": "0 0 3 1 *"})).status == 200


async def test_a_key_is_taken_once_and_told_to_nobody_as_it_is_kept(server, jobs):
    url, body = f"{server.url}/jobyard/v1/jobs", {"queue": jobs.queue, "payload": 1, "idempotency_key": jobs.queue}
    async with aiohttp.ClientSession() as client:
        first = await client.post(url, json=body)
        header = {"Idempotency-Key": body.pop("idempotency_key")}
        again = await client.post(url, json=body, headers=header)
        other = await client.post(url, json=body | {"payload": 2}, headers=header)
        made = await first.json()
        assert (first.status, "Idempotent-Replayed" in first.headers) == (201, False)
        assert (again.status, again.headers["Idempotent-Replayed"], await again.json()) == (200, "true", made)
        assert other.status == 409
        error = (await other.json())["error"]
        assert (error["reason"], error["details"][0]["metadata"]) == ("IDEMPOTENCY_KEY_REUSED", {"job": made["number"]})


async def heard(client, url, most, **headers):
    """So many events of a stream as an EventSource hears of them: their ids, and the jobs they are about."""
    found: list[tuple[str, str]] = []
    async with client.get(url, headers=EVENTS | headers) as answer:
        assert answer.content_type == "text/event-stream"
        id_ = ""
        async for line in answer.content:
            if line.startswith(b"id: "):
                id_ = line[4:].decode().strip()
            elif line.startswith(b"data: ") and b'"event":{' in line:
                found.append((id_, line.decode().partition('"job":"')[2].partition('"')[0]))
                if len(found) == most:
                    break
    return found


async def test_an_event_source_that_connects_again_misses_nothing(server, jobs):
    began = (await jobs.stub.ListJobs(job_access_pb2.ListJobsRequest(page_size=1))).watch_token
    request = job_submit_pb2.SubmitJobRequest(queue=jobs.queue, payload="1")
    answer = await jobs.stub.SubmitJobs(job_submit_pb2.SubmitJobsRequest(requests=[request] * 5))
    numbers = [str(each.job.number) for each in answer.responses]
    url = f"{server.url}/jobyard/v1/jobs:watch?filter=queue%3D{jobs.queue}&resume_token={began}"
    async with aiohttp.ClientSession() as client:
        first = await heard(client, url, 2)
        # Its address is the one it began with; what it has seen last counts.
        rest = await heard(client, url, 3, **{"Last-Event-ID": first[-1][0]})
        assert [job for _, job in first + rest] == numbers
        damaged = await client.get(url, headers=EVENTS | {"Last-Event-ID": "damaged"})
        assert damaged.status == 400
        assert '"field":"Last-Event-ID"' in await damaged.text()
        # An EventSource that has seen no event yet may say so.
        assert (await heard(client, url, 1, **{"Last-Event-ID": ""}))[0][1] == numbers[0]


async def test_a_schedule_is_run_once_under_the_key_of_a_header(server, jobs):
    body = {"queue": jobs.queue, "schedule": {"cron": "0 0 1 1 *"}}
    async with aiohttp.ClientSession() as client:
        made = await (await client.post(f"{server.url}/jobyard/v1/jobs", json=body)).json()
        url, key = f"{server.url}/jobyard/v1/jobs/{made['uid']}/schedule:run", {"Idempotency-Key": jobs.queue}
        runs = [await (await client.post(url, json={}, headers=key)).json() for _ in range(2)]
        assert (runs[0]["parent"], runs[0]["uid"]) == (made["number"], runs[1]["uid"])


@pytest.mark.parametrize(
    ("verb", "path", "asked", "reason", "facts", "words"),
    [
        ("GET", "", {"filter": "a ="}, "INVALID_FILTER", {}, "ends where a value is expected"),
        ("GET", "", {"filter": "a = ("}, "INVALID_FILTER", {"column": "5"}, "expected a value"),
        ("GET", "", {"filter": "payload = 1"}, "INVALID_FILTER", {"field": "payload"}, "is not a field"),
        ("GET", "", {"order_by": "payload"}, "INVALID_ORDER", {"field": "payload"}, "is not a field to sort by"),
        ("POST", "", {"payload": 1, "subjobs": [{}]}, "INVALID_FIELD", {"field": "payload"}, "beside subjobs"),
        ("POST", "", {"queue": "x" * 129}, "INVALID_FIELD", {"field": "queue"}, "128"),
        (
            *("POST", "/1:finish", {}, "INVALID_FIELD", {"field": "state"}),
            "must be one of STATE_SUCCEEDED, STATE_FAILED, STATE_CANCELLED",
        ),
        (
            *("POST", "/1:finish", {"state": "STATE_FAILED", "reason": "Disk full"}, "INVALID_FIELD"),
            *({"field": "reason"}, "match"),
        ),
        (
            *("POST", ":import", {"jobs": [{"state": "STATE_CANCELLING"}]}, "INVALID_FIELD"),
            *({"field": "jobs[0].state"}, "must not be one of STATE_UNSPECIFIED, STATE_CANCELLING"),
        ),
    ],
)
async def test_errors_say_their_facts(server, verb, path, asked, reason, facts, words):
    async with aiohttp.ClientSession() as client:
        said = {"params": asked} if verb == "GET" else {"json": asked}
        error = (await (await client.request(verb, f"{server.url}/jobyard/v1/jobs{path}", **said)).json())["error"]
    info = error["details"][0]
    assert (error["reason"], info["reason"], info["metadata"]) == (reason, reason, facts)
    assert words in error["message"]
