"""Puts together, from the settings, everything that can tell who is calling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobyard_server.caller_settings import CallerSettings, IssuerSettings, KeystoneSettings
from jobyard_server.callers.authentication import ANONYMOUS, Authentication, Unguarded, Verified, Verifier
from jobyard_server.callers.basic import BasicVerifier
from jobyard_server.callers.passwords import Passwords, User, check_hash
from jobyard_server.callers.roles import RoleError, Roles
from jobyard_server.callers.sessions import PasswordLogin, Sessions
from jobyard_server.callers.token_file import TokenFileError
from jobyard_server.callers.tokens import TokenVerifier
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.signing import Signer
from jobyard_server.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Callers:
    """Who answers for callers."""

    authentication: Authentication
    log_in: PasswordLogin | None = None
    """Lets users in that come with a password."""


def callers(
    settings: Settings, declared: Mapping[str, frozenset[str]], known: frozenset[str], signer: Callable[[], Signer]
) -> Callers:
    """Who answers for callers; takes the roles that APIs declare, the permissions there are and what seals tokens.

    Raises SettingsError.
    """
    if not settings.guarded:
        return Callers(Unguarded(settings.default_tenant))
    try:
        roles = Roles({**declared, **settings.roles}, known)
        permissions = roles.permissions(settings.auth_anonymous_roles)
        users = _users(settings, roles)
        passwords, sessions = Passwords(users), Sessions(users, settings.auth_session_seconds, signer)
        verifiers = _verifiers(settings, roles)
        if users:
            verifiers += [sessions, BasicVerifier(passwords)]
    except (RoleError, TokenFileError) as problem:
        raise SettingsError(str(problem)) from None
    nobody = Principal(ANONYMOUS, settings.default_tenant, settings.auth_anonymous_roles, permissions)
    return Callers(Verified(verifiers, nobody), PasswordLogin(passwords, sessions) if users else None)


def _users(settings: Settings, roles: Roles) -> dict[str, User]:
    found: dict[str, User] = {}
    for name, user in settings.auth_users.items():
        where, hash_ = f"auth_users: {name}", user.password.get_secret_value()
        try:
            check_hash(hash_)
        except ValueError as problem:
            raise SettingsError(f"{where}: {problem}") from None
        caller = CallerSettings(user=name, tenant=user.tenant, roles=user.roles, permissions=user.permissions)
        found[name] = User(_principal(where, caller, roles, settings.default_tenant), hash_)
    return found


def _verifiers(settings: Settings, roles: Roles) -> list[Verifier]:
    found: list[Verifier] = []
    if settings.tls_callers:
        from jobyard_server.callers.certificates import CertificateVerifier  # noqa: PLC0415 - its library is large

        holders = {
            name: _principal(f"tls_callers: {name}", each, roles, settings.default_tenant)
            for name, each in settings.tls_callers.items()
        }
        found.append(CertificateVerifier(holders))
    if settings.auth_tokens is not None:
        found.append(TokenVerifier(settings.auth_tokens, roles, settings.default_tenant))
    found += [_issued(number, issuer, settings, roles) for number, issuer in enumerate(settings.auth_issuers)]
    if settings.auth_keystone is not None:
        # Last: what somebody else knows is not sent to it.
        found.append(_keystone(settings.auth_keystone, roles))
    return found


def _issued(number: int, issuer: IssuerSettings, settings: Settings, roles: Roles) -> Verifier:
    from jobyard_server.callers.issued_tokens import IssuedTokenVerifier  # noqa: PLC0415 - its libraries are large

    try:
        return IssuedTokenVerifier(issuer, roles, settings.default_tenant)
    except RoleError as problem:
        raise RoleError(f"auth_issuers.{number}: {problem}") from None


def _keystone(settings: KeystoneSettings, roles: Roles) -> Verifier:
    try:
        from jobyard_server.callers.keystone import KeystoneVerifier  # noqa: PLC0415 - an extra: not everybody has an OpenStack
    except ModuleNotFoundError as problem:
        raise SettingsError(f"auth_keystone: needs {problem.name}; install jobyard[keystone]") from None
    try:
        return KeystoneVerifier(settings, roles)
    except RoleError as problem:
        raise RoleError(f"auth_keystone: {problem}") from None


def _principal(where: str, caller: CallerSettings, roles: Roles, tenant: str) -> Principal:
    try:
        permissions = roles.permissions(caller.roles) | roles.resolve(caller.permissions)
    except RoleError as problem:
        raise RoleError(f"{where}: {problem}") from None
    return Principal(caller.user, caller.tenant or tenant, caller.roles, permissions, caller.queues or None)
