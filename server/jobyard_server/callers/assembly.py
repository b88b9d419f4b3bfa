"""Puts together, from the settings, everything that can tell who is calling."""

from __future__ import annotations

from collections.abc import Mapping

from jobyard_server.caller_settings import CallerSettings
from jobyard_server.callers.authentication import ANONYMOUS, Authentication, Unguarded, Verified, Verifier
from jobyard_server.callers.certificates import CertificateVerifier
from jobyard_server.callers.issued_tokens import IssuedTokenVerifier
from jobyard_server.callers.roles import RoleError, Roles
from jobyard_server.callers.token_file import TokenFileError
from jobyard_server.callers.tokens import TokenVerifier
from jobyard_server.domain.principal import Principal
from jobyard_server.settings import Settings, SettingsError


def authentication(settings: Settings, declared: Mapping[str, frozenset[str]], known: frozenset[str]) -> Authentication:
    """Who answers for callers; takes the roles that APIs declare and the permissions there are.

    Raises SettingsError.
    """
    if not settings.guarded:
        return Unguarded(settings.default_tenant)
    try:
        roles = Roles({**declared, **settings.roles}, known)
        permissions = roles.permissions(settings.auth_anonymous_roles)
        verifiers = _verifiers(settings, roles)
    except (RoleError, TokenFileError) as problem:
        raise SettingsError(str(problem)) from None
    nobody = Principal(ANONYMOUS, settings.default_tenant, settings.auth_anonymous_roles, permissions)
    return Verified(verifiers, nobody)


def _verifiers(settings: Settings, roles: Roles) -> list[Verifier]:
    found: list[Verifier] = []
    if settings.tls_callers:
        holders = {
            name: _principal(f"tls_callers: {name}", each, roles, settings.default_tenant)
            for name, each in settings.tls_callers.items()
        }
        found.append(CertificateVerifier(holders))
    if settings.auth_tokens is not None:
        found.append(TokenVerifier(settings.auth_tokens, roles, settings.default_tenant))
    for number, issuer in enumerate(settings.auth_issuers):
        try:
            found.append(IssuedTokenVerifier(issuer, roles, settings.default_tenant))
        except RoleError as problem:
            raise RoleError(f"auth_issuers.{number}: {problem}") from None
    return found


def _principal(where: str, caller: CallerSettings, roles: Roles, tenant: str) -> Principal:
    try:
        permissions = roles.permissions(caller.roles) | roles.resolve(caller.permissions)
    except RoleError as problem:
        raise RoleError(f"{where}: {problem}") from None
    return Principal(caller.user, caller.tenant or tenant, caller.roles, permissions, caller.queues or None)
