"""Users with passwords: who is let in, what is kept of it, and how guessing is made slow."""

import asyncio

import argon2
import pytest

from jobyard_server.callers import passwords
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.passwords import FAILURES, PERIOD, Passwords, User, check_hash, hash_password
from jobyard_server.callers.sessions import PasswordLogin, Sessions
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.domain.signing import KEY_BYTES, Signer
from jobyard_server.main import build
from jobyard_server.settings import SettingsError, load

ANN = Principal("ann", "north", frozenset({"Users"}))
BOB = Principal("bob", "south")
# Cheap ones: what a hash costs is said in it.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SIGNER = Signer(bytes(KEY_BYTES), "e")
USERS = {"ann": User(ANN, CHEAP.hash("correct horse")), "bob": User(BOB, CHEAP.hash("battery"))}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(clock):
    return Sessions(USERS, 60.0, lambda: SIGNER, clock)


@pytest.fixture
def known(clock):
    return Passwords(USERS, clock)


@pytest.fixture
def log_in(known, opened):
    return PasswordLogin(known, opened)


async def reason(coming):
    with pytest.raises(Refused) as caught:
        await coming
    return caught.value.refusal.reason


def shown(token):
    return Credential(Kind.TOKEN, token)


async def test_who_knows_the_password_gets_a_token_for_a_while(log_in, opened, clock):
    token, seconds = await log_in("ann", "correct horse")
    other, _ = await log_in("ann", "correct horse")
    assert seconds == 60.0
    assert token != other
    assert await opened.verify(shown(token)) == ANN
    assert await opened.verify(Credential(Kind.BASIC, token)) is None
    assert await opened.verify(shown(token[:-1])) is None
    clock.now += 60
    assert await opened.verify(shown(token)) is None
    third, _ = await log_in("bob", "battery")
    assert await opened.verify(shown(third)) == BOB


async def test_a_session_is_good_for_every_process_on_the_database_and_nowhere_else(log_in, clock):
    token, _ = await log_in("ann", "correct horse")
    assert await Sessions(USERS, 60.0, lambda: Signer(bytes(KEY_BYTES), "e"), clock).verify(shown(token)) == ANN
    assert await Sessions(USERS, 60.0, lambda: Signer(b"x" * KEY_BYTES, "e"), clock).verify(shown(token)) is None
    others = SIGNER.seal("page", ["ann", clock.now + 60, "", ""])
    assert await Sessions(USERS, 60.0, lambda: SIGNER, clock).verify(shown(f"jyd_{others}")) is None


@pytest.mark.parametrize("users", [{"bob": USERS["bob"]}, {"ann": User(ANN, CHEAP.hash("another"))}])
async def test_a_session_ends_with_its_user_and_its_password(log_in, clock, users):
    token, _ = await log_in("ann", "correct horse")
    assert await Sessions(users, 60.0, lambda: SIGNER, clock).verify(shown(token)) is None


async def test_passwords_are_not_kept(log_in, known):
    token, _ = await log_in("ann", "correct horse")
    assert "correct horse" not in repr(vars(known))
    assert "ann" not in token


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "battery"), ("ANN", "correct horse"), ("eve", "x"), ("ann", "")]
)
async def test_everybody_else_hears_the_same(log_in, name, password):
    assert await reason(log_in(name, password)) is Reason.CREDENTIALS_INVALID


async def test_a_user_that_does_not_exist_takes_as_long(log_in, known, monkeypatch):
    checked = []
    monkeypatch.setattr(known, "_matches", lambda hash_, password: checked.append(hash_))
    await reason(log_in("eve", "x"))
    assert checked == [known._nobody]


async def test_guessing_has_to_wait_and_others_have_not(log_in, clock):
    for _ in range(FAILURES):
        assert await reason(log_in("ann", "guess")) is Reason.CREDENTIALS_INVALID
    with pytest.raises(Refused) as caught:
        await log_in("ann", "correct horse")
    assert (caught.value.refusal.reason, caught.value.refusal.retry_after) == (Reason.TOO_MANY_REQUESTS, PERIOD)
    assert await log_in("bob", "battery")
    clock.now += PERIOD
    assert await log_in("ann", "correct horse")


async def test_names_that_are_invented_take_no_memory(log_in, known):
    for number in range(3 * FAILURES):
        await reason(log_in(f"invented{number}", "x"))
    assert set(known._failures) == {""}


async def test_too_many_at_once_are_sent_away(log_in, monkeypatch):
    monkeypatch.setattr(passwords, "WAITING", 4)
    ends = await asyncio.gather(*(log_in("ann", "correct horse") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(end, Refused) for end in ends) == 2
    assert await log_in("ann", "correct horse"), "and afterwards all is as before"


def test_what_the_settings_keep_is_a_slow_hash():
    made = hash_password("correct horse")
    assert made.startswith("$argon2id$")
    assert made != hash_password("correct horse")
    check_hash(made)


async def test_a_password_in_the_place_of_its_hash_is_refused_and_not_told(tmp_path):
    given = {"database": f"sqlite:///{tmp_path / 'jobyard.db'}"}
    for users in ({"ann": {"password": "hunter2"}}, {"ann": {"password": "hunter2", "role": []}}):
        with pytest.raises(SettingsError, match="auth_users") as caught:
            build(load(**given, auth_users=users))
        assert "hunter2" not in str(caught.value)
    hashed = hash_password("hunter2")
    with pytest.raises(SettingsError, match="auth_users: ann: there is no role 'boss'"):
        build(load(**given, auth_users={"ann": {"password": hashed, "roles": ["boss"]}}))
    assert hashed not in repr(load(auth_users={"ann": {"password": hashed}}))
