"""Walks through pages while jobs come, go and change: nobody is missed, nobody is seen twice."""

from datetime import datetime
from itertools import count, pairwise
from urllib.parse import urljoin

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apis.dataone.yard import FIXTURES, JOBS

USERS = ("alice", "bob", "wendy")
KEYS = {
    "id": lambda job: int(job["id"]),
    "queue": lambda job: job["queue"],
    "contract": lambda job: job["contract"],
    "submittedBy": lambda job: job["submittedBy"],
    "createdAt": lambda job: datetime.fromisoformat(job["createdAt"]),
    "workflowTemplateId": lambda job: int(job["contractActionWorkflowInstance"]["workflowTemplateId"]),
    "workflowTemplateName": lambda job: job["contractActionWorkflowInstance"]["workflowTemplateName"],
    "workflowTemplateRevision": lambda job: int(job["contractActionWorkflowInstance"]["workflowTemplateRevision"]),
}
CHOICES = [
    (contract["name"], action["name"])
    for contract in FIXTURES["contracts"]
    if contract["enabled"]
    for action in contract["actions"]
    if action["trigger"] == "OnDemand"
]
SUBMITS = st.tuples(st.sampled_from(USERS), st.sampled_from(CHOICES))
CHANGES = st.lists(
    st.tuples(st.just("submit"), SUBMITS) | st.tuples(st.sampled_from(["delete", "abort"]), st.integers(0, 30)),
    max_size=4,
)
SORTS = st.lists(
    st.tuples(st.sampled_from("+-"), st.sampled_from(sorted(KEYS))), max_size=2, unique_by=lambda key: key[1]
)


def submit(yard, user: str, names: tuple[str, str]) -> dict:
    answer = yard.submit(user, contractName=names[0], actionName=names[1])
    assert answer.status == 201
    return answer.json


def in_order(jobs: list[dict], sort: list[tuple[str, str]]) -> bool:
    """Whether each job may stand before the next one, ties by id in the direction of the last key."""
    if not any(name == "id" for _, name in sort):
        sort = [*sort, (sort[-1][0] if sort else "-", "id")]
    for job, following in pairwise(jobs):
        for sign, name in sort:
            here, there = KEYS[name](job), KEYS[name](following)
            if here != there:
                if (here < there) != (sign == "+"):
                    return False
                break
    return True


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    initial=st.lists(SUBMITS, min_size=1, max_size=12),
    sort=SORTS,
    size=st.integers(1, 5),
    changes=st.lists(CHANGES, min_size=1, max_size=4),
)
def test_what_was_there_is_seen_exactly_once(yard, initial, sort, size, changes):
    yard.reset()
    known = [submit(yard, *one)["id"] for one in initial]
    deleted: set[str] = set()
    query = f"maxItems={size}"
    if sort:
        query += "&sort=" + ",".join(f"{'%2B' if sign == '+' else '-'}{name}" for sign, name in sort)
    target, seen = f"{JOBS}?{query}", []
    for page in count():
        assert page <= len(initial), "the walk does not end"
        answer = yard.ask("ursula", "GET", target)
        assert answer.status == 200, answer
        jobs = answer.json["jobs"]
        assert len(jobs) == size or ("next" not in answer.json and jobs) or deleted
        seen += jobs
        if "next" not in answer.json:
            break
        target = urljoin(target, answer.json["next"])
        for what, how in changes[page % len(changes)]:
            if what == "submit":
                submit(yard, *how)
            elif what == "delete":
                deleted.add(known[how % len(known)])
                yard.delete(int(known[how % len(known)]))
            elif known[how % len(known)] not in deleted:
                yard.cancel(int(known[how % len(known)]))
    found = [job["id"] for job in seen]
    assert len(found) == len(set(found)), "nobody twice"
    assert set(found) <= set(known), "newcomers are not part of the walk"
    assert set(known) - deleted <= set(found), "nobody missed"
    assert in_order(seen, sort)
