"""The composition root: makes the server out of its parts. The only module that knows everyone."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf import descriptor_pool
from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector
from sqlalchemy.exc import SQLAlchemyError

from jobyard_server import contract
from jobyard_server.apis import dataone, infojobs, jobs, ncmp, qinling, viya
from jobyard_server.apis.registration import Api, Options, checks_of
from jobyard_server.callers import assembly
from jobyard_server.console import docs
from jobyard_server.dmi_rules import dmi_rules
from jobyard_server.engine.deliveries import Bounds, Context, Kinds, Sender
from jobyard_server.engine.delivery_loops import Retention, delivery_loops
from jobyard_server.engine.loops import Grace, Periods, loops
from jobyard_server.engine.schedules import Scheduler, schedule_loops
from jobyard_server.engine.supervisor import Supervisor
from jobyard_server.observe.audit import AuditFile
from jobyard_server.observe.calls import CallLog, CallMetrics
from jobyard_server.observe.deliveries import DeliveryMetrics
from jobyard_server.observe.health import Health, Part
from jobyard_server.observe.log import for_people
from jobyard_server.observe.loop_lag import LoopLag
from jobyard_server.observe.pages import pages
from jobyard_server.observe.queue_lag import QueueLag
from jobyard_server.observe.request_figures import RequestFigures
from jobyard_server.observe.store_figures import StoreFigures
from jobyard_server.outbound.peers import Peers
from jobyard_server.outbound.policy import LOOPBACK, AddressPolicy, AllowError
from jobyard_server.outbound.token_file import TokenFile
from jobyard_server.rpc import methods
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.server import Rpc, Transport
from jobyard_server.rpc.turnstile import Share
from jobyard_server.settings import Settings, SettingsError
from jobyard_server.store.database import without_password
from jobyard_server.store.store import Store
from jobyard_server.store.trouble import trouble
from jobyard_server.transcoding import limits as rest_limits
from jobyard_server.transcoding import settings as rest_settings
from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.outgoing import Printer
from jobyard_server.transcoding.own_machine import for_own_machine, is_loopback
from jobyard_server.transcoding.pages import Application, Pages, no_pages, with_pages
from jobyard_server.usecases.call import ALL_TENANTS
from jobyard_server.usecases.ports import MakeJobs
from jobyard_server.usecases.tell_webhooks import WebhookTeller

APIS: Final[tuple[Api, ...]] = (jobs.API, dataone.API, qinling.API, infojobs.API, viya.API, ncmp.API)
"""Every API this server speaks."""

HOW_TO_OPEN: Final = (
    "set JOBYARD_AUTH_TOKENS=FILE, whose tokens `jobyard token create` makes, to listen elsewhere than on loopback"
)

HOW_TO_HIDE: Final = (
    "set JOBYARD_TLS_CERTIFICATE=FILE and JOBYARD_TLS_KEY=FILE, or JOBYARD_PLAINTEXT=true behind a proxy"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The server, put together and not yet started."""

    settings: Settings
    store: Store
    edge: Edge
    rpc: Rpc
    application: Application
    """The REST side, as ASGI."""
    pages: Application
    """What the server says about itself and nothing else, as ASGI."""
    supervisor: Supervisor
    sender: Sender
    peers: Peers
    health: Health
    loop_lag: LoopLag
    queue_lag: QueueLag
    options: Options

    async def begin(self) -> None:
        """Let every API do what it does when a server begins."""
        for api in APIS:
            if api.started is not None:
                await api.started(self.store, self.options)


def database_trouble() -> tuple[type[Exception], ...]:
    """What a database that cannot be used, or a URL that names none, is told by."""
    return (OSError, ValueError, SQLAlchemyError, *trouble())


def build(settings: Settings) -> Parts:
    """Put the server together; raises SettingsError for settings it cannot serve with. Has to run in an event loop."""
    _check_addresses(settings)
    store = _store(settings)
    try:
        return _put_together(settings, store)
    except BaseException:
        store.close()
        raise


def _put_together(settings: Settings, store: Store) -> Parts:
    registry = CollectorRegistry()
    callers = _callers(settings, store)
    edge = Edge(callers.authentication, CallMetrics(registry), _limits(settings), _call_log(settings))
    peers = _peers(settings)
    printer = Printer([file for api in APIS for file in api.files], settings.profiles)
    known = replace(_options(settings), objects=peers.objects, topics=peers.topics)
    known = replace(known, checks=checks_of(APIS, known))
    options = replace(known, ask=peers.ask, fetch=peers.fetch, print_json=printer, log_in=callers.log_in)
    sender = _sender(settings, store, peers, registry, printer, options)
    rpc = _rpc(settings, store, edge, replace(options, deliverer=sender))
    scheduler = Scheduler(store, _makers())
    supervisor = _supervisor(settings, store, sender, scheduler)
    health = _health(store, supervisor)
    registry.register(StoreFigures(lambda: store.tally))
    registry.register(RequestFigures(edge.budget))
    _measure(registry, edge, supervisor, scheduler)
    own = pages(health, registry, store.look)
    return Parts(
        settings=settings,
        store=store,
        edge=edge,
        rpc=rpc,
        pages=with_pages(no_pages, own),
        application=_application(settings, rpc, edge, own),
        supervisor=supervisor,
        sender=sender,
        peers=peers,
        health=health,
        loop_lag=LoopLag(registry),
        queue_lag=QueueLag(registry, store.queue_waits),
        options=options,
    )


def _call_log(settings: Settings) -> CallLog | None:
    if not (settings.log_calls or settings.log_changes or settings.audit_file):
        return None
    try:
        trail = AuditFile(settings.audit_file).append if settings.audit_file else None
    except OSError as problem:
        raise SettingsError(f"audit_file: {settings.audit_file}: {problem.strerror}") from None
    people = for_people(settings.log_format, sys.stderr)
    return CallLog(sys.stderr, people=people, every=settings.log_calls, changes=settings.log_changes, trail=trail)


def _limits(settings: Settings) -> Limits:
    return Limits(
        calls=settings.max_calls,
        unary_seconds=settings.max_unary_seconds,
        certificates=settings.tls_client_authorities is not None,
        request_bytes=settings.max_request_bytes,
        requests_bytes=settings.max_bodies_bytes,
        address=Share(settings.address_rate, settings.address_burst, settings.max_calls_per_address),
        caller=Share(settings.caller_rate, settings.caller_burst, settings.max_calls_per_caller),
    )


def _supervisor(settings: Settings, store: Store, sender: Sender, scheduler: Scheduler) -> Supervisor:
    retention = Retention(
        settings.delivery_retention_seconds, settings.dead_letter_retention_seconds, settings.retention_check_seconds
    )
    teller = WebhookTeller(
        store, routing_keys={api.name: api.routing_key for api in APIS if api.routing_key is not None}
    )
    return Supervisor(
        [
            *loops(
                store,
                _periods(settings),
                Grace(settings.cancel_grace_seconds, settings.attempt_report_seconds),
                settings.event_retention_seconds,
            ),
            *schedule_loops(
                scheduler,
                settings.schedule_check_seconds,
                settings.retention_check_seconds,
                settings.fire_retention_seconds,
            ),
            *delivery_loops(sender, teller.step, store, settings.delivery_check_seconds, retention),
        ]
    )


def _store(settings: Settings) -> Store:
    if strange := sorted(settings.retention.keys() - {api.name for api in APIS}):
        raise SettingsError(f"retention: {strange[0]} is no API; there are {', '.join(sorted(a.name for a in APIS))}")
    try:
        return Store(
            settings.database,
            words={api.name: api.all_words() for api in APIS},
            fields={api.name: api.fields for api in APIS},
            keep_seconds=settings.retention_seconds,
            keep_by_api=settings.retention,
            ended={api.name: api.ended for api in APIS if api.ended is not None},
            resumed={api.name: api.resumed for api in APIS if api.resumed is not None},
        )
    except database_trouble() as problem:
        raise SettingsError(f"database: {without_password(settings.database)} cannot be used: {problem}") from None


def _check_addresses(settings: Settings) -> None:
    """Without authentication only this machine may come in: whoever reaches the server may run programs.

    Without TLS, too, unless the operator says that the network hides what callers show.
    """
    safe = settings.tls_certificate is not None or settings.plaintext
    for name in ("grpc", "rest"):
        address: str = getattr(settings, name)
        if is_loopback(address.rpartition(":")[0]):
            continue
        if not settings.guarded:
            raise SettingsError(f"{name}: {address} is open to others and nobody has to prove who he is; {HOW_TO_OPEN}")
        if not safe:
            raise SettingsError(
                f"{name}: {address} is open to others and tokens could be read on the way; {HOW_TO_HIDE}"
            )


def _callers(settings: Settings, store: Store) -> assembly.Callers:
    files = [file for api in APIS for file in api.files]
    known = methods.permissions(methods.read((service.name for api in APIS for service in api.services), files))
    declared = {role: allowed for api in APIS for role, allowed in api.roles.items()}
    return assembly.callers(settings, declared, known | {ALL_TENANTS}, lambda: store.signer)


def _options(settings: Settings) -> Options:
    return Options(
        session_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        checkpoint_seconds=settings.checkpoint_seconds,
        kept={(api.name, kind): kept for api in APIS for kind, kept in api.kept.items()},
        apis=frozenset(api.name for api in APIS),
        completes={api.name: api.complete for api in APIS if api.complete is not None},
        makers=_makers(),
        profiles=dict.fromkeys(settings.profiles, "on"),
        delivery_wait_seconds=settings.delivery_wait_seconds,
        supervision_seconds=settings.supervision_seconds,
        supervision_misses=settings.supervision_misses,
        authorization_agents=settings.authorization_agents,
        public_url=settings.public_url,
        dmi=dmi_rules(settings),
    )


def _rpc(settings: Settings, store: Store, edge: Edge, options: Options) -> Rpc:
    services = [
        (service.name, service.register, service.build(store, options)) for api in APIS for service in api.services
    ]
    transport = Transport(
        receive_bytes=max(settings.max_message_bytes, settings.max_request_bytes),
        metadata_bytes=settings.max_metadata_bytes,
        keepalive_seconds=settings.keepalive_seconds,
        shared=settings.processes > 1,
    )
    return Rpc(edge, services, [file for api in APIS for file in api.files], contract.descriptors, transport)


def _peers(settings: Settings) -> Peers:
    allowed = settings.outbound_allow.union(LOOPBACK if settings.dev else ())
    try:
        policy = AddressPolicy(sorted(allowed))
    except AllowError as problem:
        raise SettingsError(f"outbound_allow: {problem}") from None
    token_file = TokenFile(settings.outbound_token_file)
    try:
        return Peers.of(policy, token_file, settings.outbound_proxy, settings.objects, settings.broker)
    except ModuleNotFoundError as problem:
        raise SettingsError(f"broker: needs {problem.name}; install jobyard[nats]") from None


def _sender(
    settings: Settings,
    store: Store,
    peers: Peers,
    registry: CollectorRegistry,
    printer: Printer,
    options: Options,
) -> Sender:
    metrics = DeliveryMetrics(registry)
    bounds = Bounds(
        in_flight=settings.delivery_in_flight,
        total=settings.deliveries_in_flight,
        claim_seconds=settings.delivery_claim_seconds,
        period=settings.delivery_check_seconds,
    )
    sender = Sender(store, _kinds(settings, options), peers, Context(store, printer), bounds, metrics.told)
    metrics.watch("ies_sending", "Deliveries being sent now.", lambda: sender.sending)
    metrics.watch("y_lag_seconds", "By how much the delivery is late that is due longest.", lambda: store.figures.lag)
    metrics.watch("ies_dead", "Deliveries given up, kept to be sent again by call.", lambda: store.figures.dead)
    metrics.watch("y_destinations_blocked", "Destinations left alone as they failed.", lambda: store.figures.blocked)
    return sender


def _kinds(settings: Settings, options: Options) -> Kinds:
    """Every kind of delivery, its policies as the settings have them."""
    kinds = {(api.name, word): kind for api in APIS for word, kind in api.deliveries.items()}
    for api in APIS:
        made = api.make_deliveries(options) if api.make_deliveries is not None else {}
        kinds |= {(api.name, word): kind for word, kind in made.items()}
    known = {
        f"{api}.{word}" + (f".{name}" if name else ""): (api, word, name)
        for (api, word), kind in kinds.items()
        for name in kind.policies
    }
    for full, given in settings.delivery_policies.items():
        if full not in known:
            raise SettingsError(f"delivery_policies: {full} is none of {', '.join(sorted(known)) or 'nothing'}")
        owner, word, name = known[full]
        kind = kinds[owner, word]
        policy = replace(kind.policies[name], **given.model_dump(exclude_none=True))
        kinds[owner, word] = replace(kind, policies={**kind.policies, name: policy})
    return kinds


def _makers() -> dict[str, MakeJobs]:
    return {api.name: api.make_jobs for api in APIS if api.make_jobs is not None}


def _application(settings: Settings, rpc: Rpc, edge: Edge, own: Pages) -> Application:
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(service.name) for api in APIS for service in api.services]
    limits = rest_limits.Limits(body_bytes=settings.max_request_bytes, bodies_bytes=settings.max_bodies_bytes)
    declared = rest_settings.Settings(
        profiles=settings.profiles,
        public_url=settings.public_url,
        mounts=settings.context_paths,
        limits=limits,
    )
    files = [file for api in APIS for file in api.files]
    transcoder = Transcoder(services, rpc.backend, declared, files=files, budget=edge.budget)
    application = with_pages(transcoder, {**own, **docs.pages()})
    return application if settings.guarded else for_own_machine(application, transcoder.forbid)


def _periods(settings: Settings) -> Periods:
    return Periods(
        leases=settings.lease_check_seconds,
        wakes=settings.wake_check_seconds,
        cancels=settings.cancel_check_seconds,
        limits=settings.limit_check_seconds,
        retention=settings.retention_check_seconds,
    )


def _health(store: Store, supervisor: Supervisor) -> Health:
    health = Health()
    health.watch("store", lambda: _store_part(store))
    health.watch("engine", lambda: _engine_part(supervisor))
    return health


def _store_part(store: Store) -> Part:
    return Part(well=True, word="reachable") if store.reachable_for > 0 else Part(well=False, word="unreachable")


def _engine_part(supervisor: Supervisor) -> Part:
    troubled = supervisor.troubled()
    if not troubled:
        return Part(well=True, word="running")
    return Part(well=False, word="; ".join(f"{name}: {problem}" for name, problem in troubled.items()))


def _measure(registry: CollectorRegistry, edge: Edge, supervisor: Supervisor, scheduler: Scheduler) -> None:
    """What is not counted where it happens is asked for when somebody looks."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    serving = Gauge("jobyard_calls_serving", "Calls being served now.", registry=registry)
    serving.set_function(lambda: len(edge.serving))
    lag = Gauge("jobyard_engine_lag_seconds", "By how much a loop of the engine is late.", ["loop"], registry=registry)
    for name, progress in supervisor.progress.items():
        lag.labels(name).set_function(progress.lag)
    late = Gauge("jobyard_schedule_lag_seconds", "By how much the schedule due longest was late.", registry=registry)
    late.set_function(lambda: scheduler.lag)
