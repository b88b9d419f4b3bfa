"""List requests: order, filters and time bounds as the store is asked for them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard.dataone.v1 import job_pb2, job_service_pb2
from jobyard_server.apis.dataone import API
from jobyard_server.apis.dataone.listing import FILTERS, SORTS, bound, conditions, job_list, order
from jobyard_server.domain.fields import JOB_COLUMNS
from jobyard_server.domain.filter import All, Comparison, Op
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.usecases.list_jobs import NEWEST_FIRST
from jobyard_server.usecases.ports import Order

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
List = job_service_pb2.ListJobsRequest


def micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


# --- order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("+id", (Order("number"),)),
        (" id", (Order("number"),)),
        ("id", (Order("number"),)),
        ("-id", (Order("number", descending=True),)),
        ("-status", (Order("state_word", descending=True),)),
        ("+queue,-createdAt", (Order("queue"), Order("created_at", descending=True))),
        (" queue, contract", (Order("queue"), Order("contract"))),
    ],
)
def test_order(text, found):
    assert order(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "+", "-", " ", "--id", "++id", "+-id", "  id", "id ", "ID", "Id", "extIPID", "actor", "lcid", "foo",
     "+id,", ",id", "id,,queue", "id,-id", "id desc", "id;queue", "\tid", "created_at", "createdat"],
)  # fmt: skip
def test_what_is_no_order(text):
    with pytest.raises(Refused) as caught:
        order(text)
    assert caught.value.refusal.reason is Reason.INVALID_ORDER
    assert caught.value.refusal.violations[0].field == "sort"


def test_everything_sorted_by_has_an_index():
    assert set(SORTS.values()) == {"number", *API.fields.indexed} - {"dfiid", "lcid", "ext_ipid"}


def test_everything_filtered_by_is_a_column_or_an_attribute():
    assert set(FILTERS.values()) <= JOB_COLUMNS.keys() | API.fields.attributes.keys()


def test_the_newest_come_first_unless_said_otherwise():
    assert job_list(List()).order == NEWEST_FIRST


# --- filters -----------------------------------------------------------------------------------------------------


def test_no_filter_is_no_condition():
    assert conditions(List()) is None


def test_the_empty_text_is_a_filter():
    assert conditions(List(ext_ipid="")) == All((Comparison("ext_ipid", Op.EQ, ""),))


def test_every_filter_compares_exactly():
    texts = {"queue": "q", "contract": "c", "workflow_template_name": "n", "ext_ipid": "x' OR '1'='1",
             "submitted_by": "u", "dfiid": "d", "lcid": "l", "actor": "a", "contract_action": "b",
             "contract_type": "t", "contract_action_trigger": "g"}  # fmt: skip
    numbers = {"id": 0, "workflow_template_id": -1, "workflow_template_revision": 2**63 - 1}
    assert set(texts) | set(numbers) == set(FILTERS)
    found = conditions(List(**texts, **numbers, status=job_pb2.JOB_STATUS_ERROR))
    assert isinstance(found, All)
    assert set(found.parts) == {
        *(Comparison(FILTERS[name], Op.EQ, value) for name, value in (texts | numbers).items()),
        Comparison("state_word", Op.EQ, "ERROR"),
    }


def test_every_filter_of_the_proto_is_heard():
    others = {"max_items", "sort", "page_token", "status"}
    bounds = {f"{which}_at_{end}" for which in ("created", "updated") for end in ("from", "to")}
    assert set(List.DESCRIPTOR.fields_by_name) == set(FILTERS) | others | bounds


# --- time --------------------------------------------------------------------------------------------------------


def test_bounds_include_their_instant():
    found = conditions(List(created_at_from="2024-03-26T13:30:30 01:00", updated_at_to="2024-03-26T12:30:30Z"))
    at = micros(datetime(2024, 3, 26, 12, 30, 30, tzinfo=UTC))
    assert found == All((Comparison("created_at", Op.GE, at), Comparison("updated_at", Op.LE, at)))


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001 - the offset follows
    OFFSETS,
    st.integers(0, 6),
    st.booleans(),
    st.sampled_from([Op.GE, Op.LE]),
)
def test_every_spelling_of_an_instant_is_read(when, offset, digits, as_space, op):
    when = when.replace(microsecond=when.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits) if digits else 0)
    aware = when.replace(tzinfo=timezone(timedelta(minutes=offset)))
    fraction = f".{when.microsecond:06}"[: digits + 1] if digits else ""
    sign = "-" if offset < 0 else " " if as_space else "+"
    hours, minutes = divmod(abs(offset), 60)
    text = f"{when.strftime('%Y').zfill(4)}{when.strftime('-%m-%dT%H:%M:%S')}{fraction}{sign}{hours:02}:{minutes:02}"
    assert bound("f", text, op) == micros(aware)


@given(st.text(alphabet="0123456789-+:.TZ zt", max_size=32) | st.text(max_size=32))
def test_no_text_breaks_the_reading_of_a_time(text):
    try:
        assert isinstance(bound("created_at_to", text, Op.LE), int)
    except Refused as refused:
        assert refused.refusal.violations[0].field == "created_at_to"  # noqa: PT017 - most texts are no times


def test_digits_beyond_the_stored_ones():
    at = micros(datetime(2024, 3, 26, 12, 0, 0, 1, tzinfo=UTC))
    finer = "2024-03-26T12:00:00.000001500Z"
    assert bound("f", finer, Op.LE) == at, "what was stored a half microsecond earlier is before it"
    assert bound("f", finer, Op.GE) == at + 1, "and not after it"
    assert bound("f", "2024-03-26T12:00:00.000001000Z", Op.GE) == at


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-26",
        "2024-03-26T12:30:30",
        "2024-03-26T12:30Z",
        "2024-03-26 12:30:30Z",
        "2024-03-26T12:30:30+0100",
        "2024-03-26T12:30:30  01:00",
        "2024-03-26T12:30:30 +01:00",
        "2024-03-26T12:30:30 Z",
        "2024-03-26T12:30:30Z ",
        " 2024-03-26T12:30:30Z",
        "2024-03-26T12:30:30Z\n",
        "2024-03-26T12:30:30.Z",
        "2024-03-26T12:30:30.1234567890Z",
        "2024-03-26T12:30:30+24:00",
        "2024-03-26T12:30:30+01:60",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-03-26T24:00:00Z",
        "2024-03-26T12:60:00Z",
        "2024-03-26T12:30:61Z",
        "0000-01-01T00:00:00Z",
        "٢٠٢٤-03-26T12:30:30Z",
        "1711456230",
        "now",
    ],
)
def test_what_is_no_time(text):
    with pytest.raises(Refused) as caught:
        bound("created_at_from", text, Op.GE)
    assert caught.value.refusal.reason is Reason.INVALID_FIELD
    assert caught.value.refusal.violations[0].field == "created_at_from"
