"""What only the gRPC side shows: raw bytes, limits of the transport, health, and the end of the server."""

import asyncio
import contextlib
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobyard_server.domain.reason import Reason, refuse
from jobyard_server.rpc import edge as edges
from jobyard_server.rpc import methods, recording
from jobyard_server.rpc.edge import Edge, Limits
from jobyard_server.rpc.failures import from_refusal
from jobyard_server.rpc.server import Transport
from jobyard_server.transcoding.backend import Call, RequestRefused
from support import probing
from support.doors import GrpcDoor, InProcessDoor
from support.probing import SayRequest, SayResponse, bearer

SAYER = bearer("sayer")
SAY = f"/{probing.SERVICE}/Say"


@contextlib.asynccontextmanager
async def serving(probe=None, edge: Edge | None = None, transport: Transport | None = None):
    """A server of its own, for what would disturb others."""
    rpc = probing.rpc_of(probe or probing.Probe(), edge or probing.guarded(), transport)
    port = rpc.server.add_insecure_port("127.0.0.1:0")
    await rpc.server.start()
    await rpc.report(serving=True)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 1 << 20)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield rpc, channel
    await rpc.server.stop(0)


async def call_raw(channel, data: bytes, **metadata: str) -> grpc.aio.AioRpcError:
    call = channel.unary_unary(SAY)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(data, metadata=tuple(metadata.items()))
    return caught.value


async def test_bytes_that_are_no_message_are_refused(grpc_channel):
    error = await call_raw(grpc_channel, b"\xff\xff\xff", **SAYER)
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "The request is not a well-formed message.",
    )


async def test_a_caller_is_admitted_before_its_bytes_are_decoded(grpc_channel):
    assert (await call_raw(grpc_channel, b"\xff\xff\xff")).code() is grpc.StatusCode.UNAUTHENTICATED
    assert (await call_raw(grpc_channel, b"\xff", **bearer("stranger"))).code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_call_does_not_cost_more_the_more_methods_there_are(monkeypatch):
    waited = []
    wait = asyncio.wait

    async def counted(waiting, **rest):
        waited.append(len(waiting))
        return await wait(waiting, **rest)

    # What gRPC itself waits for, too.
    monkeypatch.setattr(asyncio, "wait", counted)
    async with serving() as (_, channel):
        for _ in range(3):
            await channel.unary_unary(SAY)(SayRequest(word="a").SerializeToString(), metadata=tuple(SAYER.items()))
    assert max(waited, default=0) <= 1


async def test_a_method_that_does_not_exist(grpc_channel):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_channel.unary_unary(f"/{probing.SERVICE}/Shout")(b"", metadata=tuple(SAYER.items()))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_over_the_limit_is_refused():
    async with serving(transport=Transport(receive_bytes=1000)) as (_, channel):
        error = await call_raw(channel, b"x" * 1001, **SAYER)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        response = await probing.Stub(channel).Say(SayRequest(word="small"), metadata=tuple(SAYER.items()))
        assert response.word == "small"


async def test_metadata_over_the_limit_is_refused():
    async with serving() as (_, channel):
        error = await call_raw(channel, b"", **bearer("sayer", **{"x-long": "y" * 20_000}))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_more_calls_than_the_limit_are_refused_and_health_is_not():
    probe = probing.Probe()
    async with serving(probe, probing.guarded(Limits(calls=2))) as (rpc, channel):
        door = GrpcDoor(channel)
        slow = [asyncio.create_task(door.call("Say", SayRequest(word="wait"), SAYER)) for _ in range(2)]
        await serving_calls(rpc, 2)
        for refused in (door, InProcessDoor(rpc.backend)):
            outcome = await refused.call("Say", SayRequest(word="hello"), SAYER)
            assert (outcome.code, outcome.info.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
            assert outcome.details["RetryInfo"].retry_delay.seconds == 1
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        probe.go_on.set()
        assert [outcome.code for outcome in await asyncio.gather(*slow)] == ["OK", "OK"]
        assert (await door.call("Say", SayRequest(word="hello"), SAYER)).code == "OK"


def _edge(rpc) -> Edge:
    return rpc.backend._edge


async def test_the_longest_time_holds_for_calls_without_a_deadline():
    async with serving(edge=probing.guarded(Limits(unary_seconds=0.2))) as (rpc, channel):
        for door in (GrpcDoor(channel), InProcessDoor(rpc.backend)):
            began = time.monotonic()
            outcome = await door.call("Say", SayRequest(word="sleep", seconds=60), SAYER)
            assert (outcome.code, outcome.info.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
            assert time.monotonic() - began < 30


async def serving_calls(rpc, count):
    """Return when so many calls are in progress."""
    async with asyncio.timeout(60):
        while len(_edge(rpc).serving) < count:
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_ends_its_calls(monkeypatch):
    # However busy the machine is, calls of this test alone are long: those that are said to have begun long ago.
    monkeypatch.setattr(edges, "LONG", 600.0)
    probe = probing.Probe()
    async with serving(probe) as (rpc, channel):
        doors = (GrpcDoor(channel), InProcessDoor(rpc.backend))
        long = [
            asyncio.create_task(door.call(method, SayRequest(word="sleep", seconds=60), SAYER))
            for door in doors
            for method in ("Say", "Count")
        ]
        await serving_calls(rpc, len(long))
        for call in _edge(rpc).serving:
            call._begun -= 2 * edges.LONG
        short = [asyncio.create_task(door.call("Say", SayRequest(word="wait"), SAYER)) for door in doors]
        await serving_calls(rpc, len(long) + len(short))
        _edge(rpc).stop(60)
        for outcome in await asyncio.gather(*long):
            assert (outcome.code, outcome.info.reason) == ("UNAVAILABLE", "SERVER_STOPPING")
        assert not any(task.done() for task in short)
        probe.go_on.set()
        assert [outcome.code for outcome in await asyncio.gather(*short)] == ["OK", "OK"]
        for door in doors:
            assert (await door.call("Say", SayRequest(word="hello"), SAYER)).info.reason == "SERVER_STOPPING"


async def test_health_of_the_server_and_of_its_services(grpc_channel, rpc):
    stub = health_pb2_grpc.HealthStub(grpc_channel)
    for name in ("", probing.SERVICE):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_watched():
    async with serving() as (rpc, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = aiter(watch)
        assert (await anext(seen)).status == health_pb2.HealthCheckResponse.SERVING
        await rpc.report(serving=False)
        assert (await anext(seen)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_a_method_without_a_permission_stops_the_server_from_being_built():
    with pytest.raises(methods.DeclarationError, match=r"jobyard\.probe\.v1\.SilentService\.Say"):
        methods.read([probing.SERVICE, "jobyard.probe.v1.SilentService"], [probing.FILE])


def test_a_face_that_no_file_registers_stops_the_server_from_being_built(monkeypatch):
    monkeypatch.setattr(methods, "_faces", lambda _: {})
    with pytest.raises(methods.DeclarationError, match="names the face 'probe'"):
        methods.read([probing.SERVICE], [probing.FILE])


def test_what_is_declared_has_to_be_offered():
    class Partial(probing.Probe):
        def Known(self, request, context):
            return SayResponse()

    with pytest.raises(TypeError, match=r"ProbeService/Known has to be an `async def`"):
        probing.add_to_server(Partial(), recording.Recording())


async def test_what_the_transcoder_refuses_passes_through_untouched(rpc):
    refusal = RequestRefused("FIELD_UNKNOWN", "no such field")

    async def decode():
        raise refusal

    call = Call(SAY, tuple(SAYER.items()), None, "ipv4:127.0.0.1:1")
    with pytest.raises(RequestRefused) as caught:
        await rpc.backend.unary(call, decode)
    assert caught.value is refusal
    with pytest.raises(RequestRefused):
        await anext(rpc.backend.stream(Call(SAY.replace("Say", "Count"), call.metadata, None, ""), decode))
    assert _edge(rpc).serving == set()


def test_every_reason_has_the_code_its_proto_declares():
    codes = {reason: from_refusal(refuse(reason, "x").refusal, "r").code_name for reason in Reason}
    assert codes[Reason.JOB_NOT_FOUND] == "NOT_FOUND"
    assert codes[Reason.EVENTS_COMPACTED] == "OUT_OF_RANGE"
    assert "OK" not in codes.values()


async def test_the_edge_bounds_messages_by_what_their_method_takes():
    edge = probing.guarded(Limits(request_bytes=1000))
    async with serving(edge=edge) as (_, channel):
        large = SayRequest(word="small", parts=[{"name": "x"}] * 400).SerializeToString()
        error = await call_raw(channel, large, **SAYER)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than 1000 bytes" in error.details()


async def test_requests_in_memory_are_bounded_together():
    edge = probing.guarded(Limits(requests_bytes=150_000))
    large = SayRequest(word="wait", parts=[{"name": "x"}] * 20_000)
    probe = probing.Probe()
    async with serving(probe, edge) as (_, channel):
        door = GrpcDoor(channel)
        first = asyncio.create_task(door.call("Say", large, SAYER))
        async with asyncio.timeout(60):
            while not edge.budget.used:
                await asyncio.sleep(0.01)
        refused = await door.call("Say", large, SAYER)
        assert (refused.code, refused.info.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert refused.details["RetryInfo"].retry_delay.seconds == 1
        probe.go_on.set()
        assert (await first).code == "OK"
        assert (edge.budget.used, edge.budget.refusals) == (0, 1)
        assert 100_000 <= edge.budget.peak <= 150_000
