"""What the tests of the transcoder share: the trial APIs, a backend that records, and a client for both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobyard_server.transcoding.app import Transcoder
from jobyard_server.transcoding.settings import Settings
from support.asgi import Client
from support.recording import Recording
from support.trial import service


@pytest.fixture
def backend() -> Recording:
    return Recording()


@pytest.fixture
def serve(backend: Recording) -> Callable[..., Client]:
    """Serve trial services: `serve("orders.OrderService")`."""

    def start(*names: str, **settings: object) -> Client:
        return Client(Transcoder([service(name) for name in names], backend, Settings(**settings)))

    return start
