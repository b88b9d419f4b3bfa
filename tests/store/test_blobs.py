"""Bytes too large for a row: kept, replaced, counted and removed."""

import pytest

from jobyard_server.store.blobs import PIECE
from support.storing import new_job


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_bytes_are_read_as_they_were_put(store, size):
    data = bytes(range(251)) * (size // 251 + 1)
    await store.run(lambda tx: tx.put_blob("sample/a", data[:size]))
    assert await store.read.blob("sample/a") == data[:size]


async def test_what_is_put_again_is_replaced(store):
    await store.run(lambda tx: tx.put_blob("sample/a", b"x" * (2 * PIECE)))
    await store.run(lambda tx: tx.put_blob("sample/a", b"new"))
    assert await store.read.blob("sample/a") == b"new"
    assert await store.run(lambda tx: tx.blob_bytes("sample/")) == 3


async def test_only_names_that_begin_so_are_counted(store):
    for name in ("sample/a/1", "sample/a/2", "sample/b/1", "sample/a"):
        await store.run(lambda tx: tx.put_blob(name, b"four"))
    assert await store.run(lambda tx: tx.blob_bytes("sample/a/")) == 8
    assert await store.run(lambda tx: tx.blob_bytes("other/")) == 0


async def test_what_was_removed_is_gone(store):
    await store.run(lambda tx: tx.put_blob("sample/a", b"x"))
    assert await store.run(lambda tx: tx.delete_blob("sample/a"))
    assert not await store.run(lambda tx: tx.delete_blob("sample/a"))
    assert await store.read.blob("sample/a") is None


async def test_bytes_of_a_transaction_that_failed_are_not_there(store):
    def fail(tx):
        tx.put_blob("sample/a", b"x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.run(fail)
    assert await store.read.blob("sample/a") is None


async def test_bytes_of_a_job_go_with_it(store):
    job = (await store.submit(new_job())).job
    await store.run(lambda tx: tx.put_blob("sample/a", b"x", job=job.number))
    await store.run(lambda tx: tx.put_blob("sample/b", b"x"))
    await store.run(lambda tx: tx.delete_job(job, by="ann"))
    assert await store.read.blob("sample/a") is None
    assert await store.read.blob("sample/b") == b"x"


async def test_bytes_that_come_in_pieces_count_once_they_are_whole(store):
    job = (await store.submit(new_job())).job
    for pieces in (["lost"], ["a", "b"]):
        await store.run(lambda tx, pieces=pieces: tx.append_blob("up/1", 0, [piece.encode() for piece in pieces]))
    await store.run(lambda tx: tx.append_blob("up/1", 2, [b"c"]))
    assert await store.read.blob("up/1") is None
    assert await store.read.blob_size("up/1") is None
    assert await store.run(lambda tx: tx.finish_blob("up/1", 3, "digest", job=job.number))
    assert not await store.run(lambda tx: tx.finish_blob("up/1", 3, "digest"))
    assert await store.read.blob("up/1") == b"abc"
    assert await store.read.blob_size("up/1") == 3
    assert [await store.read.blob_piece("up/1", number) for number in range(4)] == [b"a", b"b", b"c", None]
    await store.run(lambda tx: tx.delete_job(tx.job(job.number, api=None, tenant=None), by="ann"))
    assert await store.read.blob_piece("up/1", 0) is None


async def test_what_never_came_whole_is_forgotten(store):
    await store.run(lambda tx: tx.append_blob("up/1", 0, [b"a"]))
    await store.run(lambda tx: tx.put_blob("whole", b"b"))
    assert await store.forget_uploads(3600) == 0
    assert await store.forget_uploads(0) == 1
    assert await store.forget_uploads(0) == 0
    assert await store.read.blob_piece("up/1", 0) is None
    assert await store.read.blob("whole") == b"b"
