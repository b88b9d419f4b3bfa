"""Filters bound to the fields of jobs: types, words and times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.fields import (
    JOB_COLUMNS,
    JOB_FIELDS,
    ApiFields,
    Field,
    Kind,
    bind,
    instant,
    job_value,
)
from jobyard_server.domain.filter import All, Any, Comparison, Not, Op, parse
from jobyard_server.domain.job import Job
from jobyard_server.domain.reason import Reason, Refused


def bound(text):
    return bind(parse(text), JOB_FIELDS)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("number = 12", Comparison("number", Op.EQ, 12)),
        ("number > -9223372036854775808", Comparison("number", Op.GT, -(2**63))),
        ("state = FAILED", Comparison("state", Op.EQ, "FAILED")),
        ("create_time >= 1970-01-01T00:00:01Z", Comparison("created_at", Op.GE, 1_000_000)),
        ("end_time:*", Not(Comparison("finished_at", Op.IS_NULL, None))),
        ("labels.team:*", Not(Comparison("labels.team", Op.IS_NULL, None))),
        ("parent = 0", Comparison("parent", Op.IS_NULL, None)),
        ("parent != 0", Not(Comparison("parent", Op.IS_NULL, None))),
        ("parent > 0", Comparison("parent", Op.GT, 0)),
        ('external_id = ""', Comparison("external_id", Op.IS_NULL, None)),
        ("end_time = 1970-01-01T00:00:00Z", Comparison("finished_at", Op.EQ, 0)),
        ('definition = ""', Comparison("definition", Op.EQ, "")),
        ("state = STATE_FAILED", Comparison("state", Op.EQ, "FAILED")),
        ("mode != MODE_ONCE", Comparison("mode", Op.NE, "ONCE")),
        ("labels.team:blue", Comparison("labels.team", Op.HAS, "blue")),
        ('display_name:"x y"', Comparison("display_name", Op.HAS, "x y")),
        (
            "NOT (queue=a OR queue=b) priority<3",
            All(
                (
                    Not(Any((Comparison("queue", Op.EQ, "a"), Comparison("queue", Op.EQ, "b")))),
                    Comparison("priority", Op.LT, 3),
                )
            ),
        ),
    ],
)
def test_values_get_the_type_of_their_field(text, tree):
    assert bound(text) == tree


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("payload = 1", "payload is not a field to filter by"),
        ("created_at = 1", "created_at is not a field to filter by"),
        ("labels = 1", "labels is not a field to filter by"),
        ("number = x", "number is an integer of 64 bits"),
        ("number = 9223372036854775808", "number is an integer of 64 bits"),
        ("number = 1.5", "number is an integer of 64 bits"),
        ('number = "\u0661"', "number is an integer of 64 bits"),
        ("state = DONE", "state is one of CANCELLED, CANCELLING"),
        ("state = failed", "state is one of"),
        ("state = MODE_ONCE", "state is one of"),
        ("state < FAILED", "state cannot be compared with '<'"),
        ("state:FAIL", "state cannot be searched with ':'"),
        ("number:1", "number cannot be searched with ':'"),
        ("create_time = yesterday", "create_time is a time such as"),
        ("create_time = 2026-01-01", "create_time is a time such as"),
        ("create_time = 2026-02-30T00:00:00Z", "create_time is a time that exists"),
        ('create_time = "2026-01-01T00:00:00"', "create_time is a time such as"),
    ],
)
def test_refuses_naming_the_field(text, problem):
    with pytest.raises(Refused) as caught:
        bound(text)
    assert caught.value.refusal.reason is Reason.INVALID_FILTER
    assert problem in caught.value.refusal.message
    assert caught.value.refusal.metadata == {"field": problem.split(maxsplit=1)[0]}


def test_every_field_is_something_a_job_has():
    for name, field in JOB_FIELDS.items():
        assert field.column in JOB_COLUMNS, name
        assert field.column in Job.__dataclass_fields__, name


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=3))])
    )
)
def test_instants_are_exact_to_the_microsecond(moment):
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert instant(moment.isoformat(timespec="microseconds")) == expected


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00.1Z", 100_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1970-01-01t00:00:01z", 1_000_000),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_instants_in_other_spellings(text, micros):
    assert instant(text) == micros


@pytest.mark.parametrize("name", ["state", "Upper", "has space", "a'b", ""])
def test_an_attribute_cannot_have_such_a_name(name):
    with pytest.raises(ValueError, match="cannot be an attribute"):
        ApiFields({name: Kind.TEXT})


def test_only_what_there_is_can_be_indexed():
    assert ApiFields({"contract": Kind.TEXT}, ("contract", "queue")).indexed == ("contract", "queue")
    with pytest.raises(ValueError, match="nothing to index"):
        ApiFields({"contract": Kind.TEXT}, ("actor",))


def test_a_value_of_a_job_is_found_by_name(make_job):
    job = make_job(queue="q", labels={"team": "blue"}, attributes={"contract": "c"})
    assert job_value(job, "queue") == "q"
    assert job_value(job, "labels.team") == "blue"
    assert job_value(job, "labels.other") is None
    assert job_value(job, "contract") == "c"
    assert job_value(job, "other") is None


def test_a_field_is_text_unless_it_says_otherwise():
    assert Field("queue") == Field("queue", Kind.TEXT, frozenset(), sortable=False)
