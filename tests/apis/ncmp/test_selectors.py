"""Selectors of read jobs: taken apart, and said whom they concern."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.ncmp.routing import ProducerKey, Route
from jobyard_server.apis.ncmp.selectors import (
    Classified,
    concerns_everybody,
    like,
    name_of,
    search_term,
    selectors_of,
)

NODE = '/SubNetwork[id="SN1"]/ManagedElement[id="ME1"]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\t\r\n ", []),
        ("/a\n/b\r\n/c\r/d", ["/a", "/b", "/c", "/d"]),
        ("/a OR /b", ["/a", "/b"]),
        ("/a\n/b\n/a", ["/a", "/b"]),
        ("&& a comment\n/a", ["/a"]),
        ("&& a comment OR /b", ["/b"]),
        ("/ORACLE[id='FOR']", ["/ORACLE[id='FOR']"]),
        ("/a\u2028/b\x0b/c", ["/a", "/b", "/c"]),
    ],
)
def test_a_text_is_split_at_line_breaks_and_the_word(text, expected):
    assert selectors_of(text) == expected


@pytest.mark.parametrize(
    ("selector", "everybody"),
    [
        ('//ManagedElement[id="ME1"]', True),
        ("/SubNetwork/ManagedElement", True),
        ('/ManagedElement[attributes/x="1"]', True),
        (NODE, False),
        ('/MeContext[contains(id, "x")]', False),
        ("/ManagedElement[id=no-quotes]", False),
    ],
)
def test_some_concern_everybody(selector, everybody):
    assert concerns_everybody(selector) is everybody


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        (NODE, "/SubNetwork=SN1/ManagedElement=ME1"),
        (NODE + "/attributes", "/SubNetwork=SN1/ManagedElement=ME1"),
        (NODE + '/GNBDUFunction[id="1"]/x[id="2"]', "/SubNetwork=SN1/ManagedElement=ME1/GNBDUFunction=1/x=2"),
        ('/SubNetwork/ManagedElement[id="ME1"]', ""),
        ("/ManagedElement[id='ME1']", ""),
        ("", ""),
    ],
)
def test_the_name_a_selector_begins_with(selector, name):
    assert name_of(selector) == name


@pytest.mark.parametrize(
    ("selector", "term"),
    [
        ('/a/ManagedElement[contains(id, "Ireland")]', "ManagedElement=Ireland"),
        ('/MeContext[contains(id,"x")]/y', "MeContext=x"),
        ('/SubNetwork[contains(id, "Ireland")]', None),
        (NODE, None),
    ],
)
def test_what_a_selector_searches_for(selector, term):
    assert search_term(selector) == term


@given(st.text("ab=/", max_size=6), st.lists(st.text("ab=/", max_size=8), max_size=3))
def test_without_wildcards_a_term_is_contained(term, texts):
    assert like(term, texts) is any(term in text for text in texts)


def test_wildcards_in_a_term():
    assert like("Node=a%c_e", ["/x/Node=abbcde"])
    assert not like("Node=a_c", ["/x/Node=abbc", "Node.c"])
    assert like("%", [""])
    assert not like("a%a", ["a"])


@pytest.mark.timeout(30)  # an expression that tries every way to share the text out takes years
def test_many_wildcards_take_no_longer():
    assert not like("a%" * 30 + "b", ["a" * 2000])


@given(st.text("ab%_", max_size=6), st.text("ab", max_size=8))
def test_wildcards_agree_with_one_expression_of_them_all(term, text):
    naive = re.search("".join({"%": ".*", "_": "."}.get(letter, letter) for letter in term), text)
    assert like(term, [text]) is (naive is not None)


def test_a_selector_goes_to_everybody_it_was_found_to_concern():
    found = Classified()
    one, late = Route("http://a", read="http://r", producer="p"), Route("http://a", ready=False)
    found.route("/x", [one, one, late])
    found.route("/y", [])
    assert found.dmi == {"http://r": {ProducerKey("http://r", "p"): ["/x", "/x"]}}
    assert (found.not_ready, found.errors, found.broadcast) == (["/x"], ["/y"], [])
