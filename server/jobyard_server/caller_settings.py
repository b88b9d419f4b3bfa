"""Settings about callers that have several parts: who holds a certificate, and whose word about callers is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    SecretStr,
    model_validator,
)

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Those with a public key: a secret that both sides know would let us make tokens, too."""


def _trustworthy(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"})
    ):
        raise ValueError("has to be an https URL: whoever can change answers on the way can be anybody")
    return url


class CallerSettings(BaseModel):
    """Who a caller is and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = Field(min_length=1, max_length=256)
    tenant: str = Field("", max_length=128)
    """Empty: the default tenant of the server."""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    """Beside those of its roles."""
    queues: frozenset[str] = frozenset()
    """The queues it may work for; empty: any."""


class UserSettings(BaseModel):
    """A user who logs in with a password, and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    password: SecretStr
    """The hash that ``jobyard token password`` prints, not the password."""
    tenant: str = Field("", max_length=128)
    """Empty: the default tenant of the server."""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    """Beside those of its roles."""


class IssuerSettings(BaseModel):
    """An OpenID Connect issuer whose tokens are taken, and what their claims mean here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1)
    """Has to be the claim ``iss``, letter by letter."""
    jwks_url: Annotated[str, AfterValidator(_trustworthy)]
    """Where the issuer's keys are; ``jwks_uri`` of its discovery document."""
    audience: frozenset[str] = Field(min_length=1)
    """One of these has to be in the claim ``aud``: tokens for other services are refused."""
    algorithms: frozenset[Algorithm] = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
    """How tokens may be signed."""
    user_claim: str = "sub"
    """The claim with the user. A dot leads into an object: ``realm_access.roles``."""
    tenant_claim: str = ""
    """The claim with the tenant; a token without it is refused. Empty: all are of the server's default tenant."""
    roles_claim: str = "roles"
    """The claim with a list of roles, or with words between spaces as in ``scope``."""
    role_names: dict[str, str] = Field(default_factory=dict)
    """Our roles by the issuer's; others of its roles mean nothing here."""
    roles: frozenset[str] = frozenset()
    """Roles that everybody has who shows a token of this issuer."""
    leeway_seconds: NonNegativeInt = 30
    """By how much the clocks may differ."""
    keys_seconds: PositiveFloat = 300.0
    """How long keys are kept before the issuer is asked again; sooner when a token names one that is not known."""


class KeystoneSettings(BaseModel):
    """The Keystone whose tokens are taken, as whom it is asked about them, and what its answers mean here."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    auth_url: Annotated[str, AfterValidator(_trustworthy)]
    """Where version 3 of its API is: ``https://keystone.example.org/v3``."""
    username: str = ""
    """The service user who asks; it needs the right to validate tokens, as the role ``service`` has it."""
    password: SecretStr
    """Its password, or the secret of the application credential."""
    user_domain: str = "Default"
    project: str = "service"
    """The project in which the service user asks."""
    project_domain: str = "Default"
    application_credential: str = ""
    """The id of an application credential, in the place of user and project."""
    authorities: Path | None = None
    """File of authorities, as PEM, that may have signed its certificate. Without it: those of the system."""
    role_names: dict[str, str] = Field(default_factory=lambda: {"member": "member", "admin": "qinling-admin"})
    """Our roles by Keystone's; others of its roles mean nothing here."""
    roles: frozenset[str] = frozenset()
    """Roles that everybody has who shows a token of a project."""
    cache_seconds: PositiveFloat = 300.0
    """How long an answer is good for, at most until the token ends: one that was revoked works for no longer."""
    timeout_seconds: PositiveFloat = 5.0
    """How long an answer is waited for."""

    @model_validator(mode="after")
    def _somebody_asks(self) -> Self:
        if bool(self.username) == bool(self.application_credential):
            raise ValueError("needs either a username or an application_credential to ask as")
        return self
