"""Tokens of Keystone: whose they are, how often it is asked, and what happens while it is away."""

import asyncio
from datetime import UTC, datetime

import pytest

from jobyard_server.caller_settings import KeystoneSettings
from jobyard_server.callers import keystone
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.keystone import REFUSED_SECONDS, KeystoneAwayError, KeystoneVerifier, asking
from jobyard_server.callers.roles import RoleError, Roles
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.main import build
from jobyard_server.settings import SettingsError, load
from support.simulated_keystone import simulation

ROLES = Roles({"member": frozenset({"use"}), "qinling-admin": frozenset({"use", "see"})}, frozenset({"use", "see"}))
NOW = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
GOOD = {
    "user": {"id": "u-1", "name": "ann"},
    "project": {"id": "p-1", "name": "north"},
    "roles": [{"id": "r", "name": "member"}, {"id": "s", "name": "of another service"}],
    "expires_at": "2026-05-01T01:00:00.000000Z",
}
ANN = Principal("u-1", "p-1", frozenset({"member"}), frozenset({"use"}))
PASSWORD = "the service's own password"


def settings(url="http://localhost:1/v3", **more):
    return KeystoneSettings(auth_url=url, username="jobyard", password=PASSWORD, **more)


class World:
    """A clock, and a Keystone that knows some tokens and counts the questions."""

    def __init__(self):
        self.now = NOW
        self.asked = []
        self.tokens = {"good": GOOD, "admin": GOOD | {"roles": [{"name": "admin"}]}}
        self.away = False

    def __call__(self, token):
        self.asked.append(token)
        if self.away:
            raise KeystoneAwayError("away")
        return self.tokens.get(token)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def verifier(world):
    return KeystoneVerifier(settings(), ROLES, world, lambda: world.now)


def shown(token, kind=Kind.TOKEN):
    return Credential(kind, token)


async def test_a_token_is_asked_about_once_in_a_while(world, verifier):
    assert [await verifier.verify(shown("good")) for _ in range(3)] == [ANN] * 3
    assert world.asked == ["good"]
    world.now += 300
    assert await verifier.verify(shown("good")) == ANN
    assert world.asked == ["good"] * 2
    admin = await verifier.verify(shown("admin"))
    assert (admin.roles, admin.permissions) == ({"qinling-admin"}, {"use", "see"})


async def test_an_answer_is_good_until_the_token_ends(world):
    long = KeystoneVerifier(settings(cache_seconds=86400), ROLES, world, lambda: world.now)
    assert await long.verify(shown("good")) == ANN
    world.now += 3599
    assert await long.verify(shown("good")) == ANN
    world.now += 1
    assert await long.verify(shown("good")) is None


async def test_one_that_is_not_known_is_asked_about_again_soon(world, verifier):
    assert [await verifier.verify(shown("new")) for _ in range(3)] == [None] * 3
    assert world.asked == ["new"]
    world.tokens["new"] = GOOD
    world.now += REFUSED_SECONDS
    assert await verifier.verify(shown("new")) == ANN


async def test_requests_that_come_together_are_one_question(world, verifier):
    assert await asyncio.gather(*(verifier.verify(shown("good")) for _ in range(50))) == [ANN] * 50
    assert world.asked == ["good"]


@pytest.mark.parametrize("kind", [Kind.BASIC, Kind.CERTIFICATE])
async def test_other_credentials_are_not_sent_to_it(world, verifier, kind):
    assert await verifier.verify(shown("good", kind)) is None
    for token in ("", "jyd_one-of-ours", "x" * 9000, "with space", "line\nbreak", "grüße"):
        assert await verifier.verify(shown(token)) is None
    assert world.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"project": None},
        {"project": "p-1"},
        {"domain": {"id": "default"}, "project": None},
        {"expires_at": "2026-04-30T23:59:59Z"},
    ],
)
async def test_tokens_of_no_project_or_past_their_time_are_nobodys(world, verifier, change):
    world.tokens["odd"] = {name: value for name, value in (GOOD | change).items() if value is not None}
    assert await verifier.verify(shown("odd")) is None


async def refusal(coming):
    with pytest.raises(Refused) as caught:
        await coming
    return caught.value.refusal


@pytest.mark.parametrize("change", [{"user": None}, {"roles": [7]}, {"expires_at": "soon"}, {"expires_at": None}])
async def test_answers_that_make_no_sense_let_nobody_in(world, verifier, change):
    world.tokens["odd"] = GOOD | change
    assert (await refusal(verifier.verify(shown("odd")))).reason is Reason.IDENTITY_UNAVAILABLE


async def test_while_it_is_away_those_who_are_known_are_let_in(world, verifier):
    assert await verifier.verify(shown("good")) == ANN
    world.away = True
    assert await verifier.verify(shown("good")) == ANN
    refused = await refusal(verifier.verify(shown("admin")))
    assert (refused.reason, refused.retry_after) == (Reason.IDENTITY_UNAVAILABLE, 5.0)
    world.away = False
    assert await verifier.verify(shown("admin"))


async def test_no_more_is_remembered_or_asked_than_said(world, verifier, monkeypatch):
    monkeypatch.setattr(keystone, "MOST", 2)
    monkeypatch.setattr(keystone, "WAITING", 2)
    for token in ("a", "b", "good"):
        await verifier.verify(shown(token))
    assert len(verifier._remembered) == 2
    ends = await asyncio.gather(*(verifier.verify(shown(f"t{n}")) for n in range(3)), return_exceptions=True)
    assert [getattr(getattr(end, "refusal", None), "reason", end) for end in ends] == [None, None, Reason.OVERLOADED]
    assert "good" not in repr(verifier._remembered), "only digests are kept"


@pytest.fixture(scope="module")
def simulated():
    answers = {
        "good": (200, {"token": GOOD}),
        "down": (500, {}),
        "odd": (200, ["no token"]),
        "odder": (200, {"token": 7}),
        "moved": (302, {}),
    }
    with simulation(PASSWORD, answers) as url:
        yield url


def test_the_question_is_asked_as_the_service_user(simulated):
    ask = asking(settings(simulated))
    assert ask("good") == GOOD
    assert ask("unknown") is None
    for token in ("down", "odd", "odder", "moved"):
        with pytest.raises(KeystoneAwayError):
            ask(token)


@pytest.mark.parametrize("who", [{"username": "jobyard"}, {"application_credential": "one"}])
def test_a_service_user_that_is_not_let_in_lets_nobody_in(simulated, who):
    ask = asking(KeystoneSettings(auth_url=simulated, password="wrong", **who))
    with pytest.raises(KeystoneAwayError) as caught:
        ask("good")
    assert "wrong" not in str(caught.value)
    assert "good" not in str(caught.value)


def test_a_keystone_that_is_not_there_is_away():
    with pytest.raises(KeystoneAwayError, match="Connect"):
        asking(settings("http://localhost:1/v3"))("good")


def test_roles_have_to_exist():
    with pytest.raises(RoleError, match="boss"):
        KeystoneVerifier(settings(role_names={"admin": "boss"}), ROLES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"auth_url": "http://keystone.example.org/v3", "username": "a"}, "has to be an https URL"),
        ({"auth_url": "https://keystone.example.org/v3"}, "needs either a username or an application_credential"),
        ({"auth_url": "https://k/v3", "username": "a", "role_names": {"x": "boss"}}, "there is no role 'boss'"),
    ],
)
async def test_settings_that_cannot_be_are_told_without_the_password(tmp_path, given, words):
    with pytest.raises(SettingsError) as caught:
        build(load(database=f"sqlite:///{tmp_path / 'jobyard.db'}", auth_keystone={"password": PASSWORD, **given}))
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)
