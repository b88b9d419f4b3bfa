"""On PostgreSQL a writer goes to rows by their keys, also where a table has grown since anybody counted its rows."""

import psycopg
import pytest

from jobyard_server.domain.job import Outcome
from jobyard_server.usecases.ports import Settle
from support.storing import Hand, key, new_job

pytestmark = pytest.mark.only("postgresql")

ROUNDS = 12
AT_ONCE = 50


async def walks(store, url):
    """How often each of the tables was read from end to end."""
    # What a connection has counted is told when it is idle for a while, or has been asked for it.
    await store.run(lambda tx: tx._unit.sets.all("SELECT pg_stat_force_next_flush()"))
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relname, seq_scan FROM pg_stat_user_tables "
            "WHERE relname IN ('jobs', 'subjobs', 'attempts', 'events', 'request_keys')"
        )
        return dict(found.fetchall())


async def test_no_table_is_read_whole_while_it_grows(store, url):
    hand = Hand(store)
    before = await walks(store, url)
    for round_ in range(ROUNDS):
        await store.submit_many([new_job(key=key(f"{round_}-{i}")) for i in range(AT_ONCE)])
        leases = await hand.take(limit=AT_ONCE)
        assert len(leases) == AT_ONCE
        await store.settle_many([Settle(lease.token, hand.principal, Outcome.SUCCEEDED) for lease in leases])
    assert await walks(store, url) == before
