"""Tokens of pages and watches: what they hold, and that nobody else can make or read them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.domain.filter import Comparison, Op
from jobyard_server.domain.paging import Cursor, fingerprint, open_page, page_size, seal_page
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.signing import KEY_BYTES, MAX_TOKEN, Signer
from jobyard_server.usecases.ports import Order
from jobyard_server.usecases.watch_jobs import open_watch, seal_watch

SIGNER = Signer(b"k" * KEY_BYTES, "epoch-1")
CURSOR = Cursor(("a", 3), 9)
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30)


@given(st.lists(VALUES, min_size=1, max_size=4).map(tuple), st.none() | st.integers(0, 2**63 - 1), st.text(max_size=20))
def test_a_token_gives_back_its_cursor(after, at_most, bound_to):
    cursor = Cursor(after, at_most)
    assert open_page(SIGNER, bound_to, seal_page(SIGNER, bound_to, cursor)) == cursor


def test_the_same_page_has_the_same_token():
    assert seal_page(SIGNER, "f", CURSOR) == seal_page(SIGNER, "f", CURSOR)


def test_a_token_is_safe_in_a_url_and_tells_nothing():
    token = seal_page(SIGNER, "f", Cursor(("secret-customer-name", 3), 9))
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"secret-customer-name" not in raw


def refused(token, bound_to="f", signer=SIGNER):
    with pytest.raises(Refused) as caught:
        open_page(signer, bound_to, token)
    refusal = caught.value.refusal
    assert refusal.reason is Reason.INVALID_PAGE_TOKEN
    assert [violation.field for violation in refusal.violations] == ["page_token"]
    return refusal.message


def test_a_token_of_another_list_is_refused_and_says_so():
    assert "another filter or order" in refused(seal_page(SIGNER, "g", CURSOR))


def test_a_token_of_another_database_is_refused():
    assert "not a token of this server" in refused(seal_page(Signer(b"x" * KEY_BYTES, "epoch-1"), "f", CURSOR))


def test_a_token_for_another_purpose_is_refused():
    assert "not a token of this server" in refused(seal_watch(SIGNER, 3))


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data):
    token = seal_page(SIGNER, "f", CURSOR)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCabc012-_=. é").filter(lambda one: one != token[place]))
    refused(token[:place] + other + token[place + 1 :])


@given(st.data())
def test_a_token_cut_or_lengthened_is_refused(data):
    token = seal_page(SIGNER, "f", CURSOR)
    refused(token[: data.draw(st.integers(0, len(token) - 1))])
    refused(token + data.draw(st.sampled_from(["A", "AA", "=", "AAAA", "\0"])))


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text):
    refused(text)


def test_a_token_is_bounded():
    refused("A" * (MAX_TOKEN + 1))


def test_fingerprints_tell_lists_apart():
    order = (Order("number"),)
    seen = [
        fingerprint("jobs", "t", None, order),
        fingerprint("jobs", None, None, order),
        fingerprint("jobs", "None", None, order),
        fingerprint("jobs", "t", None, (Order("number", descending=True),)),
        fingerprint("jobs", "t", Comparison("queue", Op.EQ, "1"), order),
        fingerprint("jobs", "t", Comparison("queue", Op.EQ, 1), order),
        fingerprint("jobs", "t", Comparison("queue", Op.NE, "1"), order),
    ]
    assert len(set(seen)) == len(seen)
    assert seen[0] == fingerprint("jobs", "t", None, (Order("number"),))


def test_a_watch_token_gives_back_its_position():
    assert open_watch(SIGNER, seal_watch(SIGNER, 77)) == 77


def test_a_watch_token_of_another_epoch_names_no_position():
    earlier = Signer(b"k" * KEY_BYTES, "epoch-0")
    assert open_watch(SIGNER, seal_watch(earlier, 77)) is None


def test_a_damaged_watch_token_is_refused_naming_its_field():
    with pytest.raises(Refused) as caught:
        open_watch(SIGNER, seal_page(SIGNER, "f", CURSOR))
    assert caught.value.refusal.violations[0].field == "resume_token"


@pytest.mark.parametrize(("asked", "given_"), [(0, 100), (-1, 100), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_sizes(asked, given_):
    assert page_size(asked) == given_
