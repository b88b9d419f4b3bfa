"""Knows callers by tokens of OpenStack's Keystone, which is asked about each token once in a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import time
from typing import Any, Final, Protocol

import structlog
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import ApplicationCredential, Password
from keystoneauth1.session import Session

from jobyard_server.caller_settings import KeystoneSettings
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.callers.roles import Roles
from jobyard_server.callers.token_file import MARK, digest
from jobyard_server.domain.principal import Principal
from jobyard_server.domain.reason import Reason, Refusal, Refused

AT_ONCE: Final = 4
"""Questions to Keystone at once."""

WAITING: Final = 256
"""Tokens being asked about; further callers are sent away for a moment."""

MOST: Final = 10_000
"""Answers that are remembered; beyond that the oldest is forgotten, and costs another question."""

REFUSED_SECONDS: Final = 10.0
"""How long a token that Keystone does not know is refused without another question."""

LONGEST: Final = 8192

_log = structlog.get_logger("jobyard.callers")

Known = tuple[Principal, float] | None
"""Whose a token is, and until when by the clock of the world; ``None`` for one that is nobody's."""


class KeystoneAwayError(Exception):
    """Keystone does not answer, or not as it should; the text is for the log."""


class Ask(Protocol):
    """Asks Keystone about a token; runs in a thread of its own."""

    def __call__(self, token: str) -> Mapping[str, Any] | None:
        """What Keystone says of it, ``None`` when it knows it not; raises KeystoneAwayError."""


class KeystoneVerifier:
    """Answers for the tokens of one Keystone."""

    def __init__(
        self, settings: KeystoneSettings, roles: Roles, ask: Ask | None = None, now: Callable[[], float] = time
    ) -> None:
        """Take whom to ask and how to read the answers; raises RoleError for roles that do not exist."""
        self._settings = settings
        self._roles = roles
        self._ask = ask or asking(settings)
        self._now = now
        # Threads of their own: a Keystone that hangs must not keep others from those that everybody shares.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keystone")
        self._remembered: OrderedDict[str, tuple[Known, float]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Known]] = {}
        roles.permissions(settings.roles.union(settings.role_names.values()))

    async def verify(self, credential: Credential) -> Principal | None:
        """The caller that Keystone says a token belongs to; raises Refused while it cannot be asked."""
        token = credential.value
        # Tokens with our own mark are not shown to anybody else, though we may know them no more.
        if credential.kind is not Kind.TOKEN or not _possible(token) or token.startswith(MARK):
            return None
        key = digest(token)
        remembered = self._remembered.get(key)
        if remembered is None or remembered[1] <= self._now():
            known = await asyncio.shield(self._question(key, token))
        else:
            known = remembered[0]
        return known[0] if known is not None and self._now() < known[1] else None

    def _question(self, key: str, token: str) -> asyncio.Task[Known]:
        """Ask once for all requests that show the same token."""
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= WAITING:
                raise Refused(Refusal(Reason.OVERLOADED, "Too many tokens are being checked.", retry_after=1.0))
            asking = asyncio.create_task(self._learn(key, token))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key, done))
        return asking

    async def _learn(self, key: str, token: str) -> Known:
        try:
            said = await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, token)
            known = None if said is None else self._read(said)
        except KeystoneAwayError as problem:
            _log.error("Keystone cannot be asked", url=self._settings.auth_url, problem=str(problem))
            message = "Keystone does not answer, so the token cannot be checked now."
            raise Refused(Refusal(Reason.IDENTITY_UNAVAILABLE, message, retry_after=5.0)) from None
        seconds = REFUSED_SECONDS if known is None else self._settings.cache_seconds
        self._remembered.pop(key, None)
        if len(self._remembered) >= MOST:
            self._remembered.popitem(last=False)
        self._remembered[key] = (known, self._now() + seconds)
        return known

    def _asked(self, key: str, done: asyncio.Task[Known]) -> None:
        del self._asking[key]
        if not done.cancelled():
            # Looked at here, for everybody who asked may have gone.
            done.exception()

    def _read(self, said: Mapping[str, Any]) -> Known:
        """Whose a token is; one that is of no project is nobody's here, for the project is the tenant."""
        project = said.get("project")
        if not isinstance(project, Mapping):
            return None
        try:
            names = [str(role["name"]) for role in said.get("roles", ())]
            user, tenant = str(said["user"]["id"]), str(project["id"])
            expires = datetime.fromisoformat(said["expires_at"]).timestamp()
        except (KeyError, TypeError, ValueError) as problem:
            raise KeystoneAwayError(f"its answer lacks something: {type(problem).__name__}: {problem}") from None
        settings = self._settings
        # Keystone knows roles of other services, too: those that nothing is said about here mean nothing.
        roles = settings.roles.union(settings.role_names[name] for name in names if name in settings.role_names)
        return Principal(user, tenant, roles, self._roles.permissions(roles)), expires


def asking(settings: KeystoneSettings) -> Ask:
    """Ask the Keystone of the settings, as the service user they name."""
    session = Session(
        auth=_service(settings), verify=str(settings.authorities) if settings.authorities else True, redirect=False
    )
    place = f"{settings.auth_url.rstrip('/')}/auth/tokens?nocatalog"

    def ask(token: str) -> Mapping[str, Any] | None:
        try:
            answer = session.get(
                place,
                headers={"X-Subject-Token": token},
                authenticated=True,
                raise_exc=False,
                log=False,
                timeout=settings.timeout_seconds,
            )
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise KeystoneAwayError(f"it answers {answer.status_code}")
            said = answer.json()["token"]
        except ClientException as problem:
            # Its texts name addresses and users, never passwords or tokens.
            raise KeystoneAwayError(f"{type(problem).__name__}: {problem}") from None
        except (ValueError, KeyError, TypeError) as problem:
            raise KeystoneAwayError(f"its answer makes no sense: {type(problem).__name__}") from None
        if not isinstance(said, Mapping):
            raise KeystoneAwayError("its answer makes no sense")
        return said

    return ask


def _service(settings: KeystoneSettings) -> ApplicationCredential | Password:
    password = settings.password.get_secret_value()
    if settings.application_credential:
        return ApplicationCredential(
            settings.auth_url,
            application_credential_id=settings.application_credential,
            application_credential_secret=password,
        )
    return Password(
        settings.auth_url,
        username=settings.username,
        password=password,
        user_domain_name=settings.user_domain,
        project_name=settings.project,
        project_domain_name=settings.project_domain,
    )


def _possible(token: str) -> bool:
    """Whether it can be a token: what is sent on as a header has to be fit for one."""
    return 0 < len(token) <= LONGEST and token.isascii() and token.isprintable() and " " not in token
