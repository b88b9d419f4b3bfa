"""Whether the server says that it can do its work."""

from jobyard_server.observe.health import Health, Part


def test_a_server_is_ready_when_all_its_parts_are_well():
    health = Health()
    assert not health.ready
    store = [Part(well=True, word="reachable")]
    health.watch("store", lambda: store[-1])
    health.watch("engine", lambda: Part(well=True, word="running"))
    assert health.ready
    store.append(Part(well=False, word="unreachable"))
    assert not health.ready
    assert {name: part.word for name, part in health.parts().items()} == {"store": "unreachable", "engine": "running"}


def test_a_server_that_stops_is_not_ready():
    health = Health()
    health.watch("store", lambda: Part(well=True, word="reachable"))
    health.draining = True
    assert not health.ready
