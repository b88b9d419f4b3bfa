"""The border between messages and domain: each word has its word on the other side, and values keep their value."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from jobyard.jobs.v1 import definition_pb2, event_pb2, executor_pb2, queue_pb2, state_pb2, subjob_pb2, worker_lease_pb2
from jobyard_server.apis.jobs import mapping, mapping_catalog, mapping_work
from jobyard_server.domain.job import RetryPolicy
from jobyard_server.domain.reason import Reason, Refused

TABLES = [
    (mapping.MODE, state_pb2.Mode, 1),
    (mapping.STATE, state_pb2.State, 1),
    (mapping.OUTCOME, subjob_pb2.AttemptOutcome, 1),
    (mapping.EVENT_TYPE, event_pb2.EventType, 1),
    (mapping.LEASE_LOSS, definition_pb2.LeaseLoss, 1),
    (mapping_catalog.REACH, executor_pb2.Reach, 1),
    (mapping_catalog.QUEUE_ORDER, queue_pb2.QueueOrder, 1),
    (mapping_catalog.QUEUE_STATUS, queue_pb2.QueueStatus, 1),
    (mapping_work.DIRECTIVE, worker_lease_pb2.Directive, 1),
]


@pytest.mark.parametrize(("table", "enum", "unspecified"), TABLES, ids=lambda value: getattr(value, "__name__", ""))
def test_words_and_numbers_are_the_same_on_both_sides(table, enum, unspecified):
    assert sorted(table.values()) == sorted(set(enum.values()) - {0})
    assert len(set(table.values())) == len(table) == len(enum.values()) - unspecified


@given(st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999))
def test_instants_keep_their_microseconds(micros):
    assert mapping.micros(mapping.timestamp(micros)) == micros


@given(st.integers(min_value=0, max_value=10_000_000_000))
def test_durations_keep_their_milliseconds(millis):
    message = mapping.duration(millis / 1000)
    assert 0 <= message.nanos < 1_000_000_000
    assert mapping.seconds(message) == pytest.approx(millis / 1000, abs=1e-6)


def test_an_absent_instant_stays_absent():
    assert mapping.timestamp(None) is None
    assert mapping.timestamp(0) == Timestamp()


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("42", 42),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", "9223372036854775808"),
        ("-1", "-1"),
        ("\u0664\u0662", "\u0664\u0662"),
        ("01920d3c-0000-7000-8000-000000000000", "01920d3c-0000-7000-8000-000000000000"),
        ("1" * 64, "1" * 64),
    ],
)
def test_a_job_is_named_by_its_number_or_its_uid(text, ref):
    assert mapping.job_ref(text) == ref


@pytest.mark.parametrize(("text", "revision"), [("", None), ("*", None), ("7", 7), (mapping.etag(12), 12)])
def test_etags_are_revisions(text, revision):
    assert mapping.revision(text) == revision


@pytest.mark.parametrize("text", ["x", "-1", "1.0", " 7", "\u0667", "9" * 40])
def test_what_is_no_etag_of_ours_matches_nothing(text):
    with pytest.raises(Refused) as refused:
        mapping.revision(text)
    assert refused.value.refusal.reason is Reason.ETAG_MISMATCH


@pytest.mark.parametrize("text", ["{}", "null", "1", '"a"', ' {"a" : 1.50} ', "[" * 100 + "]" * 100, '{"a":1,"a":2}'])
def test_json_stays_as_it_came(text):
    assert mapping.any_json("payload", text) == text


@pytest.mark.parametrize(
    "text", ["", "{", "{'a':1}", "NaN", "[1,]", "\ufeff{}", '"\\ud800"', "01", "[" * 101 + "]" * 101, "[" * 5000, "1 2"]
)
def test_what_is_no_json_is_refused_and_the_field_is_named(text):
    with pytest.raises(Refused) as refused:
        mapping.any_json("jobs[3].payload", text)
    (violation,) = refused.value.refusal.violations
    assert violation.field == "jobs[3].payload"


def test_a_wide_document_is_not_a_deep_one():
    wide = "[" + ",".join(["[]"] * 5000) + "]"
    assert mapping.any_json("payload", wide) == wide


@pytest.mark.parametrize("text", ["[]", "1", "null", "{"])
def test_an_object_is_wanted_where_an_object_is_wanted(text):
    with pytest.raises(Refused):
        mapping.object_json("spec", text)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"a": 1.5}', "attributes.a"),
        ('{"a": true}', "attributes.a"),
        ('{"b": 1, "a": [1]}', "attributes.a"),
        ('{"a": 9223372036854775808}', "attributes.a"),
        ("[]", "attributes"),
        ("x", "attributes"),
    ],
)
def test_attributes_are_strings_and_integers(text, field):
    with pytest.raises(Refused) as refused:
        mapping.attributes("attributes", text)
    assert refused.value.refusal.violations[0].field == field
    assert mapping.attributes("attributes", '{"a": "x", "b": -1, "c": null}') == {"a": "x", "b": -1, "c": None}


def test_a_retry_policy_is_filled_in_where_it_says_nothing():
    assert mapping.retry_policy(definition_pb2.RetryPolicy()) == RetryPolicy()
    said = definition_pb2.RetryPolicy(
        max_attempts=5,
        initial_backoff=Duration(),
        multiplier=1.5,
        max_backoff=Duration(seconds=3, nanos=500_000_000),
        non_retryable_reasons=["B", "A"],
    )
    policy = mapping.retry_policy(said)
    assert policy == RetryPolicy(5, 0.0, 1.5, 3.5, frozenset({"A", "B"}))
    assert mapping.retry_policy(mapping.retry_message(policy)) == policy
