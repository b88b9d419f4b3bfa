"""The border between rows and the domain: nothing is lost on the way there and back."""

from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.job import RetryPolicy
from jobyard_server.store import rows, rows_catalog, tables, tables_catalog

TRICKY = st.text(st.sampled_from("\0\x1a0a\x1b") | st.characters(codec="utf-8"), max_size=12)


@given(TRICKY)
def test_text_is_kept_without_nul_and_given_back(text):
    kept = rows.kept(text)
    assert "\0" not in kept
    assert rows.given(kept) == text


@given(TRICKY, TRICKY)
def test_different_texts_are_kept_differently(one, other):
    assert (rows.kept(one) == rows.kept(other)) == (one == other)


def test_ordinary_text_is_kept_as_it_is():
    assert rows.kept("straße 日本\n") == "straße 日本\n"


@given(st.dictionaries(TRICKY, TRICKY | st.integers(-(2**63), 2**63 - 1), max_size=4))
def test_attributes_come_back(values):
    text = rows.attributes_text(values)
    assert "\\u0000" not in text
    assert rows.attributes(text) == values


def test_an_attribute_without_value_is_left_out():
    assert rows.attributes(rows.attributes_text({"a": None, "b": ""})) == {"b": ""}


@given(
    st.builds(
        RetryPolicy,
        st.integers(0, 1000),
        st.floats(0, 1e6),
        st.floats(0, 100),
        st.floats(0, 1e6),
        st.frozensets(TRICKY, max_size=3),
    )
)
def test_retry_policies_come_back(policy):
    assert rows.retry_policy(rows.retry_text(policy)) == policy


def test_the_default_policy_takes_no_room():
    assert rows.retry_text(RetryPolicy()) == ""


def columns(table):
    return set(table.__table__.columns.keys())


def test_every_column_is_written_and_every_name_is_a_column():
    assert set(rows.NEW_JOB_COLUMNS) == columns(tables.JobRow)
    assert set(rows.NEW_SUBJOB_COLUMNS) == columns(tables.SubjobRow)
    assert set(rows.EVENT_COLUMNS) == columns(tables.EventRow)
    assert set(rows.ATTEMPT_COLUMNS) <= columns(tables.AttemptRow)
    assert set(rows_catalog.DEFINITION_COLUMNS) == columns(tables_catalog.DefinitionRow)
    assert set(rows_catalog.EXECUTOR_COLUMNS) == columns(tables_catalog.ExecutorRow)
    assert {*rows_catalog.QUEUE_COLUMNS, "last_served"} == columns(tables_catalog.QueueRow)
    assert set(rows_catalog.RECORD_COLUMNS) == columns(tables_catalog.RecordRow)
