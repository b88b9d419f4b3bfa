"""On PostgreSQL a writer goes to rows by their keys, however fast tables grow, and leaves the indexes of jobs alone."""

import psycopg
import pytest

from jobyard_server.domain.job import Outcome
from jobyard_server.usecases.ports import Settle
from support.storing import Hand, key, new_job

pytestmark = pytest.mark.only("postgresql")

ROUNDS = 12
AT_ONCE = 50


async def counted(store, url, sql):
    """What the database has counted."""
    # What a connection has counted is told when it is idle for a while, or has been asked for it.
    await store.run(lambda tx: tx._unit.sets.all("SELECT pg_stat_force_next_flush()"))
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


async def work(store):
    """Have some hundred jobs done."""
    hand = Hand(store)
    for round_ in range(ROUNDS):
        await store.submit_many([new_job(key=key(f"{round_}-{i}")) for i in range(AT_ONCE)])
        leases = await hand.take(limit=AT_ONCE)
        assert len(leases) == AT_ONCE
        await store.settle_many([Settle(lease.token, hand.principal, Outcome.SUCCEEDED) for lease in leases])


async def test_no_table_is_read_whole_while_it_grows(store, url):
    walks = (
        "SELECT relname, seq_scan FROM pg_stat_user_tables "
        "WHERE relname IN ('jobs', 'subjobs', 'attempts', 'events', 'request_keys') ORDER BY relname"
    )
    before = await counted(store, url, walks)
    await work(store)
    assert await counted(store, url, walks) == before


async def test_the_work_on_a_job_writes_none_of_its_indexes(store, url):
    await work(store)
    changes = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs'"
    ((changed, on_its_page),) = await counted(store, url, changes)
    assert changed == 2 * ROUNDS * AT_ONCE
    assert on_its_page > 0.9 * changed
