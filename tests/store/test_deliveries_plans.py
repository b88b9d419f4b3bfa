"""What deliveries cost: every statement seeks, however many deliveries there are."""

import sqlite3

import pytest

from jobyard_server.domain.delivery import Verdict
from jobyard_server.store.sets import SqliteSets
from support.delivering import LATEST, claim, owe, owed, settle

pytestmark = pytest.mark.only("sqlite")


async def everything(store):
    """Every verb once."""
    await owe(store, owed(job=1), owed(job=1), owed(lane="a", ordering=LATEST), owed(claimed=True))
    await owe(store, owed(lane="a", ordering=LATEST), owed(lane="b"), owed(lane="b"))
    first, second, *others = await claim(store)
    await store.hold_deliveries([first.number], 15)
    await settle(store, first, Verdict.GIVE_UP)
    await settle(store, second, Verdict.RETRY, retry_after=9)
    for other in others:
        await settle(store, other)
    await store.run(lambda tx: tx.redrive(first.uid, None))
    await store.run(lambda tx: tx.withdraw("jobs", "acme", "b"))
    await store.release_deliveries()
    await store.next_delivery()
    await store.read.deliveries(tenant="acme")
    await store.read.deliveries(tenant=None, job=1)


def walks(step):
    """Whether a step looks at every row, or at every one of a tenant."""
    verb, table, *_ = step.split()
    return "ix_deliveries_tenant" in step or (verb == "SCAN" and table in {"deliveries", "destinations", "d"})


async def test_no_statement_walks_over_deliveries(store, url, monkeypatch):
    ran = {}

    def recorded(method):
        def record(self, sql, parameters=()):
            ran[sql] = len(parameters)
            return method(self, sql, parameters)

        return record

    monkeypatch.setattr(SqliteSets, "run", recorded(SqliteSets.run))
    monkeypatch.setattr(SqliteSets, "all", recorded(SqliteSets.all))
    await everything(store)
    about = {sql: count for sql, count in ran.items() if "deliveries" in sql or "destinations" in sql}
    assert len(about) > 15
    walked = []
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        for sql, count in about.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * count).fetchall()
            steps = [detail for *_, detail in plan]
            walked += [(sql, step) for step in steps if walks(step) and "ORDER BY id" not in sql]
    connection.close()
    assert walked == []
