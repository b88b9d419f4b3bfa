"""A real gRPC server around the probe service, in the place of pytest-grpc's own."""

import grpc
import pytest

from jobyard_server.observe.log import configure
from support import probing


@pytest.fixture(scope="session", autouse=True)
def log():
    configure("json", "info")


@pytest.fixture(scope="module")
def probe():
    return probing.Probe()


@pytest.fixture(scope="module")
def edge():
    return probing.guarded()


@pytest.fixture(scope="module")
async def rpc(probe, edge):
    # A server belongs to the event loop that runs when it is made.
    return probing.rpc_of(probe, edge)


@pytest.fixture(scope="module")
async def grpc_server(rpc):
    """Overrides the fixture of pytest-grpc, whose server has threads instead of an event loop."""
    rpc.port = rpc.server.add_insecure_port("127.0.0.1:0")
    await rpc.server.start()
    await rpc.report(serving=True)
    yield rpc.server
    await rpc.server.stop(0)


@pytest.fixture(scope="module")
def grpc_addr(rpc, grpc_server):
    return f"127.0.0.1:{rpc.port}"


@pytest.fixture(scope="module")
async def grpc_channel(grpc_addr):
    async with grpc.aio.insecure_channel(grpc_addr) as channel:
        yield channel


@pytest.fixture(scope="module")
def grpc_stub_cls():
    return probing.Stub
