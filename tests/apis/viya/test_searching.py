"""Jobs searched by what came of them and what they were given, and sorted by their states."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from apis.viya.yard import DEFINITIONS, INLINE, JOBS, REQUESTS, Yard
from support.running import Worker

MARK = "searched"
STATES = ("pending", "running", "canceled", "completed", "failed", "timedOut")


@pytest.fixture(scope="module")
def jobs(yard):
    """A job for each state, by the word of it; what each is found by."""
    found = {}
    for word in STATES:
        job = yard.submit(
            {"type": "AnalyticsFlow"},
            name=f"{MARK} {word}",
            description=f"about {word}",
            arguments={"WORD": f"<{word}>"},
            properties=[{"name": "mood", "value": word.upper()}],
        )
        found[word] = job["id"]
        if word in ("completed", "failed"):
            body = {
                "state": word,
                "results": {"OUT": f"/files/files/{word}"},
                **(
                    {"error": {"errorCode": 5113, "message": "boom, it said", "version": 2}} if word == "failed" else {}
                ),
            }
            told = yard.ask("PUT", f"{JOBS}/{job['id']}", body=body, headers={"If-Match": "*"})
            assert told.status == 200, told.body
        elif word != "pending":
            assert yard.set_state(job["id"], word).status == 200
    return found


def listed(yard, filter_, query=""):
    whole = quote(f"and(startsWith(name,'{MARK} '),{filter_})", safe="")
    body = yard.ask("GET", f"{JOBS}?filter={whole}&limit=100{query}").json
    assert body["count"] == len(body["items"])
    return [item["state"] for item in body["items"]]


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ("contains(results,'/files/files/comp')", {"completed"}),
        ("contains(results,OUT)", {"completed", "failed"}),
        ("isNull(results)", set()),
        ("contains(jobRequest.arguments,'<run')", {"running"}),
        ("contains('jobRequest.properties','TIMED')", {"timedOut"}),
        ("eq(jobRequest.description,'about canceled')", {"canceled"}),
        ("contains(error,5113)", {"failed"}),
        ("not(isNull(error))", {"failed"}),
        ("eq(error.message,'boom, it said')", {"failed"}),
        ("in(error.message,'a','boom, it said')", {"failed"}),
        ("startsWith(error.message,boom)", {"failed"}),
        ("and(ne(error.message,'boom, it said'),startsWith(state,f))", set()),
        ("eq(error.errorCode,5113)", {"failed"}),
        ("contains(state,e)", {"pending", "canceled", "completed", "failed", "timedOut"}),
        ("endsWith(state,ing)", {"pending", "running"}),
        ("gt(state,running)", {"timedOut"}),
        ("not(in(state,'completed','timedOut'))", {"pending", "running", "canceled", "failed"}),
        ("isNull(state)", set()),
        ("ge(elapsedTime,0)", set(STATES)),
        ("lt(elapsedTime,0)", set()),
        ("isNull(elapsedTime)", set()),
        ("gt(elapsedTime,600000)", set()),
        ("not(gt(elapsedTime,600000))", set(STATES)),
        ("in(elapsedTime,-1,-2)", set()),
        ("isNull(heartbeatTimeStamp)", set(STATES)),
        ("eq(version,4)", set(STATES)),
        ("lt(version,4)", set()),
        ("in(jobRequest.version,'2','3')", set(STATES)),
        ("ne(jobRequest.jobDefinition.version,2)", set()),
        ("isNull(links)", set()),
    ],
)
def test_jobs_are_found_by_what_is_known_of_them(yard, jobs, filter_, words):
    assert set(listed(yard, filter_)) == words


def test_jobs_are_found_by_the_time_they_took(yard, jobs):
    took = yard.job(jobs["completed"])["elapsedTime"]
    assert "completed" in listed(yard, f"eq(elapsedTime,{took})")
    assert "completed" not in listed(yard, f"ne(elapsedTime,{took})")
    assert "completed" not in listed(yard, f"or(gt(elapsedTime,{took}),lt(elapsedTime,{took}))")
    # One that goes on takes longer now than when it was shown.
    shown = yard.job(jobs["running"])["elapsedTime"]
    assert "running" in listed(yard, f"ge(elapsedTime,{shown})")
    assert "running" not in listed(yard, f"lt(elapsedTime,{shown})")


@pytest.mark.parametrize("path", [JOBS, REQUESTS, DEFINITIONS])
def test_what_all_have_alike(yard, path):
    made = yard.ask("POST", path, body={"name": "x", "type": "Compute", "jobDefinition": INLINE}).json["id"]
    for filter_, count in (("gt(version,1)", 1), ("lt(version,2)", 0), ("isNull(links)", 0), ("not(isNull(links))", 1)):
        assert yard.ask("GET", f"{path}?filter=and(eq(id,{made}),{filter_})").json["count"] == count, filter_


@pytest.mark.parametrize(
    "filter_",
    [
        *("eq(results,x)", "eq(error,x)", "eq(jobRequest.arguments,x)", "eq(links,x)", "eq(version,x)"),
        *("contains(version,4)", "contains(elapsedTime,1)", "gt(elapsedTime,soon)"),
        "gt(heartbeatTimeStamp,'2026-01-01T00:00:00.000Z')",
    ],
)
def test_what_cannot_be_compared(yard, filter_):
    refused = yard.ask("GET", f"{JOBS}?filter={quote(filter_)}")
    assert (refused.status, refused.json["errorCode"]) == (400, 1100)


def test_states_are_sorted_by_their_words(yard, jobs):
    assert listed(yard, "ne(state,x)", "&sortBy=state") == sorted(jobs)
    assert listed(yard, "ne(state,x)", "&sortBy=state:descending") == sorted(jobs, reverse=True)


def test_what_workers_say_is_searched_too(tmp_path):
    yard = Yard(tmp_path)
    yard.start()
    program = tmp_path / "program.sh"
    program.write_text(
        '#!/bin/sh\ncode=$(cat)\necho "{\\"OUT\\": \\"by $code\\"}" > "$JOBYARD_RESULT_FILE"\necho sorry\nexit $code\n'
    )
    program.chmod(0o755)
    worker = Worker(yard.server, "viya/Compute", str(program))
    worker.start()
    try:
        ids = {code: yard.submit({**INLINE, "code": code})["id"] for code in ("0", "3")}
        for id_ in ids.values():
            yard.until(id_, lambda job: job["state"] in ("completed", "failed"))
        for filter_, code in (("contains(results,'by 0')", "0"), ("contains(error.message,sorry)", "3")):
            body = yard.ask("GET", f"{JOBS}?filter={quote(filter_)}").json
            assert [item["id"] for item in body["items"]] == [ids[code]], filter_
    finally:
        worker.stop()
        yard.stop()
