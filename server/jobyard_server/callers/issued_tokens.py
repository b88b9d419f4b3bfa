"""Knows callers by JSON Web Tokens of an OpenID Connect issuer that the operator trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final

import orjson
import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

from jobyard_server.caller_settings import IssuerSettings
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.issuer_keys import IssuerKeys, KeysAwayError
from jobyard_server.callers.roles import Roles
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused

LONGEST_NAME: Final = 256
_DOTS: Final = 2

_log = structlog.get_logger("jobyard.callers")


class IssuedTokenVerifier:
    """Answers for the tokens of one issuer."""

    def __init__(
        self,
        settings: IssuerSettings,
        roles: Roles,
        tenant: str,
        keys: IssuerKeys | None = None,
        now: Callable[[], float] = time,
    ) -> None:
        """Take whom to trust and how to read its words; raises RoleError for roles that do not exist."""
        self._settings = settings
        self._roles = roles
        self._tenant = tenant
        self._keys = keys or IssuerKeys(settings.jwks_url, settings.keys_seconds)
        self._rules = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=settings.leeway_seconds,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "values": sorted(settings.audience)},
            exp={"essential": True},
        )
        roles.permissions(settings.roles.union(settings.role_names.values()))

    async def verify(self, credential: Credential) -> Principal | None:
        """The caller that a token speaks of; ``None`` for one that is not of this issuer, or not good."""
        if credential.kind is not Kind.TOKEN or credential.value.count(".") != _DOTS:
            return None
        try:
            header = self._header(credential.value)
            if header is None:
                return None
            key = await self._keys.find(header.get("kid"))
            if key is None:
                return None
            return self._principal(self._claims(credential.value, header, key))
        except KeysAwayError:
            message = "The issuer of the token does not answer, so the token cannot be checked now."
            raise Refused(Refusal(Reason.IDENTITY_UNAVAILABLE, message, retry_after=10.0)) from None
        except (JoseError, ValueError, TypeError) as problem:
            # Why stays here: who sends forged tokens learns nothing from us.
            _log.info("token of issuer refused", issuer=self._settings.issuer, problem=type(problem).__name__)
            return None

    def _header(self, token: str) -> Mapping[str, Any] | None:
        """The header of a token that says it is of this issuer; nothing of it is believed yet."""
        parts = jws.extract_compact(token.encode())
        claims = orjson.loads(parts.payload)
        ours = isinstance(claims, dict) and claims.get("iss") == self._settings.issuer
        return parts.headers() if ours else None

    def _claims(self, token: str, header: Mapping[str, Any], key: Key) -> Mapping[str, Any]:
        """What the token says, once its key has signed it and it is for us, now."""
        if key.alg not in {None, header.get("alg")}:
            raise ValueError("the key is for another algorithm")
        decoded = jwt.decode(token, key, algorithms=sorted(self._settings.algorithms))
        self._rules.validate(decoded.claims)
        return decoded.claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        settings = self._settings
        tenant = _name(claims, settings.tenant_claim) if settings.tenant_claim else self._tenant
        said = _at(claims, settings.roles_claim)
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        # Issuers know roles of other systems, too: those that nothing is said about here mean nothing.
        roles = settings.roles.union(settings.role_names[word] for word in words if word in settings.role_names)
        return Principal(_name(claims, settings.user_claim), tenant, roles, self._roles.permissions(roles))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of a name; dots lead into objects unless a claim is named so itself."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for word in path.split("."):
        found = found.get(word) if isinstance(found, Mapping) else None
    return found


def _name(claims: Mapping[str, Any], path: str) -> str:
    found = _at(claims, path)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_NAME:
        raise ValueError(f"the claim {path} is no name")
    return found
