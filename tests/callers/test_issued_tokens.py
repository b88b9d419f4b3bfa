"""Tokens of issuers: what of them is believed, which keys check them, and when those are fetched."""

import base64
import hmac
import json

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from jobyard_server.caller_settings import IssuerSettings
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.issued_tokens import IssuedTokenVerifier
from jobyard_server.callers.issuer_keys import COOL_SECONDS, STALE_SECONDS, IssuerKeys
from jobyard_server.callers.roles import RoleError, Roles
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refused
from jobyard_server.settings import SettingsError, load

NOW = 1_800_000_000
ISSUER = "https://id.example.org"
ROLES = Roles({"reader": frozenset({"jobs.read"})}, frozenset({"jobs.read", "work"}))
FIRST = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
SECOND = ECKey.generate_key("P-256", {"kid": "second"})
CLAIMS = {"iss": ISSUER, "aud": "jobyard", "exp": NOW + 60, "sub": "ann", "org": {"id": "north"}, "roles": ["r", "x"]}
SETTINGS = {
    "issuer": ISSUER,
    "jwks_url": f"{ISSUER}/keys",
    "audience": ["jobyard", "jobs"],
    "tenant_claim": "org.id",
    "role_names": {"r": "reader"},
}


class Issuer:
    """Gives its keys out, or not, and counts."""

    def __init__(self, *keys):
        self.keys = keys
        self.fetches = 0
        self.away = False
        self.now = 0.0

    async def fetch(self, url):
        assert url == SETTINGS["jwks_url"]
        self.fetches += 1
        if self.away:
            raise ConnectionRefusedError("nobody there")
        return orjson.dumps(KeySet(self.keys).as_dict(private=False))


@pytest.fixture
def issuer():
    return Issuer(FIRST, SECOND)


def verifier(issuer, now=NOW, **more):
    keys = IssuerKeys(SETTINGS["jwks_url"], 300.0, issuer.fetch, lambda: issuer.now)
    return IssuedTokenVerifier(IssuerSettings(**(SETTINGS | more)), ROLES, "default", keys, lambda: now)


def token(key=FIRST, header=(), **claims):
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    head = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": key.kid, **dict(header)}
    return jwt.encode({name: value for name, value in head.items() if value}, said, key, [head["alg"]])


def shown(text):
    return Credential(Kind.TOKEN, text)


async def test_claims_become_a_caller(issuer):
    ann = Principal("ann", "north", frozenset({"reader"}), frozenset({"jobs.read"}))
    checking = verifier(issuer)
    for key in (FIRST, SECOND):
        assert await checking.verify(shown(token(key))) == ann
    assert await checking.verify(shown(token(aud=["other", "jobs"], roles="x r", nbf=NOW))) == ann
    assert (await checking.verify(shown(token(roles=None)))).permissions == frozenset()
    plain = verifier(issuer, tenant_claim="", user_claim="email", roles=["reader"])
    caller = await plain.verify(shown(token(email="a@b", org=None, roles=7)))
    assert (caller.user, caller.tenant, caller.roles) == ("a@b", "default", {"reader"})


def unsigned():
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"first"}').rstrip(b"=").decode()
    return f"{head}.{token().split('.')[1]}."


def with_public_key_as_secret():
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
    said = f"{head}.{token().split('.')[1]}"
    mark = hmac.digest(FIRST.as_pem(private=False), said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def changed():
    head, _, mark = token().split(".")
    return (
        f"{head}.{base64.urlsafe_b64encode(json.dumps(CLAIMS | {'sub': 'root'}).encode()).rstrip(b'=').decode()}.{mark}"
    )


def headed(head):
    _, said, mark = token().split(".")
    return f"{base64.urlsafe_b64encode(head).rstrip(b'=').decode()}.{said}.{mark}"


STRANGER = RSAKey.generate_key(2048, {"kid": "first"})


@pytest.mark.parametrize(
    "wrong",
    [
        token(iss="https://id.example.org/"),
        token(iss=None),
        token(aud="other"),
        token(aud=None),
        token(exp=NOW - 31),
        token(exp=None),
        token(exp="tomorrow"),
        token(nbf=NOW + 31),
        token(sub=None),
        token(sub=""),
        token(sub={"a": "b"}),
        token(org=None),
        token(org="north"),
        token(STRANGER),
        token(header={"kid": None}),
        token(header={"kid": "third"}),
        "a.b.c",
        unsigned(),
        headed(b"{}"),
        headed(b"[]"),
        headed(b"7"),
        headed(b"\xff"),
        headed(b'{"kid": "first"}'),
        headed(b'{"alg": 7, "kid": "first"}'),
        headed(b'{"alg": ["RS256"], "kid": "first"}'),
        headed(b'{"alg": "RS256", "kid": {"a": 1}}'),
        headed(b'{"alg": "RS256", "kid": "first", "crit": ["b64"], "b64": false}'),
        with_public_key_as_secret(),
        changed(),
        token()[:-4],
        token() + ".more",
        "..",
        "",
    ],
)
async def test_what_is_not_good_is_nobody(issuer, wrong):
    assert await verifier(issuer).verify(shown(wrong)) is None


async def test_clocks_may_differ_by_a_little(issuer):
    assert await verifier(issuer).verify(shown(token(exp=NOW - 29))) is not None
    assert await verifier(issuer).verify(shown(token(nbf=NOW + 29))) is not None


async def test_only_algorithms_that_were_chosen_are_taken(issuer):
    checking = verifier(issuer, algorithms=["ES256"])
    assert await checking.verify(shown(token(FIRST))) is None
    assert await checking.verify(shown(token(SECOND))) is not None


async def test_a_key_is_for_its_own_algorithm_only(issuer):
    other = RSAKey.import_key(FIRST.as_dict(private=True) | {"alg": "PS256"})
    text = jwt.encode({"alg": "PS256", "kid": "first"}, CLAIMS, other, ["PS256"])
    assert await verifier(issuer).verify(shown(text)) is None


async def test_other_credentials_are_not_looked_at(issuer):
    checking = verifier(issuer)
    for credential in (Credential(Kind.BASIC, token()), shown("jyd_opaque"), shown(token(iss="https://other.example"))):
        assert await checking.verify(credential) is None
    assert issuer.fetches == 0


async def test_keys_are_kept_and_fetched_again_when_they_age(issuer):
    checking = verifier(issuer)
    for _ in range(5):
        assert await checking.verify(shown(token())) is not None
    assert issuer.fetches == 1
    issuer.now += 301
    issuer.keys = (SECOND,)
    assert await checking.verify(shown(token())) is None
    assert issuer.fetches == 2


async def test_a_new_key_is_fetched_at_once_and_inventions_make_no_traffic(issuer):
    issuer.keys = (FIRST,)
    checking = verifier(issuer)
    assert await checking.verify(shown(token())) is not None
    issuer.keys = (FIRST, SECOND)
    issuer.now += COOL_SECONDS
    assert await checking.verify(shown(token(SECOND))) is not None
    for number in range(50):
        assert await checking.verify(shown(token(header={"kid": f"invented{number}"}))) is None
    assert issuer.fetches == 2


async def test_a_token_may_leave_the_key_unsaid_where_there_is_one(issuer):
    issuer.keys = (FIRST,)
    assert await verifier(issuer).verify(shown(token(header={"kid": None}))) is not None


async def test_an_issuer_that_is_away_is_no_reason_to_refuse_at_first(issuer):
    checking = verifier(issuer)
    assert await checking.verify(shown(token())) is not None
    issuer.away = True
    issuer.now += 301
    assert await checking.verify(shown(token())) is not None
    issuer.now += STALE_SECONDS
    with pytest.raises(Refused) as caught:
        await checking.verify(shown(token()))
    assert (caught.value.refusal.reason, caught.value.refusal.retry_after) == (Reason.IDENTITY_UNAVAILABLE, 10.0)
    issuer.away = False
    issuer.now += COOL_SECONDS
    assert await checking.verify(shown(token())) is not None


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}', b"<html>"])
async def test_what_is_no_set_of_keys_is_as_if_nobody_answered(answer):
    async def fetch(url):
        return answer

    checking = IssuedTokenVerifier(IssuerSettings(**SETTINGS), ROLES, "default", IssuerKeys("", 300.0, fetch))
    with pytest.raises(Refused):
        await checking.verify(shown(token()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"jwks_url": "http://id.example.org/keys"}, "has to be an https URL"),
        ({"audience": []}, "audience"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"issuer": ""}, "issuer"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(more, said):
    with pytest.raises(SettingsError, match=said):
        load(auth_issuers=[SETTINGS | more])


def test_roles_that_do_not_exist_are_named(issuer):
    with pytest.raises(RoleError, match="there is no role 'boss'"):
        verifier(issuer, role_names={"r": "boss"})
