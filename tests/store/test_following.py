"""What an API does when a job of its ends happens in the same transaction, whoever ended it."""

from jobyard_server.domain.delivery import NewDelivery
from jobyard_server.domain.job import Outcome, TimeLimits
from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.domain.state import State
from jobyard_server.store.store import Store
from support.storing import FakeClock, Hand, new_job, pieces, refusal


def owing(told):
    """A store whose sample API owes a delivery for each end, and refuses those of jobs called `no`."""

    def ended(tx, job):
        if job.display_name == "no":
            raise refuse(Reason.STATE_CONFLICT, "not like this")
        told.append((job.number, job.state, [piece.result for piece in tx.subjobs(job.number)]))
        tx.deliver(NewDelivery("sample", job.tenant, "end", "http://peer.test", job=job.number))

    return {"sample": ended}


async def test_a_worker_ends_it(url):
    told = []
    async with Store(url, ended=owing(told)) as store:
        hand = Hand(store)
        submitted = await store.submit(new_job(api="sample", subjobs=pieces(2)))
        await store.submit(new_job(api="jobs"))
        first, second, other = await hand.take(limit=3)
        await hand.end(first.token, result="1")
        await hand.end(other.token)
        assert not told
        for _ in range(2):
            await hand.end(second.token, Outcome.FAILED, result="2")
        number = submitted.job.number
        assert told == [(number, State.PARTIALLY_FAILED, ["1", "2"])], "once, and with what its pieces came to"
        owed = await store.read.deliveries(tenant="acme")
        assert [(one.api, one.job) for one in owed] == [("sample", number)]


async def test_what_follows_may_keep_it_from_ending(url):
    told = []
    async with Store(url, ended=owing(told)) as store:
        hand = Hand(store)
        await store.submit(new_job(api="sample", display_name="no"))
        await store.submit(new_job(api="sample"))
        first, second = await hand.take(limit=2)
        assert (await refusal(hand.end(first.token))).reason is Reason.STATE_CONFLICT
        await hand.end(second.token)
        assert len(told) == 1
        assert (await store.read.job(1, api=None, tenant=None)).state is State.RUNNING


async def test_time_ends_it(url):
    told, clock = [], FakeClock()
    async with Store(url, ended=owing(told), clock=clock) as store:
        hand = Hand(store, seconds=1.0)
        await store.submit(new_job(api="sample", limits=TimeLimits(total=60.0)))
        await hand.take()
        clock.pass_by(600)
        for _ in range(3):
            await store.expire_leases()
            await store.end_overdue(0.0)
        assert [state for _, state, _ in told] == [State.FAILED]
