"""The file of tokens: what it holds, how it is written, and that a running server follows it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from jobyard_server.callers import token_file, tokens
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.roles import Roles
from jobyard_server.callers.token_file import Entry, TokenFileError, create, digest, read, revoke
from jobyard_server.domain.principal import Principal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROLES = Roles({"reader": frozenset({"jobs.read"})}, frozenset({"jobs.read", "work"}))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "auth" / "tokens.yaml"


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(tokens, "monotonic", lambda: Clock.now)
    return Clock


def verifier(file, now=NOW):
    return tokens.TokenVerifier(file, ROLES, "default", lambda: now)


def shown(token):
    return Credential(Kind.TOKEN, token)


async def test_a_token_made_here_is_known_there(file, clock):
    token = create(file, Entry("ci", "", "ci-bot", tenant="north", roles=("reader",), queues=("q",)))
    principal = await verifier(file).verify(shown(token))
    assert principal == Principal("ci-bot", "north", frozenset({"reader"}), frozenset({"jobs.read"}), frozenset({"q"}))


async def test_what_an_entry_leaves_out_is_usual(file, clock):
    token = create(file, Entry("w", "", "worker", permissions=("work",)))
    principal = await verifier(file).verify(shown(token))
    assert (principal.tenant, principal.queues, principal.permissions) == ("default", None, {"work"})


async def test_other_tokens_and_other_credentials_are_nobody(file, clock):
    token = create(file, Entry("a", "", "ann"))
    known = verifier(file)
    for credential in (shown(""), shown(token[:-1]), shown(digest(token)), Credential(Kind.BASIC, token)):
        assert await known.verify(credential) is None


async def test_a_token_expires_to_the_second(file, clock):
    token = create(file, Entry("a", "", "ann", expires=NOW))
    assert await verifier(file, NOW - timedelta(seconds=1)).verify(shown(token)) is not None
    assert await verifier(file, NOW).verify(shown(token)) is None


async def test_a_running_server_follows_the_file(file, clock):
    first = create(file, Entry("first", "", "ann"))
    known = verifier(file)
    second = create(file, Entry("second", "", "bob"))
    assert await known.verify(shown(second)) is None
    clock.now += 1.1
    assert (await known.verify(shown(second))).user == "bob"
    revoke(file, "first")
    clock.now += 1.1
    assert await known.verify(shown(first)) is None
    file.unlink()
    clock.now += 1.1
    assert await known.verify(shown(second)) is None


async def test_a_file_that_breaks_changes_nothing_in_a_running_server(file, clock):
    token = create(file, Entry("a", "", "ann"))
    known = verifier(file)
    for content in ("]", "- {name: a}", "- {name: a, sha256: x, user: u}"):
        file.write_text(content)
        clock.now += 1.1
        assert (await known.verify(shown(token))).user == "ann"
    with pytest.raises(TokenFileError):
        verifier(file)


def test_the_file_keeps_no_token_and_is_its_owners_alone(file):
    token = create(file, Entry("a", "", "ann", expires=NOW))
    text = file.read_text()
    assert token not in text
    assert yaml.safe_load(text) == [
        {"name": "a", "sha256": digest(token), "user": "ann", "expires": "2026-11-21T12:00:00Z"}
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_tokens_have_256_random_bits_and_a_mark():
    made = {token_file.new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"jyd_[A-Za-z0-9_-]{43}", token) for token in made)


def test_names_are_unique_and_only_what_is_there_can_be_revoked(file):
    create(file, Entry("a", "", "ann"))
    with pytest.raises(TokenFileError, match="there is a token named a already"):
        create(file, Entry("a", "", "bob"))
    with pytest.raises(TokenFileError, match="there is no token named b"):
        revoke(file, "b")
    revoke(file, "a")
    assert read(file) == ()


DIGEST = digest("x")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("just a text", "is no mapping"),
        ({"name": "a", "sha256": DIGEST}, "user has to be a text"),
        ({"name": "a", "sha256": "abc", "user": "u"}, "sha256 is no digest"),
        ({"name": "a", "sha256": DIGEST, "user": "u", "token": "jyd_x"}, "has no field token"),
        ({"name": "a", "sha256": DIGEST, "user": "u", "roles": "reader"}, "roles has to be a list"),
        ({"name": "a", "sha256": DIGEST, "user": "u", "expires": "soon"}, "expires is no time"),
        ({"name": "a", "sha256": DIGEST, "user": "u", "expires": 7}, "expires is no time"),
        ({"name": "a", "sha256": DIGEST, "user": 7}, "user has to be a text"),
    ],
)
def test_a_wrong_entry_is_named(file, row, problem):
    file.parent.mkdir()
    file.write_text(yaml.safe_dump([row]))
    with pytest.raises(TokenFileError, match=rf"tokens\.yaml: token 1: {problem}"):
        read(file)


@pytest.mark.parametrize(
    ("expires", "moment"),
    [
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T10:00:00", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("'2026-12-01T10:00:00+02:00'", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T10:00:00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(file, expires, moment):
    file.parent.mkdir()
    file.write_text(f"- {{name: a, sha256: {DIGEST}, user: u, expires: {expires}}}")
    assert read(file)[0].expires == moment


async def test_a_role_that_does_not_exist_is_named_with_its_token(file, clock):
    create(file, Entry("ci", "", "ci-bot", roles=("reeder",)))
    with pytest.raises(TokenFileError, match=r"token ci: there is no role 'reeder'"):
        verifier(file)


async def test_a_mistake_in_one_entry_keeps_no_other_one_from_being_revoked(file, clock):
    token = create(file, Entry("a", "", "ann"))
    known = verifier(file)
    kept = create(file, Entry("b", "", "bob"))
    create(file, Entry("c", "", "cid", roles=("reeder",)))
    revoke(file, "a")
    clock.now += 1.1
    assert await known.verify(shown(token)) is None
    assert (await known.verify(shown(kept))).user == "bob"
