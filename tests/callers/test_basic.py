"""Names and passwords with every request: looked at slowly once, remembered for a while, and never in clear."""

import asyncio
import base64

import argon2
import pytest

from jobyard_server.callers import basic
from jobyard_server.callers.basic import MOST, SECONDS, BasicVerifier
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.passwords import FAILURES, Passwords, User
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused

ANN = Principal("ann", "north")
BOB = Principal("bob", "south")
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
USERS = {"ann": User(ANN, CHEAP.hash("a:colon and grüße")), "bob": User(BOB, CHEAP.hash(""))}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Counted(Passwords):
    looked = 0

    async def check(self, name, password):
        self.looked += 1
        return await super().check(name, password)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def passwords(clock):
    return Counted(USERS, clock)


@pytest.fixture
def verifier(passwords, clock):
    return BasicVerifier(passwords, clock)


def shown(text):
    return Credential(Kind.BASIC, base64.b64encode(text.encode()).decode())


async def test_a_pair_that_is_right_is_looked_at_once_in_a_while(verifier, passwords, clock):
    pair = shown("ann:a:colon and grüße")
    assert [await verifier.verify(pair) for _ in range(5)] == [ANN] * 5
    assert passwords.looked == 1
    clock.now += SECONDS
    assert await verifier.verify(pair) == ANN
    assert passwords.looked == 2
    assert await verifier.verify(shown("bob:")) == BOB


async def test_requests_that_come_together_are_looked_at_together(verifier, passwords):
    pair = shown("ann:a:colon and grüße")
    assert await asyncio.gather(*(verifier.verify(pair) for _ in range(100))) == [ANN] * 100
    assert passwords.looked == 1
    assert not verifier._checking


async def test_a_client_that_goes_away_takes_no_other_one_along(verifier, passwords):
    pair = shown("ann:a:colon and grüße")
    first, second = (asyncio.create_task(verifier.verify(pair)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ANN
    assert passwords.looked == 1


async def test_a_wrong_one_is_refused_every_time_and_then_has_to_wait(verifier):
    right, wrong = shown("ann:a:colon and grüße"), shown("ann:wrong")
    assert await verifier.verify(right) == ANN
    ends = []
    for _ in range(FAILURES + 1):
        with pytest.raises(Refused) as caught:
            await verifier.verify(wrong)
        ends.append(caught.value.refusal.reason)
    assert ends == [Reason.CREDENTIALS_INVALID] * FAILURES + [Reason.TOO_MANY_REQUESTS]
    assert await verifier.verify(right) == ANN, "who is known is not kept out by others who guess"


@pytest.mark.parametrize("value", ["", "%%%", "YW5u", base64.b64encode(b"\xff:\xff").decode(), "OnBhc3N3b3Jk"])
async def test_what_is_no_pair_is_nobody(verifier, passwords, value):
    assert await verifier.verify(Credential(Kind.BASIC, value)) is None
    assert passwords.looked == 0


async def test_other_credentials_are_not_looked_at(verifier):
    assert await verifier.verify(Credential(Kind.TOKEN, shown("bob:").value)) is None


async def test_no_more_is_remembered_than_said_and_nothing_in_clear(verifier, monkeypatch):
    assert MOST >= 100
    monkeypatch.setattr(basic, "MOST", 1)
    await verifier.verify(shown("ann:a:colon and grüße"))
    await verifier.verify(shown("bob:"))
    assert [principal for principal, _ in verifier._right.values()] == [BOB]
    assert "colon" not in repr(vars(verifier))
