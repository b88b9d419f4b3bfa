"""What /readyz says is told to gRPC's health service too, whenever it changes."""

import asyncio
from types import SimpleNamespace

from jobyard_server import running
from jobyard_server.observe.health import Health, Part


async def test_grpc_hears_of_every_change(monkeypatch):
    monkeypatch.setattr(running, "HEALTH_PERIOD", 0.01)
    told, well = [], [True]

    async def report(*, serving):
        told.append(serving)

    health = Health()
    health.watch("engine", lambda: Part(well=well[0], word="as it is"))
    task = asyncio.create_task(
        running._report_health(SimpleNamespace(health=health, rpc=SimpleNamespace(report=report)))
    )
    for state in (True, False, False, True):
        well[0] = state
        await asyncio.sleep(0.05)
    task.cancel()
    assert told == [False, True]
