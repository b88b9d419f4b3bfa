"""The filter language, on what it means rather than how it is built."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.apis.viya.filtering import read
from jobyard_server.apis.viya.members import Kind, Member, Table
from jobyard_server.apis.viya.pages import Window, cut
from jobyard_server.apis.viya.times import micros_of
from jobyard_server.domain.matching import matches
from jobyard_server.domain.reason import Reason, Refused

TABLE = Table(
    {
        "name": Member("name"),
        "jobRequest.name": Member("name"),
        "age": Member("age", Kind.INT),
        "at": Member("at", Kind.TIME),
        "all": Member("all", Kind.SEARCHED, sortable=False),
    }
)
ADA = {"name": "Ada's, (old)", "age": 7, "at": micros_of("2026-01-31T10:00:00.123456Z"), "all": "a b c"}
NOBODY = {"name": None, "age": None, "at": None, "all": None}


@pytest.mark.parametrize(
    "text",
    [
        """eq(name,"Ada's, (old)")""",
        "eq(name,'Ada''s, (old)')",
        r"eq('name','Ada\'s, (old)')",
        "eq(age,7)",
        "eq(age, '7')",
        ' and( gt("age", 6) , lt(age,8) ) ',
        "startsWith(jobRequest.name,Ada)",
        "endsWith(name,'(old)')",
        "contains(all, b c)",
        "in(age,'1','7')",
        "or(eq(age,1),not(eq(age,2)))",
        "ne(age,8)",
        "not(isNull(name))",
        "ne(name,null)",
        "eq(at,'2026-01-31T10:00:00.123Z')",
        "ge(at,2026-01-31T10:00:00.123Z)",
        "le(at,2026-01-31T10:00:00.123Z)",
        "gt(at,'2026-01-31T11:00:00.122+01:00')",
        "lt(at,'2026-01-31T10:00:00.124Z')",
        "not(ne(at,'2026-01-31T10:00:00.123Z'))",
    ],
)
def test_what_holds(text):
    where = read(text, TABLE)
    assert matches(where, ADA.get)
    assert not matches(read(f"not({text})", TABLE), ADA.get)


def test_nothing_holds_of_what_is_missing():
    for text in ("eq(name,'x')", "gt(age,0)", "lt(age,9)", "lt(at,'2030-01-01T00:00:00Z')", "contains(all,a)"):
        assert not matches(read(text, TABLE), NOBODY.get)
    assert matches(read("and(isNull(name),eq(age,null))", TABLE), NOBODY.get)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("like(name,'x')", "Unsupported function in filter request: like"),
        ("eq(name)", "takes 2 arguments"),
        ("isNull(name,x)", "takes 1 argument."),
        ("eq(height,1)", "'height' cannot be filtered by"),
        ("eq(age,old)", "integer"),
        ("eq(at,today)", "a time such as"),
        ("contains(age,7)", "no text"),
        ("startsWith(at,2026)", "no text"),
        ("eq(all,a)", "only be searched"),
        ("name", "not a function"),
        ("eq(name,'x'", "column"),
        ("eq(name,'x'))", "column 13"),
        ("eq(,x)", "unexpected ','"),
        ("and(name,eq(age,1))", "where a function is expected"),
        ("eq(eq(age,1),2)", "takes a member first"),
        ("eq(age,eq(age,1))", "takes values"),
        ("not(" * 40 + "eq(age,1)" + ")" * 40, "nested deeper"),
        ("and(" + ",".join(["eq(age,1)"] * 70) + ")", "more than"),
        ("eq(name,'" + "x" * 9000 + "')", "longer than"),
    ],
)
def test_what_cannot_be_read(text, words):
    with pytest.raises(Refused) as caught:
        read(text, TABLE)
    assert caught.value.refusal.reason is Reason.INVALID_FILTER
    assert words in caught.value.refusal.message


@given(st.text(), st.sampled_from("'\""))
def test_any_text_can_be_quoted(value, quote):
    quoted = value.replace("\\", "\\\\").replace(quote, quote * 2)
    assert matches(read(f"eq(name,{quote}{quoted}{quote})", TABLE), {"name": value}.get)


@given(st.text())
def test_whatever_comes_is_read_or_refused(text):
    with contextlib.suppress(Refused):
        read(text, TABLE)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3))), st.integers(0, 9), st.integers(0, 9))
def test_pages_are_what_is_left_of_all(things, start, limit):
    window = Window(start, limit, "gt(age,0)", "age:descending,name")
    found, count = cut(things, lambda thing: {"name": thing[0], "age": thing[1]}, TABLE, window)
    wanted = sorted((thing for thing in things if thing[1] > 0), key=lambda thing: (-thing[1], thing[0]))
    assert (found, count) == (wanted[start : start + limit], len(wanted))
    page = window.page(count)
    assert page.has_next == (limit > 0 and start + limit < count)
    assert page.last_start <= max(0, count - 1)


@pytest.mark.parametrize("text", ["height", "age:up", "age:ascending:loud", "", "all", "age;name"])
def test_orders_are_refused(text):
    with pytest.raises(Refused) as caught:
        TABLE.order(text)
    assert caught.value.refusal.reason is Reason.INVALID_ORDER


def test_orders():
    keys = TABLE.order("age:descending:primary, name,at:identical,age")
    assert [(key.field, key.descending) for key in keys] == [("age", True), ("name", False), ("at", False)]
