"""Whatever happens to deliveries, a lane is sent in order, one at a time, and nothing is lost."""

import asyncio
import random
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobyard_server.domain.delivery import Ordering, Verdict
from jobyard_server.store.store import Store
from support.delivering import DEAD, LATEST, claim, owe, owed, settle
from support.storing import FakeClock

DESTINATIONS = ("http://one.test/", "http://two.test/")
KINDS = ("start", "stop")

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("owe"),
            st.sampled_from(("a", "b", "")),
            st.sampled_from(DESTINATIONS),
            st.sampled_from(KINDS),
            st.sampled_from((LATEST, Ordering.ORDERED)),
        ),
        st.tuples(st.just("claim"), st.integers(1, 4)),
        st.tuples(st.just("settle"), st.sampled_from(list(Verdict)), st.integers(0, 5)),
        st.tuples(st.just("crash")),
        st.tuples(st.just("redrive"), st.integers(0, 5)),
        st.tuples(st.just("withdraw"), st.sampled_from(("a", "b"))),
    ),
    min_size=5,
    max_size=60,
)


class Model:
    """What each lane owes, in order; what is being sent; and all that was ever settled."""

    def __init__(self, store, clock):
        self.store, self.clock = store, clock
        self.lanes = defaultdict(list)
        self.sending = {}
        self.dead = {}

    def lane(self, one):
        return (one.lane, one.destination) if one.lane else one.uid

    async def owe(self, lane, address, kind, ordering):
        (made,) = await owe(self.store, owed(lane=lane, address=address, kind=kind, ordering=ordering))
        line = self.lanes[self.lane(made)]
        if ordering is LATEST and lane:
            line[:] = [one for one in line if one.kind != kind or one.uid in self.sending]
        line.append(made)

    async def claim(self, limit):
        self.clock.pass_by(60)
        await self.store.hold_deliveries([one.number for one in self.sending.values()], 15)
        for one in await claim(self.store, limit=limit):
            line = self.lanes[self.lane(one)]
            assert line[0].uid == one.uid, "it was not its turn"
            assert one.uid not in self.sending, "sent twice at once"
            self.sending[one.uid] = one

    async def settle(self, verdict, place):
        if not self.sending:
            return
        one = list(self.sending.values())[place % len(self.sending)]
        after = await settle(self.store, one, verdict, retry_after=1.0)
        assert after is not None
        del self.sending[one.uid]
        if verdict is not Verdict.RETRY:
            self.lanes[self.lane(one)].pop(0)
        if after.state is DEAD:
            self.dead[one.uid] = one

    async def crash(self):
        self.clock.pass_by(16)
        assert await self.store.release_deliveries() == len(self.sending)
        self.sending.clear()

    async def redrive(self, place):
        if self.dead:
            uid = list(self.dead)[place % len(self.dead)]
            one = self.dead.pop(uid)
            again = await self.store.run(lambda tx: tx.redrive(uid, None))
            line = self.lanes[self.lane(one)]
            # It goes before what it was owed before, but never before what is on its way or may be.
            busy = 1 if line else 0
            line.append(again)
            line[busy:] = sorted(line[busy:], key=lambda each: each.number)

    async def withdraw(self, lane):
        await self.store.run(lambda tx: tx.withdraw("jobs", "acme", lane))
        for key, line in self.lanes.items():
            if key[0] == lane and not isinstance(key, str):
                line[:] = [one for one in line if one.uid in self.sending]

    async def finish(self):
        """In the end everything that is owed is sent."""
        for _ in range(300):
            if not any(self.lanes.values()):
                break
            await self.claim(4)
            await self.settle(Verdict.DONE, 0)
        assert not any(self.lanes.values())
        self.clock.pass_by(60)
        assert await claim(self.store) == []


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=steps)
def test_lanes_keep_their_order_whatever_happens(tmp_path, request, database_kind, plan):
    async def run():
        clock = FakeClock()
        name = f"order-{random.getrandbits(64):x}.db"
        url = (
            f"sqlite:///{tmp_path}/{name}"
            if database_kind == "sqlite"
            else request.getfixturevalue("cluster").new_database()
        )
        async with Store(url, clock=clock) as store:
            model = Model(store, clock)
            for verb, *arguments in plan:
                await getattr(model, verb)(*arguments)
            await model.finish()

    asyncio.run(run())
