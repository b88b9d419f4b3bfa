"""Webhooks are owed every event they want, once, in order, whoever restarts meanwhile."""

import asyncio
import json

import pytest
import pytest_asyncio

from jobyard_server.domain.event import EventType
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason
from jobyard_server.store.store import Store
from jobyard_server.usecases import tell_webhooks
from jobyard_server.usecases.call import Call
from jobyard_server.usecases.tell_webhooks import WebhookTeller
from jobyard_server.usecases.webhooks import NewWebhook, delete_webhook, get_webhook, list_webhooks, put_webhook
from support.storing import new_job, refusal

URL = "http://hook.test/x"
ANN = Call(Principal("ann", "acme"), "jobs", every_api=True)
BOB = Call(Principal("bob", "other"), "jobs", every_api=True)


@pytest_asyncio.fixture
async def store(url):
    async with Store(url) as opened:
        yield opened


async def hook(store, id_="w", call=ANN, **changes):
    made, _ = await put_webhook(store, call, NewWebhook(id_, URL, **changes))
    return made


async def all_told(teller):
    """Go on until nothing is left."""
    while await teller.step():
        pass


async def told(store):
    """Webhook, job and sequence of everything that is owed, in the order it is owed."""
    found = await store.read.deliveries(tenant=None, oldest_first=True, limit=5000)
    facts = [json.loads(one.facts) for one in found]
    return [(one["webhook"], one["event"]["job"], one["event"]["job_seq"]) for one in facts]


@pytest.fixture
def teller(store):
    return WebhookTeller(store, period=0.01)


async def test_every_event_is_told_once_and_in_order(store, teller):
    await hook(store)
    jobs = [(await store.submit(new_job(display_name=str(number)))).job for number in range(3)]
    for job in jobs:
        await store.run(lambda tx, job=job: tx.delete_job(tx.job(job.number, api=None, tenant=None), by="ann"))
    await all_told(teller)
    assert await told(store) == [("w", job.number, sequence) for sequence in (1, 2) for job in jobs]
    await all_told(teller)
    assert len(await told(store)) == 6
    lanes = {one.lane for one in await store.read.deliveries(tenant=None)}
    assert lanes == {f"w/{job.number}" for job in jobs}


async def test_more_webhooks_than_one_page_of_them_are_told(store, monkeypatch):
    monkeypatch.setattr(tell_webhooks, "PAGE", 2)
    for number in range(9):
        await hook(store, f"w{number}", (ANN, BOB)[number % 2])
    jobs = {tenant: (await store.submit(new_job(tenant=tenant))).job.number for tenant in ("acme", "other")}
    await all_told(WebhookTeller(store, period=0.01))
    expected = [(f"w{number}", jobs[("acme", "other")[number % 2]], 1) for number in range(9)]
    assert sorted(await told(store)) == expected


async def test_webhooks_are_read_again_only_when_one_has_changed(store, teller, monkeypatch):
    reads = []
    records = store.read.records
    monkeypatch.setattr(store.read, "records", lambda *where, **how: reads.append(where) or records(*where, **how))

    async def reads_of(change):
        reads.clear()
        made = await change if change is not None else None
        for _ in range(3):
            await store.submit(new_job())
            await all_told(teller)
        return made, len(reads)

    assert await reads_of(None) == (None, 1)
    assert (await reads_of(hook(store)))[1] == 1
    assert (await reads_of(hook(store, "other", BOB)))[1] == 1
    assert (await reads_of(delete_webhook(store, ANN, "w")))[1] == 1
    assert len(await told(store)) == 6
    assert (await reads_of(None))[1] == 0
    # Another process that looks after the same webhooks has read none of them yet.
    reads.clear()
    await WebhookTeller(store, period=0.01).step()
    assert len(reads) == 1


async def test_what_happened_before_it_was_there_is_not_told(store, teller):
    await store.submit(new_job())
    await hook(store)
    after = (await store.submit(new_job())).job
    await all_told(teller)
    assert await told(store) == [("w", after.number, 1)]


async def test_it_hears_of_its_own_tenant_its_filter_and_its_types_only(store, teller):
    await hook(store, "all")
    await hook(store, "other", BOB)
    await hook(store, "named", filter='display_name = "yes"')
    await hook(store, "ends", event_types=frozenset({EventType.JOB_DELETED}))
    yes = (await store.submit(new_job(display_name="yes"))).job
    await store.submit(new_job(display_name="no"))
    await store.submit(new_job(tenant="other"))
    await all_told(teller)
    await store.run(lambda tx: tx.delete_job(tx.job(yes.number, api=None, tenant=None), by="ann"))
    await all_told(teller)
    assert set(await told(store)) == {
        ("all", 1, 1), ("all", 2, 1), ("all", 1, 2), ("named", 1, 1), ("named", 1, 2), ("other", 3, 1), ("ends", 1, 2),
    }  # fmt: skip


async def test_one_that_is_switched_off_hears_nothing_even_later(store, teller):
    await hook(store, disabled=True)
    await hook(store, "other")
    await store.submit(new_job())
    await all_told(teller)
    await hook(store)
    await store.submit(new_job())
    await all_told(teller)
    assert await told(store) == [("other", 1, 1), ("other", 2, 1), ("w", 2, 1)]


async def test_a_restart_tells_nothing_twice_and_forgets_nothing(store):
    await hook(store)
    await store.submit(new_job())
    await all_told(WebhookTeller(store, period=0.01))
    await store.submit(new_job())
    await all_told(WebhookTeller(store, period=0.01))
    assert await told(store) == [("w", 1, 1), ("w", 2, 1)]


async def test_two_processes_tell_nothing_twice(store, monkeypatch):
    monkeypatch.setattr(tell_webhooks, "PAGE", 3)
    await hook(store)
    tellers = [WebhookTeller(store, period=0.01) for _ in range(3)]
    await store.submit(new_job())

    async def submit():
        for _ in range(20):
            await store.submit(new_job())
            await asyncio.sleep(0)

    await asyncio.gather(submit(), *(all_told(teller) for teller in tellers))
    for teller in tellers:
        await all_told(teller)
    found = await told(store)
    assert len(found) == 21
    assert len(set(found)) == 21


async def test_a_transaction_owes_a_bounded_number(store, teller, monkeypatch):
    monkeypatch.setattr(tell_webhooks, "MOST_DELIVERIES", 5)
    for name in ("a", "b", "c"):
        await hook(store, name)
    await store.submit_many([new_job() for _ in range(10)])
    assert await teller.step()
    assert len(await told(store)) == 6
    await all_told(teller)
    assert len(set(await told(store))) == 30


async def test_events_that_nobody_wants_are_passed_over_and_not_read_again(store, teller, monkeypatch):
    monkeypatch.setattr(tell_webhooks, "REMEMBER_EVERY", 10)
    await hook(store, filter='display_name = "never"')
    await store.submit_many([new_job() for _ in range(25)])
    await all_told(teller)
    assert await told(store) == []
    assert int((await store.read.record("jobs", "", "webhook_position", "events")).body) >= 20


async def test_a_secret_is_made_once_and_told_once(store):
    made, secret = await put_webhook(store, ANN, NewWebhook("w", URL))
    assert secret.startswith("whsec_")
    assert secret not in made.sealed_secret
    again, nothing = await put_webhook(store, ANN, NewWebhook("w", URL + "/2"))
    assert (again.sealed_secret, nothing, again.revision) == (made.sealed_secret, "", 2)
    mine = "whsec_" + "A" * 32
    other, told_back = await put_webhook(store, ANN, NewWebhook("w", URL, secret=mine))
    assert told_back == mine
    assert other.sealed_secret != made.sealed_secret


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://a/"}, "webhook.url"),
        ({"url": "http://user:word@a/"}, "webhook.url"),
        ({"secret": "short"}, "webhook.secret"),
        ({"secret": "whsec_AAAA"}, "webhook.secret"),
        ({"secret": "whsec_\u00e4"}, "webhook.secret"),
        ({"filter": "display_name ="}, "filter"),
    ],
)
async def test_one_that_could_never_work_is_refused(store, changes, field):
    refused = await refusal(put_webhook(store, ANN, NewWebhook(**{"id": "w", "url": URL, **changes})))
    assert refused.violations[0].field == field


async def test_they_are_listed_and_removed_within_their_tenant(store):
    for name in ("a", "b", "c"):
        await hook(store, name)
    await hook(store, "d", BOB)
    page = await list_webhooks(store, ANN, size=2)
    rest = await list_webhooks(store, ANN, size=2, token=page.next_page_token)
    assert [one.id for one in (*page.webhooks, *rest.webhooks)] == ["a", "b", "c"]
    assert (await get_webhook(store, ANN, "a")).url == URL
    assert (await refusal(get_webhook(store, ANN, "d"))).reason is Reason.RECORD_NOT_FOUND
    await delete_webhook(store, ANN, "a")
    assert (await refusal(delete_webhook(store, ANN, "a"))).reason is Reason.RECORD_NOT_FOUND
