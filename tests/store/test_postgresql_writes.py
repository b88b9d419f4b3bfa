"""Rows on their way to PostgreSQL: what is the same in all travels once, and several writes travel as one."""

import pytest

from jobyard_server.store import postgresql_writes
from jobyard_server.store.postgresql_writes import LONG, Gathered, Write, given_rows

NAMES = ("worker", "seen_at", "expires_at")


@pytest.fixture(autouse=True)
def no_forms(monkeypatch):
    monkeypatch.setattr(postgresql_writes, "_forms", {})


def rows(count, last="w"):
    return [*((f"w{i}", 5, None) for i in range(count - 1)), (last, 5, None)]


def test_a_short_list_travels_whole():
    given = given_rows("sessions", NAMES, rows(LONG - 1), 1)
    assert given.same == (False, False, False)
    assert given.values[1] == "{" + ",".join(["5"] * (LONG - 1)) + "}"


def test_what_all_rows_of_a_long_list_have_travels_once_but_never_a_key():
    given = given_rows("sessions", NAMES, rows(LONG), 1)
    assert given.same == (False, True, True)
    assert given.values[1:] == ["{5}", "{null}"]
    same = [("w", 5, None)] * LONG
    assert given_rows("sessions", NAMES, same, 2).same == (False, False, True)


def test_texts_are_quoted():
    given = given_rows("sessions", NAMES, rows(2, last='a"b\\c,{}'), 1)
    assert given.values[0] == '{"w0","a\\"b\\\\c,{}"}'


def test_controls_travel_as_they_are():
    given = given_rows("sessions", NAMES, rows(2, last="a\nb\t\x01"), 1)
    assert given.values[0] == '{"w0","a\nb\t\x01"}'


def test_no_more_forms_are_told_apart_than_are_kept_prepared(monkeypatch):
    monkeypatch.setattr(postgresql_writes, "FORMS", 1)
    assert given_rows("sessions", NAMES, rows(LONG), 1).same == (False, True, True)
    other = [(name, place, None) for place, (name, _, _) in enumerate(rows(LONG))]
    assert given_rows("sessions", NAMES, other, 1).same == (False, False, False)
    assert given_rows("sessions", NAMES, rows(LONG), 1).same == (False, True, True)


def test_writes_become_one_statement_with_its_parameters_in_order():
    gathered = Gathered()
    gathered.writes.append(Write("sessions", given_rows("sessions", ("id", "worker"), [(1, "a")], 1), ("id",)))
    gathered.writes.append(Write("lanes", given_rows("lanes", ("queue", "tenant"), [("q", "t")], 1), behind="END"))
    assert gathered.holds("sessions")
    assert not gathered.holds("jobs")
    sql, parameters = gathered.take()
    assert sql.startswith("WITH w0 AS (UPDATE sessions SET worker = given.worker FROM (SELECT")
    assert "unnest($3::text[], $4::text[]) AS own (queue, tenant)" in sql
    assert sql.endswith("AS given END")
    assert parameters == ["{1}", '{"a"}', '{"q"}', '{"t"}']
    assert gathered.writes == []
