"""Lists of jobs, requests and definitions over HTTP: pages by links, filters, orders, summaries."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from apis.viya.yard import DEFINITIONS, INLINE, JOBS, REQUESTS


def link(body, rel):
    return next((each["href"] for each in body["links"] if each["rel"] == rel), None)


def walk(yard, target, **how):
    """The pages of a list, by their links."""
    pages = []
    while target:
        body = yard.ask(how.get("method", "GET"), target, **{k: v for k, v in how.items() if k != "method"}).json
        pages.append(body)
        target = link(body, "next")
    return pages


@pytest.fixture(scope="module")
def jobs(yard):
    """25 jobs, the oldest first."""
    return [yard.submit({"type": "AnalyticsFlow"}, name=f"listed {number:02}")["id"] for number in range(25)]


FILTER = quote("startsWith(name,'listed ')", safe="")


def test_jobs_page_by_links(yard, jobs):
    pages = walk(yard, f"{JOBS}?filter={FILTER}&limit=10")
    assert [len(page["items"]) for page in pages] == [10, 10, 5]
    assert [item["id"] for page in pages for item in page["items"]] == jobs[::-1]
    assert {page["count"] for page in pages} == {25}
    first, _, last = pages
    assert link(first, "prev") is link(first, "first") is link(last, "next") is None
    end = yard.ask("GET", link(first, "last")).json
    assert [item["id"] for item in end["items"]] == [item["id"] for item in last["items"]]
    assert yard.ask("GET", link(last, "first")).json["start"] == 0
    assert yard.ask("GET", link(last, "prev")).json["start"] == 10
    assert link(first, "self") == f"{JOBS}?filter={FILTER}&sortBy=creationTimeStamp:descending&start=0&limit=10"


def test_jobs_page_with_the_filter_in_the_body(yard, jobs):
    how = {"method": "POST", "text": "startsWith(name,'listed ')", "headers": {"Content-Type": "text/plain"}}
    pages = walk(yard, f"{JOBS}?limit=10&sortBy=name:descending", **how)
    assert [item["id"] for page in pages for item in page["items"]] == jobs[::-1]
    [following] = [each for each in pages[0]["links"] if each["rel"] == "next"]
    assert (following["method"], following["type"]) == ("POST", "text/plain")
    assert following["responseItemType"] == "application/vnd.sas.job.execution.job"


def test_links_of_a_page_that_was_asked_for_with_the_filter_in_the_body(yard):
    kept = yard.ask("POST", REQUESTS, body={"jobDefinition": INLINE}).json["id"]
    posted = {"method": "POST", "text": "eq(state,'pending')", "headers": {"Content-Type": "text/plain"}}
    links = {link["rel"]: link for link in yard.ask(target=f"{REQUESTS}/{kept}/jobs", **posted).json["links"]}
    assert links["submitJob"].keys() >= {"method", "responseType"}
    for rel in ("collection", "self", "up"):
        assert (links[rel]["method"], links[rel]["type"]) == ("POST", "text/plain")
        assert links[rel]["responseType"] == "application/vnd.sas.collection"
        assert links[rel]["responseItemType"] == "application/vnd.sas.job.execution.job"
    links = {link["rel"] for link in yard.ask(target=JOBS, **posted).json["links"]}
    assert links >= {"collection", "self", "up", "submitJob", "submitJobs", "updateStates"}


@pytest.mark.parametrize("path", [JOBS, REQUESTS, DEFINITIONS, "/jobExecution/providers"])
def test_far_behind_the_last_page_there_is_nothing(yard, path):
    far = yard.ask("GET", f"{path}?start={2**63 - 1}&limit={2**63 - 1}")
    assert (far.status, far.json["items"], far.json["start"]) == (200, [], 2**63 - 1)


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("and(startsWith(name,'listed '),endsWith(jobRequest.name,3))", ["23", "13", "03"]),
        ("in('name','listed 01','listed 02','listed 99')", ["02", "01"]),
        ('eq("jobRequest.name","listed 07")', ["07"]),
        ("and(contains(name,'ted 0'),gt(name,'listed 07'))", ["09", "08"]),
        ("and(startsWith(name,'listed 1'),eq(state,'completed'))", []),
        ("and(startsWith(name,'listed 2'),in(state,'pending',running),eq(heartbeatInterval,0))", list("43210")),
        ("and(startsWith(name,'listed 2'),not(isNull(endTimeStamp)))", []),
        ("and(startsWith(name,'listed 2'),lt(creationTimeStamp,'2020-01-01T00:00:00.000Z'))", []),
    ],
)
def test_filters(yard, jobs, filter_, names):
    body = yard.ask("GET", f"{JOBS}?filter={quote(filter_)}&limit=100").json
    assert [item["jobRequest"]["name"][-len(name) :] for item, name in zip(body["items"], names, strict=True)] == names


def test_a_plus_is_a_space(yard, jobs):
    assert yard.ask("GET", f"{JOBS}?filter=eq(name,'listed+05')").json["count"] == 1


def test_times_are_compared_as_they_are_shown(yard, jobs):
    shown = yard.job(jobs[7])["creationTimeStamp"]
    for function, wanted in (("eq", True), ("ge", True), ("le", True), ("gt", False), ("lt", False), ("ne", False)):
        filter_ = f"and(eq(id,{jobs[7]}),{function}(creationTimeStamp,'{shown}'))"
        assert (yard.ask("GET", f"{JOBS}?filter={quote(filter_)}").json["count"] == 1) is wanted, function


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("filter=like(name,x)", 1100),
        ("filter=eq(nothing,x)", 1100),
        ("start=-1", 1125),
        ("start=x", 1125),
        ("limit=-1", 1126),
        ("limit=many", 1126),
        ("sortBy=nothing", 0),
        ("sortBy=name:sideways", 0),
        ("sortBy=links", 0),
        ("sortBy=version", 0),
    ],
)
@pytest.mark.parametrize("path", [JOBS, REQUESTS, DEFINITIONS])
def test_queries_that_cannot_be_answered(yard, path, query, number):
    answer = yard.ask("GET", f"{path}?{query}")
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/vnd.sas.error+json;version=2;charset=UTF-8"
    assert (answer.json["errorCode"], answer.json["httpStatusCode"], answer.json["version"]) == (number, 400, 2)


def test_a_page_of_nothing(yard, jobs):
    body = yard.ask("GET", f"{JOBS}?filter={FILTER}&limit=0").json
    assert (body["items"], body["limit"], body["count"]) == ([], 0, 25)
    assert link(body, "next") is None


def test_unknown_parameters_are_ignored(yard):
    assert yard.ask("GET", f"{JOBS}?_action=wait&wait=300").status == 200


def test_the_jobs_of_a_kept_request(yard):
    kept = yard.ask("POST", REQUESTS, body={"name": "mother", "jobDefinition": INLINE}).json
    jobs = [yard.ask("POST", f"{REQUESTS}/{kept['id']}/jobs").json for _ in range(3)]
    yard.submit(name="mother")
    body = yard.ask("GET", f"{REQUESTS}/{kept['id']}/jobs?sortBy=creationTimeStamp").json
    assert [item["id"] for item in body["items"]] == [job["id"] for job in jobs]
    assert link(body, "up") == f"{REQUESTS}/{kept['id']}"
    text = {"text": f"eq(id,'{jobs[1]['id']}')", "headers": {"Content-Type": "text/plain"}}
    assert yard.ask("POST", f"{REQUESTS}/{kept['id']}/jobs", **text).json["count"] == 1
    copy = jobs[0]["jobRequest"]
    assert [each["rel"] for each in copy["links"]] == ["self"]
    assert copy["createdBy"] == "anonymous"
    assert link(jobs[0], "jobRequest") == f"{REQUESTS}/{kept['id']}"
    assert yard.ask("GET", f"{REQUESTS}/none/jobs").status == 404


def test_requests_and_definitions_are_listed_sorted_and_filtered(yard):
    for path, body in ((REQUESTS, {"jobDefinition": INLINE}), (DEFINITIONS, {"type": "Compute", "code": "x"})):
        ids = [yard.ask("POST", path, body={"name": f"shelf {number}", **body}).json["id"] for number in (3, 1, 2)]
        query = quote("and(startsWith(name,'shelf '),not(eq(name,'shelf 2')))", safe="")
        found = yard.ask("GET", f"{path}?filter={query}&limit=10").json
        assert [item["id"] for item in found["items"]] == [ids[1], ids[0]]
        assert found["count"] == 2
        short = yard.ask("GET", f"{path}/{ids[0]}", headers={"Accept": "application/vnd.sas.summary+json"})
        assert short.headers["content-type"] == "application/vnd.sas.summary+json"
        assert (short.json["name"], short.json["version"]) == ("shelf 3", 2)
        pages = walk(yard, f"{path}?filter={quote('startsWith(name,shelf)')}&limit=2&sortBy=name:descending")
        assert [item["name"] for page in pages for item in page["items"]] == ["shelf 3", "shelf 2", "shelf 1"]


@pytest.fixture(scope="module")
def shelf(yard):
    """Kept requests: what each is found by."""
    said = {
        "a": {"description": "first", "arguments": {"X": "<1>"}, "expiresAfter": "PT72H"},
        "b": {"properties": [{"name": "mood", "value": "good"}], "createdByApplication": "app"},
        "c": {"jobDefinition": {**INLINE, "name": "other", "type": "casl"}},
    }
    for name, members in said.items():
        body = {"name": f"book {name}", "jobDefinition": INLINE, **members}
        assert yard.ask("POST", REQUESTS, body=body).status == 201
    return said


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("eq(description,first)", "a"),
        ("contains(arguments,'<1')", "a"),
        ("contains(properties,mood)", "b"),
        ("not(isNull(expiresAfter))", "a"),
        ("not(eq(expiresAfter,PT72H))", "bc"),
        ("eq(createdByApplication,app)", "b"),
        ("eq(jobDefinition.type,casl)", "c"),
        ("in(jobDefinition.name,'other','inline')", "abc"),
        ("isNull(jobDefinitionUri)", "abc"),
        ("eq(modifiedBy,anonymous)", "abc"),
        ("ne(modifiedBy,anonymous)", ""),
        ("isNull(modifiedBy)", ""),
        ("gt(modifiedTimeStamp,'2020-01-01T00:00:00.000Z')", "abc"),
        ("le(modifiedTimeStamp,'2020-01-01T00:00:00.000Z')", ""),
        ("gt(name,'book a')", "bc"),
    ],
)
def test_kept_requests_are_filtered(yard, shelf, filter_, names):
    whole = quote(f"and(startsWith(name,'book '),{filter_})", safe="")
    body = yard.ask("GET", f"{REQUESTS}?filter={whole}").json
    assert ([item["name"][-1] for item in body["items"]], body["count"]) == (list(names), len(names))


@pytest.mark.parametrize(
    ("sort_by", "names"),
    [
        ("name:descending", "cba"),
        ("description:descending,name", "abc"),
        ("expiresAfter,name:descending", "cba"),
        ("creationTimeStamp:descending", "cba"),
        ("modifiedTimeStamp", "abc"),
        ("arguments:descending,properties", "acb"),
    ],
)
def test_kept_requests_are_sorted(yard, shelf, sort_by, names):
    body = yard.ask("GET", f"{REQUESTS}?filter={quote('startsWith(name,book)')}&sortBy={sort_by}").json
    assert "".join(item["name"][-1] for item in body["items"]) == names


def test_definitions_are_searched_in_their_code(yard):
    for code in ("proc print;", "data a;"):
        yard.ask("POST", DEFINITIONS, body={"name": f"coded {code}", "type": "Compute", "code": code})
    printing = quote("and(contains(code,'print'),startsWith(name,coded))")
    found = yard.ask("GET", f"{DEFINITIONS}?filter={printing}").json
    assert [item["code"] for item in found["items"]] == ["proc print;"]
    assert yard.ask("GET", f"{DEFINITIONS}?filter=eq(code,x)").status == 400
    assert yard.ask("GET", f"{DEFINITIONS}?sortBy=code").status == 400


def test_a_page_of_no_definitions(yard):
    body = yard.ask("GET", f"{DEFINITIONS}?limit=0").json
    assert (body["items"], body["limit"]) == ([], 0)
    assert body["count"] > 0
