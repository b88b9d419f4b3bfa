"""What a vector expects of an answer or a walk; an expectation nobody knows fails the test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from apis.dataone.yard import FIXTURES, Answer

WORDS: Final = {"SUBMITTED", "SUSPENDED", "RUNNING", "ERROR", "ABORTED", "COMPLETED"}
URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+\Z")


def is_error(answer: Answer) -> bool:
    body = answer.json
    return isinstance(body, dict) and "error" in body


def check_error(answer: Answer) -> None:
    """The envelope of AIP-193, with an ErrorInfo, and with the fields of a bad request."""
    error = answer.json["error"]
    assert set(error) == {"code", "status", "message", "details"}, error
    assert error["code"] == answer.status
    assert error["message"]
    details = {detail["@type"].rpartition("/")[2]: detail for detail in error["details"]}
    info = details["google.rpc.ErrorInfo"]
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", info["reason"])
    assert info["domain"].startswith("jobyard")
    if error["status"] == "INVALID_ARGUMENT" and error["code"] == 400 and not info["reason"].startswith("BODY_"):
        violations = details["google.rpc.BadRequest"]["fieldViolations"]
        assert all(violation["field"] and violation["description"] for violation in violations)


def check_job(job: Any) -> None:
    """A job with all its members, of their types."""
    assert list(job) == FIXTURES["job_members"]
    assert re.fullmatch(r"[1-9][0-9]*", job["id"])
    assert job["status"] in WORDS
    for name in ("createdAt", "updatedAt"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", job[name])
    instance = job["contractActionWorkflowInstance"]
    assert list(instance) == FIXTURES["workflow_instance_members"]
    assert all(isinstance(value, str) for value in instance.values()), "64-bit integers are strings too"
    assert list(job["dfic"]) == FIXTURES["dfic_members"]
    assert isinstance(job["dfic"]["userAttrs"], dict)
    nested = {"contractActionWorkflowInstance", "dfic"}
    assert all(isinstance(value, str) for name, value in job.items() if name not in nested)


def member(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body


def _present(body: Any, name: str) -> bool:
    return isinstance(body, dict) and name in body


def check_next(answer: Answer, wanted: str) -> None:
    body = answer.json
    assert ("next" in body) == (wanted == "present"), body.get("next")
    if wanted == "present":
        assert body["next"].startswith("/ghibli-rest/v2/job-manager/jobs?"), body["next"]


def ids_of(answer: Answer) -> list[str]:
    for job in answer.json["jobs"]:
        check_job(job)
    return [job["id"] for job in answer.json["jobs"]]


Check = Callable[[Answer, Any], None]


def _holds(what: Callable[[Answer, Any], bool]) -> Check:
    def check(answer: Answer, wanted: Any) -> None:
        assert what(answer, wanted), (wanted, answer)

    return check


CHECKS: Final[Mapping[str, Check]] = {
    "status": _holds(lambda answer, wanted: answer.status == wanted),
    "status_in": _holds(lambda answer, wanted: answer.status in wanted),
    "status_not_in": _holds(lambda answer, wanted: answer.status not in wanted),
    "is_error": lambda answer, wanted: check_error(answer) if wanted else check_job(answer.json),
    "job": lambda answer, _: check_job(answer.json),
    "job_keys_complete": lambda answer, _: check_job(answer.json),
    "grpc_code": _holds(lambda answer, wanted: answer.json["error"]["status"] == wanted),
    "ids": _holds(lambda answer, wanted: ids_of(answer) == wanted),
    "count": _holds(lambda answer, wanted: len(ids_of(answer)) == wanted),
    "first_id": _holds(lambda answer, wanted: ids_of(answer)[0] == wanted),
    "last_id": _holds(lambda answer, wanted: ids_of(answer)[-1] == wanted),
    "next": check_next,
    "next_is_valid_uri": _holds(lambda answer, _: bool(URI.match(answer.json["next"]))),
    "next_no_raw_plus": _holds(lambda answer, _: "+" not in answer.json["next"]),
    "json": _holds(lambda answer, wanted: all(member(answer.json, path) == value for path, value in wanted.items())),
    "json_if_present": _holds(
        lambda answer, wanted: all(
            member(answer.json, path) == value for path, value in wanted.items() if _present(answer.json, path)
        )
    ),
    "headers_present": _holds(lambda answer, wanted: all(answer.headers.get(name.lower()) for name in wanted)),
    "content_type": _holds(lambda answer, wanted: answer.headers["content-type"].partition(";")[0] == wanted),
    "keys_absent": _holds(lambda answer, wanted: not set(wanted) & set(answer.json)),
}
NOTES: Final = {"order_note"}
IDENTITIES: Final = {"save_id", "same_id_as", "differs_from"}


def check_answer(answer: Answer, expect: Mapping[str, Any], saved: dict[str, str]) -> None:
    """Hold an answer against everything that is expected of it."""
    for name, wanted in expect.items():
        if name not in NOTES | IDENTITIES:
            CHECKS[name](answer, wanted)
    if expect.keys() & IDENTITIES:
        number = answer.json["id"]
        assert "same_id_as" not in expect or number == saved[expect["same_id_as"]]
        assert all(number != saved[name] for name in expect.get("differs_from", ()))
        if "save_id" in expect:
            saved[expect["save_id"]] = number


def check_parallel(answers: Sequence[Answer], expect: Mapping[str, Any]) -> None:
    """Hold answers that were asked for at the same time against what is expected of them together."""
    assert expect.keys() <= {"status_counts", "distinct_ids"}
    for answer in answers:
        check_job(answer.json)
    if "status_counts" in expect:
        assert Counter(str(answer.status) for answer in answers) == expect["status_counts"]
    if "distinct_ids" in expect:
        assert len({answer.json["id"] for answer in answers}) == expect["distinct_ids"]


def check_walk(pages: Sequence[Sequence[str]], initial: Sequence[str], expect: Mapping[str, Any]) -> None:
    """Hold a whole walk against what is expected of it."""
    seen = [number for page in pages for number in page]
    known: dict[str, Callable[[Any], bool]] = {
        "ids": lambda wanted: seen == wanted,
        "pages": lambda wanted: len(pages) == wanted,
        "initial_exactly_once": lambda wanted: not wanted or all(seen.count(number) == 1 for number in initial),
        "any_at_most_once": lambda wanted: not wanted or len(seen) == len(set(seen)),
        "terminates_within_pages": lambda wanted: len(pages) <= wanted,
        "subset_of": lambda wanted: set(seen) <= set(wanted),
    }
    for name, wanted in expect.items():
        assert known[name](wanted), (name, wanted, pages)
