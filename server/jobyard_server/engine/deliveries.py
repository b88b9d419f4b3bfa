"""Sends what is owed to somebody outside: claims it, has its API make up the call, and writes down how it went.

No transaction is open while a peer is called. A crash between a call and its mark sends it again under the same
``uid``, once the claim has run out.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from jobyard_server.domain.delivery import (
    CLAIM_SECONDS,
    IN_FLIGHT,
    Answer,
    Delivery,
    DeliveryPolicy,
    DeliveryState,
    Problem,
    Verdict,
)
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.usecases.credentials import open_credential, open_secret
from jobyard_server.usecases.ports import ClaimDeliveries, DeliveryKind, DeliveryResult, nothing_follows

if TYPE_CHECKING:
    from jobyard_server.domain.delivery import PeerCall
    from jobyard_server.usecases.ports import Reader, Store

MICROS: Final = 1_000_000
LONGEST_STEP: Final = 1.0
"""Seconds after which a step ends that found nothing to send, so that the supervisor sees it alive."""
MARK_AGAIN: Final = 0.5
"""Seconds until a result is written down again that the store could not take."""

_ENDED: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.DEAD})

_log = structlog.get_logger("jobyard.deliveries")

Kinds = Mapping[tuple[str, str], DeliveryKind]
"""By API and word."""


class Peers(Protocol):
    """Calls peers."""

    async def call(self, call: PeerCall, uid: str, seconds: float) -> Answer:
        """Make a call, and say what came back; it takes no longer than ``seconds`` and never fails."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is sent at once, and how long a claim holds."""

    in_flight: int = IN_FLIGHT
    """To one destination."""
    total: int = 512
    claim_seconds: float = CLAIM_SECONDS
    period: float = LONGEST_STEP
    """Seconds after which somebody looks although nobody told of anything."""


class Context:
    """What an API may use to make up a call."""

    def __init__(self, store: Store, print_json: Callable[[object, str], bytes]) -> None:
        self._store = store
        self._print = print_json

    @property
    def read(self) -> Reader:
        """Reads what is committed now."""
        return self._store.read

    def json(self, message: object, face: str) -> bytes:
        """A proto message as JSON, in the spelling of a face."""
        return self._print(message, face)

    def reveal(self, sealed: str) -> str:
        """What was sealed to be kept, in clear."""
        return open_secret(self._store.signer, sealed)

    def credential(self, delivery: Delivery) -> str:
        """The credential that was forwarded with it."""
        return open_credential(self._store.signer, delivery.credential, time.time_ns() // 1000)


class Sender:
    """Sends the deliveries of one process."""

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        peers: Peers,
        context: Context,
        bounds: Bounds | None = None,
        told: Callable[[Delivery, Answer, float], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._peers = peers
        self._context = context
        self._bounds = bounds or Bounds()
        self._told = told
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._waiters: dict[int, set[asyncio.Future[Delivery]]] = {}
        self._free = asyncio.Event()
        self._held_at = monotonic()
        self._stopped = False

    @property
    def sending(self) -> int:
        """How many deliveries are being sent."""
        return len(self._tasks)

    async def step(self) -> int:
        """Wait until something is due and begin to send it; how many."""
        await self._hold()
        room = self._bounds.total - len(self._tasks)
        if room <= 0:
            self._free.clear()
            await _within(self._free.wait(), LONGEST_STEP)
            return 0
        command = ClaimDeliveries(room, self._bounds.in_flight, self._bounds.claim_seconds)
        claimed = await self._store.claim_deliveries(command)
        for delivery in claimed:
            self._begin(delivery)
        if not claimed:
            due = await self._store.next_delivery()
            wait = min(self._bounds.period, LONGEST_STEP)
            await self._store.owed(wait if due is None else min(wait, max(due, 0.005)))
        return len(claimed)

    async def finish(self, deliveries: Sequence[Delivery], seconds: float) -> Sequence[Delivery]:
        """Wait until deliveries have ended, at most ``seconds``; what they are then, in the same order."""
        loop = asyncio.get_running_loop()
        known = {delivery.number: delivery for delivery in deliveries}
        futures: dict[int, asyncio.Future[Delivery]] = {}
        for delivery in deliveries:
            if self._worth_waiting(delivery, seconds):
                future = futures[delivery.number] = loop.create_future()
                self._waiters.setdefault(delivery.number, set()).add(future)
        for delivery in deliveries:
            if delivery.state is DeliveryState.SENDING and delivery.number not in self._tasks:
                self._begin(delivery)
        try:
            await self._catch_up(deliveries, futures)
            if futures:
                await asyncio.wait(futures.values(), timeout=seconds)
        finally:
            for number, future in futures.items():
                self._forget_waiter(number, future)
        ended = {number: future.result() for number, future in futures.items() if future.done()}
        return [ended.get(delivery.number, known[delivery.number]) for delivery in deliveries]

    async def _catch_up(self, deliveries: Sequence[Delivery], futures: dict[int, asyncio.Future[Delivery]]) -> None:
        """Those that left in the background between their commit and now may have ended already."""
        for delivery in deliveries:
            future = futures.get(delivery.number)
            if future is None or delivery.state is DeliveryState.SENDING:
                continue
            found = await self._store.read.delivery(delivery.uid)
            # One that is gone was replaced by a newer one.
            if (found is None or found.state in _ENDED) and not future.done():
                future.set_result(found or delivery)

    async def stop(self, seconds: float) -> None:
        """Let nothing new begin and what is being sent end; what does not is sent again when its claim runs out."""
        self._stopped = True
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _worth_waiting(self, delivery: Delivery, seconds: float) -> bool:
        """Whether it may have ended in time."""
        if delivery.state in _ENDED:
            return False
        return delivery.next_at <= delivery.updated_at + seconds * MICROS

    def _forget_waiter(self, number: int, future: asyncio.Future[Delivery]) -> None:
        waiters = self._waiters.get(number, set())
        waiters.discard(future)
        if not waiters:
            self._waiters.pop(number, None)

    async def _hold(self) -> None:
        """Prolong the claims of what is being sent."""
        if self._tasks and monotonic() - self._held_at >= self._bounds.claim_seconds / 3:
            self._held_at = monotonic()
            await self._store.hold_deliveries(list(self._tasks), self._bounds.claim_seconds)

    def _begin(self, delivery: Delivery) -> None:
        if self._stopped:
            return
        task = asyncio.create_task(self._send(delivery), name=f"delivery-{delivery.number}")
        self._tasks[delivery.number] = task
        task.add_done_callback(lambda _: self._ended(delivery.number))

    def _ended(self, number: int) -> None:
        self._tasks.pop(number, None)
        self._free.set()

    async def _send(self, delivery: Delivery) -> None:
        """One attempt."""
        kind = self._kinds.get((delivery.api, delivery.kind), _UNKNOWN)
        policy = kind.policies.get(delivery.policy) or kind.policies.get("") or DeliveryPolicy()
        began = monotonic()
        answer, verdict = await self._attempt(delivery, kind, policy)
        self._told(delivery, answer, monotonic() - began)
        wait = policy.wait(delivery.attempts, random.random())  # noqa: S311 - jitter
        result = DeliveryResult(
            number=delivery.number,
            attempt=delivery.attempts,
            verdict=verdict,
            answer=answer,
            may_retry=policy.allows(delivery.attempts),
            retry_after=max(wait, _asked_to_wait(answer, policy.max_wait)),
            settled=kind.settled,
            keep_dead=kind.keep_dead,
        )
        after = await self._settle(delivery, result)
        if verdict is not Verdict.DONE:
            _log.info(
                "delivery failed",
                delivery=delivery.uid,
                api=delivery.api,
                kind=delivery.kind,
                destination=delivery.destination,
                attempt=delivery.attempts,
                problem=answer.message,
                dead=verdict is Verdict.GIVE_UP or not result.may_retry,
            )
        if after is not None and after.state in _ENDED:
            for future in self._waiters.pop(delivery.number, ()):
                if not future.done():
                    future.set_result(after)

    async def _attempt(self, delivery: Delivery, kind: DeliveryKind, policy: DeliveryPolicy) -> tuple[Answer, Verdict]:
        if policy.max_age and delivery.updated_at > delivery.first_at + policy.max_age * MICROS:
            return Answer(problem=Problem.EXPIRED, message="it was not made in time"), Verdict.GIVE_UP
        try:
            call = await kind.render(delivery, self._context)
            if call is None:
                return Answer(problem=Problem.UNRENDERED, message="nothing was to be told any more"), Verdict.DONE
            answer = await self._peers.call(call, delivery.uid, policy.timeout)
            return answer, kind.judge(answer)
        except Refused as refused:
            return Answer(problem=Problem.UNRENDERED, message=refused.refusal.message), Verdict.GIVE_UP
        except Exception as problem:  # noqa: BLE001 - whatever it was, the delivery has to go on
            _log.exception("delivery not made up", delivery=delivery.uid, api=delivery.api, kind=delivery.kind)
            message = f"the call could not be made up: {type(problem).__name__}"
            return Answer(problem=Problem.UNRENDERED, message=message), Verdict.RETRY

    async def _settle(self, delivery: Delivery, result: DeliveryResult) -> Delivery | None:
        """Write a result down. A store that cannot take it is asked again for as long as the claim may be held."""
        while True:
            try:
                return await self._store.settle_delivery(result)
            except Exception as problem:
                if _passes(problem):
                    await asyncio.sleep(MARK_AGAIN)
                    continue
                if result.settled is nothing_follows:
                    raise
                _log.exception("end of delivery failed", delivery=delivery.uid, api=delivery.api, kind=delivery.kind)
                result = _without_end(result, problem)


async def _nothing(_delivery: Delivery, _context: object) -> PeerCall | None:
    raise LookupError("no API of this server makes up such deliveries")


_UNKNOWN: Final = DeliveryKind(render=_nothing)
"""What an API owed that this server does not speak any more: kept, tried seldom, and dead in the end."""


def _passes(problem: Exception) -> bool:
    """Whether it is the store that is in trouble, and not what it was told to do."""
    return isinstance(problem, Refused) and problem.refusal.reason in {Reason.OVERLOADED, Reason.STORE_UNAVAILABLE}


def _without_end(result: DeliveryResult, problem: Exception) -> DeliveryResult:
    """What is written down of a delivery whose end its API could not take: it is dead, for an operator to see."""
    message = f"its end could not be written down: {type(problem).__name__}"
    answer = replace(result.answer, message=message)
    return replace(result, verdict=Verdict.GIVE_UP, answer=answer, settled=nothing_follows, keep_dead=True)


def _asked_to_wait(answer: Answer, most: float) -> float:
    """Seconds for which the peer asked to be left alone, as far as they are given as a number."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), most) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


async def _within(awaitable: Awaitable[object], seconds: float) -> None:
    """Wait for something, but not for long."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError:
        return
