"""Runs the server as a process: listens, says where, and stops in good order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from time import perf_counter
from typing import Final, Protocol

import structlog
import uvicorn
import uvloop
from typing_extensions import override

from jobyard_server import listening
from jobyard_server.main import Parts, build, database_trouble
from jobyard_server.observe.log import configure
from jobyard_server.settings import Settings, SettingsError, unknown
from jobyard_server.store.database import without_password
from jobyard_server.store.store import Store
from jobyard_server.tls import CertificateError, CertificateFiles
from jobyard_server.transcoding.http_crowds import bounded
from jobyard_server.worker.command import CommandLineError
from jobyard_server.worker.embedded import EmbeddedWorker, programs_of

BACKLOG: Final = 1024
KEEP_ALIVE: Final = 75
"""Seconds an idle HTTP connection is kept: longer than proxies keep theirs, so that they and not we close first."""

PAGES_AT_ONCE: Final = 64
"""Connections that ask how the server does, where that is served apart."""

HEALTH_PERIOD: Final = 0.5

LAST_ANSWERS: Final = 10
"""Rounds of a hundredth of a second in which those who wait are answered when the server stops, before calls are ended.
Rounds, as a busy machine may let time pass in which nothing happens."""

_log = structlog.get_logger("jobyard.server")


class Parent(Protocol):
    """The process that started this one beside others that serve at the same addresses."""

    def tell_ready(self) -> None:
        """Hear that this process serves."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when the parent is gone."""


def run(settings: Settings, parent: Parent | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises SettingsError before anything is served."""
    configure(settings.log_format, settings.log_level)
    if parent is None and (strange := unknown(os.environ)):
        _log.warning("no such settings", names=strange)
    _allow_many_connections()
    return uvloop.run(_Process(settings, parent).run())


def _allow_many_connections() -> None:
    """Take as many open files as the system allows us; a thousand is the usual default and soon used up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own, and stops more than HTTP."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Process:
    """One run of the server."""

    def __init__(self, settings: Settings, parent: Parent | None) -> None:
        self._settings = settings
        self._parent = parent
        self._began = perf_counter()
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Start everything, wait for the signal, stop everything."""
        self._listen_for_signals()
        parts = build(self._settings)
        certificates = self._certificates()
        http, http_socket = self._http(parts, certificates)
        grpc_port = self._grpc_port(parts, certificates)
        own_worker = self._own_worker(listening.with_port(self._settings.grpc, grpc_port))
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._serving_pages(parts))
            await self._open(parts.store)
            stack.push_async_callback(parts.store.stop)
            await parts.begin()
            stack.push_async_callback(parts.peers.close)
            stack.push_async_callback(parts.sender.stop, self._settings.drain_seconds)
            parts.supervisor.start()
            stack.push_async_callback(parts.supervisor.stop)
            await parts.rpc.server.start()
            served = asyncio.create_task(http.serve(sockets=[http_socket]), name="http")
            for watching in (parts.loop_lag.run(), parts.queue_lag.run(), _report_health(parts)):
                stack.callback(asyncio.create_task(watching).cancel)
            while not http.started and not served.done():  # noqa: ASYNC110 - uvicorn tells in no other way
                await asyncio.sleep(0.001)
            await parts.rpc.report(serving=True)
            # What is there now stays for good: collections need not look at it again.
            gc.freeze()
            self._say_ready(grpc_port, http_socket.getsockname()[1])
            if own_worker is not None:
                own_worker.start()
            await self._stopping.wait()
            if own_worker is not None:
                await own_worker.stop()
            await self._drain(parts, http, served)
        _log.info("stopped")
        return 0

    async def _open(self, store: Store) -> None:
        try:
            await store.start()
        except database_trouble() as problem:
            raise SettingsError(
                f"database: {without_password(self._settings.database)} cannot be used: {problem}"
            ) from None

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        if self._parent is not None:
            loop.add_reader(self._parent.fileno(), self._orphaned)

    def _told_to_stop(self) -> None:
        if self._stopping.is_set():
            # Told twice: somebody is in a hurry, and what was answered is on the disk already.
            os._exit(listening.ENDED_BY_SIGNAL)
        self._stopping.set()

    def _orphaned(self) -> None:
        """Without the parent nobody would ever stop this process."""
        if self._parent is not None:
            asyncio.get_running_loop().remove_reader(self._parent.fileno())
        self._stopping.set()

    def _certificates(self) -> CertificateFiles | None:
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        if certificate is None or key is None:
            return None
        try:
            return CertificateFiles(certificate, key, self._settings.tls_client_authorities)
        except CertificateError as problem:
            raise SettingsError(str(problem)) from None

    def _http(self, parts: Parts, certificates: CertificateFiles | None) -> tuple[_Http, socket.socket]:
        config = uvicorn.Config(
            parts.application,
            ssl_context_factory=None if certificates is None else lambda _config, _default: certificates.http(),
            http=bounded(self._settings.max_connections_per_address),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            limit_concurrency=self._settings.max_connections,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(self._settings.drain_seconds)),
        )
        return _Http(config), listening.bound("rest", self._settings.rest, shared=self._parent is not None)

    @contextlib.asynccontextmanager
    async def _serving_pages(self, parts: Parts) -> AsyncIterator[None]:
        """Serve what the server says about itself where the settings say so, until the very end of the stop."""
        if self._settings.metrics is None:
            yield
            return
        listener = listening.bound("metrics", self._settings.metrics, shared=False)
        http = _Http(
            uvicorn.Config(
                parts.pages,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=PAGES_AT_ONCE,
                timeout_graceful_shutdown=1,
            )
        )
        served = asyncio.create_task(http.serve(sockets=[listener]), name="pages")
        try:
            yield
        finally:
            http.should_exit = True
            await served

    def _grpc_port(self, parts: Parts, certificates: CertificateFiles | None) -> int:
        try:
            if certificates is not None:
                return parts.rpc.server.add_secure_port(self._settings.grpc, certificates.rpc())
            return parts.rpc.server.add_insecure_port(self._settings.grpc)
        except RuntimeError:
            # gRPC logs why, and does not tell: the same is tried without it.
            listening.bound("grpc", self._settings.grpc, shared=self._parent is not None).close()
            raise SettingsError(f"grpc: cannot listen on {self._settings.grpc}") from None

    def _own_worker(self, grpc_at: str) -> EmbeddedWorker | None:
        """The worker of a development server."""
        if not (self._settings.dev and self._settings.dev_worker):
            return None
        if self._settings.guarded or self._settings.tls_certificate is not None:
            _log.warning("no worker", why="callers have to show who they are, and the server has no token of its own")
            return None
        try:
            return EmbeddedWorker(grpc_at, programs_of(self._settings.dev_exec))
        except CommandLineError as problem:
            raise SettingsError(f"dev_exec: {problem}") from None

    def _say_ready(self, grpc_port: int, rest_port: int) -> None:
        if self._parent is not None:
            self._parent.tell_ready()
            return
        grpc_at = listening.with_port(self._settings.grpc, grpc_port)
        rest_at = listening.with_port(self._settings.rest, rest_port)
        listening.say_where(self._settings, grpc_at, rest_at, perf_counter() - self._began)

    async def _drain(self, parts: Parts, http: _Http, served: asyncio.Task[None]) -> None:
        """Send new callers elsewhere, let calls in progress end."""
        _log.info("stopping", calls=len(parts.edge.serving))
        parts.health.draining = True
        await parts.rpc.health.enter_graceful_shutdown()
        # Whoever waits for work or for news is answered as long as there is somebody to answer.
        parts.store.end_waits()
        for _ in range(LAST_ANSWERS):
            await asyncio.sleep(0.01)
        parts.edge.stop(self._settings.drain_seconds)
        http.should_exit = True
        await asyncio.gather(parts.rpc.server.stop(self._settings.drain_seconds), served)


async def _report_health(parts: Parts) -> None:
    """Tell gRPC's health service what /readyz tells, as soon as it changes."""
    told = True
    while True:
        await asyncio.sleep(HEALTH_PERIOD)
        if parts.health.ready != told:
            told = parts.health.ready
            await parts.rpc.report(serving=told)
            _log.warning("ready again" if told else "not ready", **{n: p.word for n, p in parts.health.parts().items()})
