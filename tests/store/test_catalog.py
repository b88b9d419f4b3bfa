"""Definitions, executors, queues and records: put, replaced, listed and removed."""

import asyncio
import dataclasses

import pytest

from jobyard_server.domain.catalog import NewDefinition, NewExecutor, Queue, QueueOrder, QueueStatus, Reach, TimeSlot
from jobyard_server.domain.fields import Kind
from jobyard_server.domain.filter import Comparison, Not, Op
from jobyard_server.domain.job import LeaseLoss, RetryPolicy
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.usecases.ports import DefinitionQuery, Order, RecordQuery
from support.storing import refusal

DEFINITION = NewDefinition(
    "sample", "acme", "ann", "print", 2, "contract", "base", "Print", enabled=False, queue="slow", spec='{"a":  1.0}',
    attributes={"colour": "red", "size": 2}, retry=RetryPolicy(3), on_lease_loss=LeaseLoss.TIME_OUT, resumable=True,
)  # fmt: skip
EXECUTOR = NewExecutor("sample", "acme", "ann", "site-a", "producer", Reach.PUSH, "q", enabled=False, spec='{"b":2}')
QUEUE = Queue(
    "night", 9, QueueOrder.FAIR, QueueStatus.SCHEDULED, (TimeSlot(60, 30), TimeSlot(0, 1440)), "Europe/Rome", 4
)


async def test_a_definition_is_read_as_it_was_put(store):
    put = await store.run(lambda tx: tx.put_definition(DEFINITION))
    assert put == await store.read.definition("sample", "acme", "print", 2)
    for name in DEFINITION.__dataclass_fields__.keys() - {"actor"}:
        assert getattr(put, name) == getattr(DEFINITION, name), name
    assert (put.created_by, put.revision) == ("ann", 1)


async def test_a_replaced_definition_keeps_who_made_it(store):
    first = await store.run(lambda tx: tx.put_definition(DEFINITION))
    again = NewDefinition("sample", "acme", "bob", "print", 2, spec='{"c":3}')
    second = await store.run(lambda tx: tx.put_definition(again))
    assert (second.created_by, second.created_at, second.revision) == ("ann", first.created_at, 2)
    assert (second.spec, second.enabled, second.retry) == ('{"c":3}', True, RetryPolicy())
    assert second.updated_at >= first.updated_at


SHELF = DefinitionQuery("sample", "acme", "book", {"colour": Kind.TEXT, "size": Kind.INT})


@pytest.fixture
async def shelf(store):
    """Definitions of two kinds, two tenants and two APIs; those of the query have the names a to e."""
    for number, name in enumerate("ecbda"):
        attributes = {"colour": "red" if number % 2 else None, "size": number}
        for api, tenant, kind in (("sample", "acme", "book"), ("sample", "acme", "map"), ("sample", "other", "book")):
            new = NewDefinition(
                api, tenant, "ann", f"{kind}-{number}", kind=kind, display_name=name, attributes=attributes
            )
            await store.run(lambda tx: tx.put_definition(new))
    return store


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, "ecbda"),
        ({"order": (Order("display_name"),)}, "abcde"),
        ({"order": (Order("display_name"),), "limit": 2, "offset": 1}, "bc"),
        ({"order": (Order("size", descending=True),)}, "adbce"),
        ({"order": (Order("colour"), Order("display_name", descending=True))}, "ebadc"),
        ({"where": Comparison("colour", Op.EQ, "red")}, "cd"),
        ({"where": Not(Comparison("colour", Op.EQ, "red"))}, "eba"),
        ({"where": Comparison("size", Op.GE, 3)}, "da"),
        ({"where": Comparison("display_name", Op.IN, ("a", "x"))}, "a"),
        ({"where": Comparison("created_at", Op.LE, 0)}, ""),
    ],
)
async def test_definitions_of_a_kind_are_filtered_and_sorted(shelf, change, names):
    query = dataclasses.replace(SHELF, **change)
    assert "".join(each.display_name for each in await shelf.read.definitions_of(query)) == names
    count = await shelf.read.count_definitions(query)
    assert count == (5 if "limit" in change else len(names))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"where": Comparison("height", Op.EQ, "1")}, Reason.INVALID_FILTER),
        ({"order": (Order("height"),)}, Reason.INVALID_ORDER),
    ],
)
async def test_what_definitions_do_not_have_is_refused(shelf, change, reason):
    with pytest.raises(Refused) as caught:
        await shelf.read.definitions_of(dataclasses.replace(SHELF, **change))
    assert caught.value.refusal.reason is reason


async def test_the_newest_version_is_found_and_removed_first(store):
    for version in (1, 10, 9):
        await store.run(lambda tx: tx.put_definition(NewDefinition("sample", "acme", "ann", "print", version)))
    assert (await store.read.definition("sample", "acme", "print")).version == 10
    assert (await store.read.definition("sample", "acme", "print", 9)).version == 9
    assert await store.run(lambda tx: tx.delete_definition("sample", "acme", "print"))
    assert (await store.read.definition("sample", "acme", "print")).version == 9
    assert await store.run(lambda tx: tx.delete_definition("sample", "acme", "print", 1))
    assert not await store.run(lambda tx: tx.delete_definition("sample", "acme", "print", 1))
    assert await store.read.definition("sample", "acme", "print", 1) is None


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_definitions_are_listed_in_order_page_by_page(store, size):
    names = [
        ("sample", "acme", "a", 0),
        ("sample", "acme", "a", 1),
        ("sample", "acme", "b\0", 0),
        ("sample", "b", "a", 0),
        ("other", "acme", "z", 0),
    ]
    for api, tenant, id_, version in names:
        await store.run(lambda tx: tx.put_definition(NewDefinition(api, tenant, "ann", id_, version)))

    async def walked(api, tenant):
        found, after = [], None
        while page := await store.read.definitions(api, tenant, after=after, limit=size):
            found += [(one.api, one.tenant, one.id, one.version) for one in page]
            after = found[-1]
        return found

    assert await walked(None, None) == sorted(names)
    assert await walked("sample", "acme") == names[:3]
    assert await walked(None, "acme") == sorted([*names[:3], names[4]])


async def test_an_executor_is_read_as_it_was_put(store):
    put = await store.run(lambda tx: tx.put_executor(EXECUTOR))
    assert put == await store.read.executor("sample", "acme", "site-a")
    for name in EXECUTOR.__dataclass_fields__.keys() - {"actor"}:
        assert getattr(put, name) == getattr(EXECUTOR, name), name
    again = await store.run(lambda tx: tx.put_executor(EXECUTOR))
    assert again.revision == 2
    assert await store.read.executors("sample", None, after=None, limit=5) == [again]
    assert await store.read.executors("sample", None, after=("sample", "acme", "site-a"), limit=5) == []
    assert await store.run(lambda tx: tx.delete_executor("sample", "acme", "site-a"))
    assert not await store.run(lambda tx: tx.delete_executor("sample", "acme", "site-a"))


async def test_a_queue_is_read_as_it_was_put(store):
    put = await store.run(lambda tx: tx.put_queue(QUEUE))
    assert put == await store.read.queue("night")
    for name in QUEUE.__dataclass_fields__.keys() - {"revision", "updated_at"}:
        assert getattr(put, name) == getattr(QUEUE, name), name
    assert (await store.run(lambda tx: tx.put_queue(QUEUE))).revision == 2
    await store.run(lambda tx: tx.put_queue(Queue("day")))
    assert [queue.name for queue in await store.read.queues()] == ["day", "night"]
    assert await store.run(lambda tx: tx.delete_queue("day"))
    assert not await store.run(lambda tx: tx.delete_queue("day"))
    assert await store.read.queue("day") is None


async def test_a_changed_queue_wakes_who_waits_for_it(store, hand):
    await hand.take("night")
    waiting = asyncio.ensure_future(store.ready(("night",), 600.0))
    await asyncio.sleep(0)
    await store.run(lambda tx: tx.put_queue(QUEUE))
    await asyncio.wait_for(waiting, 60)


async def test_a_record_is_read_as_it_was_put(store):
    def put(body, by, attributes=None):
        return store.run(lambda tx: tx.put_record("sample", "acme", "hook", "id\0", body, attributes=attributes, by=by))

    first = await put('{"z":  1e3}', "ann", {"colour": "red"})
    assert first == await store.read.record("sample", "acme", "hook", "id\0")
    assert first == await store.run(lambda tx: tx.record("sample", "acme", "hook", "id\0"))
    assert (first.body, first.attributes, first.created_by, first.revision) == (
        '{"z":  1e3}',
        {"colour": "red"},
        "ann",
        1,
    )
    second = await put("[]", "bob")
    assert (second.body, second.attributes, second.created_by, second.revision) == ("[]", {}, "ann", 2)
    assert await store.run(lambda tx: tx.delete_record("sample", "acme", "hook", "id\0"))
    assert not await store.run(lambda tx: tx.delete_record("sample", "acme", "hook", "id\0"))


async def test_definitions_of_several_tenants_are_filtered(store):
    for tenant in ("acme", "other", "third"):
        await store.run(lambda tx: tx.put_definition(NewDefinition("sample", tenant, "ann", "print", kind="sheet")))
    some = Comparison("tenant", Op.GE, "other")
    query = DefinitionQuery("sample", None, "sheet", {}, where=some, order=(Order("created_at"),))
    assert [each.tenant for each in await store.read.definitions_of(query)] == ["other", "third"]
    assert await store.read.count_definitions(dataclasses.replace(query, where=None)) == 3


async def test_records_are_listed_by_kind(store):
    for kind, id_ in (("hook", "b"), ("hook", "a"), ("other", "c"), ("hook", "d")):
        await store.run(lambda tx: tx.put_record("sample", "acme", kind, id_, "{}"))
    page = await store.read.records("sample", "acme", "hook", after=None, limit=2)
    assert [record.id for record in page] == ["a", "b"]
    rest = await store.read.records("sample", "acme", "hook", after="b", limit=2)
    assert [record.id for record in rest] == ["d"]
    assert await store.read.records("sample", "other", "hook", after=None, limit=2) == []


async def test_records_of_several_tenants_are_listed_by_age(store):
    for tenant, id_ in (("acme", "b"), ("other", "b"), ("third", "a"), ("acme", "c")):
        await store.run(lambda tx: tx.put_record("sample", tenant, "hook", id_, "{}"))
    await store.run(lambda tx: tx.put_record("sample", "acme", "else", "d", "{}"))

    async def listed(tenant, where=None, limit=10):
        found = await store.read.records_of(RecordQuery("sample", tenant, "hook", where, limit))
        return [(record.tenant, record.id) for record in found]

    everything = [("acme", "b"), ("other", "b"), ("third", "a"), ("acme", "c")]
    assert await listed(None) == everything
    assert await listed(None, limit=2) == everything[:2]
    assert await listed("acme") == [("acme", "b"), ("acme", "c")]
    assert await listed(None, Not(Comparison("tenant", Op.IN, ("acme", "third")))) == [("other", "b")]
    assert await listed(None, Comparison("id", Op.EQ, "b")) == everything[:2]
    refused = await refusal(listed(None, Comparison("kind", Op.EQ, "hook")))
    assert refused.reason is Reason.INVALID_FILTER


async def test_bodies_of_many_records_are_read_at_once(store):
    ids = [f"id {number}\0" for number in range(1200)]

    def put(tx):
        for id_ in ids[::2]:
            tx.put_record("jobs", "acme", "kind", id_, f'"{id_[:-1]}"')
        tx.put_record("jobs", "acme", "other", ids[1], "1")

    await store.run(put)
    found = await store.read.record_bodies("jobs", "acme", "kind", ids)
    assert found == {id_: f'"{id_[:-1]}"' for id_ in ids[::2]}
