"""Deliveries in few words, for the tests of the store and the engine."""

from dataclasses import replace

from jobyard_server.domain.delivery import Answer, DeliveryState, NewDelivery, Ordering, Problem, Verdict
from jobyard_server.usecases.ports import ClaimDeliveries, DeliveryResult

OWED = NewDelivery("jobs", "acme", "call", "http://peer.test/a")
LATEST = Ordering.LATEST
SERVED = Answer(204)
BROKE = Answer(problem=Problem.BROKEN, message="broke")


def owed(**changes):
    """A delivery as an API owes it."""
    return replace(OWED, **changes)


async def owe(store, *deliveries):
    """Owe them in one transaction."""
    return await store.run(lambda tx: [tx.deliver(delivery) for delivery in deliveries])


async def claim(store, limit=100, in_flight=8, seconds=15.0):
    """What is due, claimed."""
    return list(await store.claim_deliveries(ClaimDeliveries(limit, in_flight, seconds)))


async def settle(store, delivery, verdict=Verdict.DONE, answer=None, **changes):
    """Write down how an attempt went."""
    answer = answer or (SERVED if verdict is Verdict.DONE else BROKE)
    return await store.settle_delivery(DeliveryResult(delivery.number, delivery.attempts, verdict, answer, **changes))


async def states(store):
    """The state of every delivery, in the order they were owed."""
    found = await store.read.deliveries(tenant=None, oldest_first=True, limit=1000)
    return [delivery.state for delivery in found]


async def open_circuit(store, address="http://peer.test/a"):
    """Have a destination fail until it is left alone."""
    made = await owe(store, *(owed(address=address, kind="probe") for _ in range(5)))
    numbers = {one.number for one in made}
    for delivery in await claim(store):
        assert delivery.number in numbers
        await settle(store, delivery, Verdict.RETRY, may_retry=False, keep_dead=False)


WAITING, READY, SENDING = DeliveryState.WAITING, DeliveryState.READY, DeliveryState.SENDING
DELIVERED, DEAD = DeliveryState.DELIVERED, DeliveryState.DEAD
