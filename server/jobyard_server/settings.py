"""Every setting of the server, documented where it is declared.

Each is named ``JOBYARD_<NAME>`` in the environment. A file may hold the same names, flat or in tables: ``[lease]
seconds = 30`` is ``lease_seconds``. Options of the command line go before the environment, the environment before the
file, the file before the defaults.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from jobyard_server.caller_settings import CallerSettings, IssuerSettings, KeystoneSettings, UserSettings
from jobyard_server.result_settings import BrokerSettings, ObjectSettings

PREFIX: Final = "JOBYARD_"

OF_CLIENTS: Final = frozenset({"JOBYARD_SERVER", "JOBYARD_TOKEN", "JOBYARD_CA", "JOBYARD_CERTIFICATE", "JOBYARD_KEY"})
"""What commands that talk to a server look for in the environment."""

_NOTHING: Final[Mapping[str, Any]] = {}
_FILE: Final[ContextVar[Mapping[str, Any]]] = ContextVar("settings_file", default=_NOTHING)
"""What the file says that is being read."""


class SettingsError(Exception):
    """Settings the server cannot start with; the text says which and why, a line each."""


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("is no HOST:PORT")
    return text


Address = Annotated[str, AfterValidator(_address)]
"""``HOST:PORT``; port 0 takes a free one, which is printed."""


def _split(text: Any) -> Any:
    return [word.strip() for word in text.split(",") if word.strip()] if isinstance(text, str) else text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"is no regular expression: {problem}") from None
    return text


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]
"""Words, in the environment with commas between them."""


class DeliverySettings(BaseModel):
    """How often and when deliveries of a kind are tried; what is not said stays as the API has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: NonNegativeInt | None = None
    """In all; 0 means without limit."""
    first_wait: NonNegativeFloat | None = None
    """Seconds between the first attempt and the second."""
    multiplier: Annotated[float, Field(ge=1)] | None = None
    """By how much each wait is longer than the one before."""
    max_wait: NonNegativeFloat | None = None
    """Longest wait in seconds."""
    jitter: Annotated[float, Field(ge=0, le=1)] | None = None
    """The part of a wait that is drawn by chance."""
    timeout: PositiveFloat | None = None
    """Longest time of one attempt in seconds."""
    max_age: NonNegativeFloat | None = None
    """Seconds after which a delivery is given up that was not made; 0 means never."""


class Settings(BaseSettings):
    """What an operator may decide."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # --- where ---------------------------------------------------------------------------------------------------
    database: str = "sqlite:///jobyard.db"
    """URL of the database: sqlite:///FILE, which is made when it is missing, or postgresql://USER:PASSWORD@HOST/NAME."""
    grpc: Address = "127.0.0.1:50051"
    """Where gRPC is served."""
    rest: Address = "127.0.0.1:8080"
    """Where the REST APIs and the pages for people are served."""
    public_url: str = ""
    """URL under which clients reach the REST APIs, for links; empty: the one each request came to."""
    context_paths: dict[str, str] = Field(default_factory=dict)
    """Moves faces to other paths, by the name of the face: ``{"dataone": "/primeur/v2"}``."""
    profiles: Words = frozenset()
    """Named variants of answers and words that are switched on."""
    processes: PositiveInt = 1
    """How many processes serve, to use every core: they share the addresses and the database, and one that dies is
    replaced. On an embedded database they are right but no faster, for one of them writes at a time."""
    metrics: Address | None = None
    """Where ``/metrics``, ``/healthz`` and ``/readyz`` are served beside REST, to whoever asks. Of several processes
    each speaks for itself, the first one here and the others at the ports that follow; on the REST port they answer in
    turn."""
    ready_file: Path | None = None
    """Written with the addresses as JSON when the server is ready, for programs that start one on port 0."""

    # --- development ---------------------------------------------------------------------------------------------
    dev: bool = False
    """A server to try things with: prints how to use it, and runs a worker of its own."""
    dev_worker: bool = True
    """Whether ``dev`` runs a worker. It serves the queue ``default``, and those that ``dev_exec`` names."""
    dev_exec: dict[str, str] = Field(default_factory=dict)
    """What the worker of ``dev`` runs, by queue: ``{"invoices": "python3 total.py"}``. For the queue ``default`` it is
    otherwise a program that gives the payload back as the result."""

    # --- callers -------------------------------------------------------------------------------------------------
    auth_tokens: Path | None = None
    """File of the tokens that callers may show. Without it, and without any other way to know callers, everybody may
    do everything, and the server listens on loopback addresses only."""
    auth_issuers: list[IssuerSettings] = Field(default_factory=list)
    """OpenID Connect issuers whose tokens callers may show: ``[{"issuer": "https://id.example.org", "jwks_url":
    "https://id.example.org/jwks", "audience": ["jobyard"], "role_names": {"ops": "operator"}}]``."""
    auth_keystone: KeystoneSettings | None = None
    """The Keystone whose tokens callers may show: ``{"auth_url": "https://keystone.example.org/v3", "username":
    "jobyard", "password": "..."}``. Their project is their tenant. Needs the extra ``jobyard[keystone]``."""
    auth_users: dict[str, UserSettings] = Field(default_factory=dict)
    """Users who log in with a password where an API has it, or send it with every request (Basic), by name:
    ``{"ann": {"password": "$argon2id$...", "roles": ["Users"]}}``."""
    auth_session_seconds: Annotated[float, Field(ge=1, le=31 * 86400)] = 8 * 3600.0
    """How long the token lives that a login gives."""
    auth_anonymous_roles: Words = frozenset()
    """Roles of callers without credentials, where callers have to prove who they are."""
    roles: dict[str, frozenset[str]] = Field(default_factory=dict)
    """Further roles, or others in place of the usual ones, with their permissions: ``{"auditor": ["jobs.read"]}``.
    ``jobs.*`` stands for all that begin so, ``*`` for all."""
    default_tenant: str = Field("default", min_length=1, max_length=128)
    """Tenant of callers whose credentials name none."""

    tls_certificate: Path | None = None
    """File of the server's certificate with its chain, as PEM. With it gRPC and REST speak TLS 1.2 and newer, and
    nothing else; a file that changes is read again for the connections made after that."""
    tls_key: Path | None = None
    """File of the certificate's key, as PEM and without a password."""
    tls_client_authorities: Path | None = None
    """File of authorities, as PEM. With it only clients may connect that show a certificate of one of them."""
    tls_callers: dict[str, CallerSettings] = Field(default_factory=dict)
    """Whom certificates of clients belong to, by a name in them, an alternative one or the subject as RFC 4514 spells
    it: ``{"uri:spiffe://example.org/billing": {"user": "billing", "roles": ["operator"]}}``, ``dns:``,
    ``email:``, ``ip:``, ``subject:CN=billing,O=Example``. A request that shows a token is its holder's instead."""
    plaintext: bool = False
    """Whether to listen without TLS elsewhere than on loopback, for a proxy that ends TLS or a network that is
    trusted: whoever reads along learns tokens."""

    # --- work ----------------------------------------------------------------------------------------------------
    lease_seconds: PositiveFloat = 30.0
    """How long a worker's session lives without a heartbeat; then its leases are lost."""
    heartbeat_seconds: PositiveFloat = 10.0
    """How often workers are told to send a heartbeat."""
    cancel_grace_seconds: PositiveFloat = 60.0
    """How long a worker has to stop what was cancelled; then its lease is taken away."""
    attempt_report_seconds: NonNegativeFloat = 15.0
    """How long a worker has to report an attempt whose time limit is over, once it has stopped it; then the attempt is
    taken away. Longer than workers wait between SIGTERM and SIGKILL."""
    retention_seconds: PositiveFloat = 30 * 86400.0
    """How long jobs are kept after their end where they say nothing themselves."""
    retention: dict[str, PositiveFloat] = Field(default_factory=dict)
    """The same for the jobs of one API, where it differs: ``{"dataone": 604800}``."""
    event_retention_seconds: PositiveFloat = 30 * 86400.0
    """How long events are kept. A watch that resumes behind older ones is told to list again."""

    # --- deliveries ----------------------------------------------------------------------------------------------
    outbound_allow: Words = frozenset()
    """Networks and hosts that may be called although they are private, loopback or link-local: ``10.1.0.0/16``,
    ``producer.local``, ``*.svc.cluster.local``, each with ``:PORT`` where only that port may be. ``dev`` adds
    loopback."""
    outbound_token_file: Path | None = None
    """File of a token that is shown to the peers an operator registered; read again when it changes."""
    outbound_proxy: str = Field("", pattern=r"^(https?://[^/@\s]+/?)?$")
    """Proxy for what consumers of information jobs are told and for the question to their authorization agent, as
    ``http://HOST:PORT``; what producers are told never takes it. The proxy's address has to be allowed like any other.
    It resolves the names of peers, and so has to refuse those that must not be called."""
    delivery_policies: dict[str, DeliverySettings] = Field(default_factory=dict)
    """How often and when deliveries are tried, by their kind where it is to differ from what its API says:
    ``{"jobs.webhook": {"attempts": 20, "max_wait": 3600}}``."""
    delivery_wait_seconds: PositiveFloat = 3.0
    """How long a call that has to answer after its deliveries waits for them; then they go on in the background."""
    delivery_in_flight: PositiveInt = 8
    """Deliveries to one destination at once."""
    deliveries_in_flight: PositiveInt = 512
    """Deliveries at once in all."""
    delivery_claim_seconds: Annotated[float, Field(ge=1)] = 15.0
    """How long a delivery belongs to the server that sends it, unless it says again that it does; when the server
    dies in between, the delivery is made by another one after that time."""
    delivery_check_seconds: PositiveFloat = 1.0
    """How often deliveries are looked for that nobody told of, such as those of another server that went away."""
    supervision_seconds: PositiveFloat = 300.0
    """How often executors that are reached by push are asked whether they are alive."""
    supervision_misses: PositiveInt = 3
    """After so many misses in a row an executor is taken for gone."""
    objects: ObjectSettings | None = None
    """The object store that results are put into, and its buckets: ``{"buckets": ["results"], "endpoint":
    "https://minio.local:9000", "access_key_id": "jobyard", "secret_access_key": "..."}``. Without it results stay
    here."""
    broker: BrokerSettings | None = None
    """The broker that results are published to, and its topics: ``{"url": "nats://broker.local:4222", "topics":
    ["results.*"]}``. Needs the extra ``jobyard[nats]``."""
    authorization_agents: dict[str, str] = Field(default_factory=dict)
    """Who is asked whether a caller may read or change a thing, by API: ``{"infojobs": "http://agent.local/v1/may"}``.
    The agent's address has to be allowed like any other."""
    delivery_retention_seconds: PositiveFloat = 86400.0
    """How long deliveries are kept after they were made."""
    dead_letter_retention_seconds: PositiveFloat = 30 * 86400.0
    """How long deliveries are kept that failed for good."""

    # --- the engine's periods ------------------------------------------------------------------------------------
    lease_check_seconds: PositiveFloat = 1.0
    """How often lost leases are looked for."""
    wake_check_seconds: PositiveFloat = 0.5
    """How often retries that are due are looked for."""
    schedule_check_seconds: PositiveFloat = 0.5
    """How often schedules that are due are looked for."""
    fire_retention_seconds: PositiveFloat = 30 * 86400.0
    """How long is known what became of the due times of a schedule. A time of the past that is made up for later than
    that may be made a second time."""
    limit_check_seconds: PositiveFloat = 0.5
    """How often work is looked for whose time limits are over."""
    cancel_check_seconds: PositiveFloat = 1.0
    """How often cancelled work that does not stop is looked for."""
    retention_check_seconds: PositiveFloat = 60.0
    """How often jobs, events and idempotency keys whose time is over are looked for."""
    checkpoint_seconds: PositiveFloat = 15.0
    """A watch that saw nothing for so long sends a checkpoint."""

    # --- DMI services ----------------------------------------------------------------------------------------------
    dmi_credentials_file: Path | None = None
    """File with NAME:PASSWORD shown to every DMI service, read again when it changes."""
    dmi_forward_bearer: bool | None = None
    """Whether DMI services are shown the bearer token of whoever asks for a data job, where there is no file. Unless
    set: only while nobody has to show a token to this server."""
    dmi_url_pattern: Annotated[str, AfterValidator(_pattern)] = ""
    """Regular expression that URLs of DMI services have to match as a whole; empty: any may be registered."""
    dmi_first_generation: Words = frozenset()
    """URLs of DMI services that know only the paths of 2024, with the job in them."""
    dmi_wait_seconds: PositiveFloat = 30.0
    """How long the answer to a data job waits for DMI services to take its parts."""
    dmi_poll_seconds: PositiveFloat = 1.0
    """How long after it was handed over a part's status is asked; the pause doubles until something changes."""
    dmi_longest_poll_seconds: PositiveFloat = 30.0
    """The longest of these pauses."""

    # --- limits --------------------------------------------------------------------------------------------------
    max_calls: PositiveInt = 2000
    """Calls served at once over both protocols, streams included; further ones are refused."""
    max_connections: PositiveInt = 4096
    """HTTP connections at once; further ones are refused."""
    max_connections_per_address: NonNegativeInt = 0
    """HTTP connections at once from one address; 0: as many as in all. Behind a proxy all come from the proxy's."""
    max_calls_per_address: NonNegativeInt = 0
    """Calls served at once that come from one address, streams included; 0: as many as in all."""
    max_calls_per_caller: NonNegativeInt = 0
    """Calls served at once for one caller, streams and waiting workers included; 0: as many as in all."""
    address_rate: NonNegativeFloat = 0.0
    """Calls a second that may come from one address, whatever they show; 0: no limit. What proxies say about
    addresses is believed as uvicorn does, of those in ``FORWARDED_ALLOW_IPS``. Of IPv6 a network of 64 bits is one."""
    address_burst: PositiveInt = 100
    """Calls that may come at once from an address that was quiet for a while."""
    caller_rate: NonNegativeFloat = 0.0
    """Calls a second that one caller may make, whatever they are; 0: no limit."""
    caller_burst: PositiveInt = 100
    """Calls that a caller may make at once who was quiet for a while."""
    max_unary_seconds: PositiveFloat = 300.0
    """Longest time for a call with one answer, whatever its caller allows."""
    max_request_bytes: PositiveInt = 4 * 1024 * 1024
    """Largest request, a gRPC message or an HTTP body, where the method does not say itself that it takes more."""
    max_message_bytes: PositiveInt = 32 * 1024 * 1024
    """Largest gRPC message of a method that takes more, up to 64 MiB: such a method takes streams of messages, too."""
    max_bodies_bytes: PositiveInt = 256 * 1024 * 1024
    """All requests in memory at once, by gRPC and by HTTP; what is too much is sent away, to come again."""
    max_metadata_bytes: PositiveInt = 16 * 1024
    """Largest metadata of a gRPC call."""
    keepalive_seconds: PositiveFloat = 60.0
    """A gRPC connection silent for so long is asked whether it still lives."""
    drain_seconds: PositiveFloat = 10.0
    """How long calls in progress may go on when the server stops."""

    # --- what is told --------------------------------------------------------------------------------------------
    log_format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    log_calls: bool = True
    """Whether each call is logged, in one line."""
    log_changes: bool = True
    """Whether calls that may change something are logged although ``log_calls`` is off."""
    audit_file: Path | None = None
    """File to which the line of each call that may change something is appended, whatever else is logged. It may be
    moved away at any time, and is then begun anew."""

    @property
    def guarded(self) -> bool:
        """Whether callers have to prove who they are."""
        given = (self.auth_tokens, self.auth_keystone, self.tls_callers, self.auth_issuers, self.auth_users)
        return any(given)

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_authorities is not None and self.tls_certificate is None:
            raise ValueError("tls_client_authorities needs tls_certificate")
        if self.tls_callers and self.tls_client_authorities is None:
            raise ValueError("tls_callers needs tls_client_authorities, or no client shows a certificate")
        return self

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given, then the environment, then the file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, dict(_FILE.get()))


def load(config: Path | None = None, **given: Any) -> Settings:
    """Read the settings; ``given`` are those of the command line. Raises SettingsError."""
    token = _FILE.set({} if config is None else _flat(_read(config), ""))
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as problem:
        raise SettingsError("\n".join(_line(dict(error)) for error in problem.errors(include_url=False))) from None
    finally:
        _FILE.reset(token)


def unknown(environment: Mapping[str, str]) -> list[str]:
    """The names in an environment that look like settings and are none: most likely misspelled."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_CLIENTS
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _read(file: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - few servers have a file of settings

    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as problem:
        raise SettingsError(f"{file}: {problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{file}: holds no settings but {type(content).__name__}")
    return content


def _flat(content: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Spell settings in tables as flat ones."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        full = f"{prefix}{name}"
        if isinstance(value, dict) and full not in Settings.model_fields:
            found |= _flat(value, f"{full}_")
        else:
            found[full] = value
    return found


def _line(error: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "settings"
    words = "is no setting" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
    return f"{name} ({PREFIX}{name.partition('.')[0].upper()}): {words}"
