"""Every call goes the same way, whichever door it came by: these tests run over gRPC and in process."""

import asyncio

import pytest

from support import probing
from support.doors import GrpcDoor, InProcessDoor
from support.probing import SayRequest, bearer

SAYER = bearer("sayer")


@pytest.fixture(params=["grpc", "in process"])
def door(request, grpc_channel, rpc):
    return GrpcDoor(grpc_channel) if request.param == "grpc" else InProcessDoor(rpc.backend)


async def test_a_call_is_served_and_knows_its_caller(door):
    outcome = await door.call("Say", SayRequest(word="hello"), bearer("sayer", **{"x-request-id": "r-1"}))
    assert outcome.code == "OK"
    (response,) = outcome.responses
    assert (response.word, response.user, response.request_id) == ("hello", "ann@north", "r-1")


async def test_a_call_without_a_good_request_id_gets_one(door):
    for sent in ({}, {"x-request-id": "has blanks"}, {"x-request-id": "x" * 200}):
        outcome = await door.call("Say", SayRequest(word="hello"), bearer("sayer", **sent))
        assert 8 <= len(outcome.responses[0].request_id) <= 128
        assert outcome.responses[0].request_id not in sent.values()


@pytest.mark.parametrize(
    ("method", "metadata", "code", "reason"),
    [
        ("Say", {}, "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
        ("Say", bearer("nobody"), "UNAUTHENTICATED", "CREDENTIALS_INVALID"),
        ("Say", {"authorization": "Digest sayer"}, "UNAUTHENTICATED", "CREDENTIALS_INVALID"),
        ("Say", bearer("stranger"), "PERMISSION_DENIED", "PERMISSION_MISSING"),
        ("Say", bearer("bare"), "PERMISSION_DENIED", "PERMISSION_MISSING"),
        ("Say", SAYER, "OK", ""),
        ("Say", {"authorization": "bEARER sayer"}, "OK", ""),
        ("Say", {"x-auth-token": "sayer"}, "OK", ""),
        ("Say", {"x-auth-token": "nobody", "authorization": "Bearer sayer"}, "UNAUTHENTICATED", "CREDENTIALS_INVALID"),
        ("Say", {"authorization": "basic sayer"}, "OK", ""),
        ("Say", {"authorization": "Basic nobody"}, "UNAUTHENTICATED", "CREDENTIALS_INVALID"),
        ("Known", {}, "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
        ("Known", bearer("bare"), "OK", ""),
        ("Open", {}, "OK", ""),
        ("Open", bearer("nobody"), "OK", ""),
        ("Open", bearer("guesser"), "RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS"),
    ],
)
async def test_who_may_call_what(door, method, metadata, code, reason):
    outcome = await door.call(method, SayRequest(word="hello"), metadata)
    assert outcome.code == code
    assert (outcome.info.reason if reason else "") == reason


@pytest.mark.parametrize("method", ["Say", "Count"])
async def test_a_caller_is_admitted_before_the_request_is_looked_at(door, method):
    outcome = await door.call(method, SayRequest(word=""), bearer("stranger"))
    assert (outcome.code, outcome.info.metadata["permission"]) == ("PERMISSION_DENIED", "probe.say")


async def test_rules_are_kept_and_every_broken_one_is_named(door):
    request = SayRequest(word="", parts=[{"name": "ok"}, {"name": "long"}], numbers={"a b": -1})
    outcome = await door.call("Say", request, SAYER)
    assert (outcome.code, outcome.info.reason, outcome.info.domain) == ("INVALID_ARGUMENT", "INVALID_FIELD", "jobyard")
    assert outcome.fields == {
        "word": "must be at least 1 characters",
        "parts[1].name": "must be at most 3 characters",
        'numbers["a b"]': "must be greater than or equal to 0",
    }
    assert outcome.message == "word: must be at least 1 characters (and 2 more)"


@pytest.mark.parametrize("method", ["Collect", "Chat"])
async def test_rules_are_kept_in_streams_of_requests(door, method):
    outcome = await door.call(method, [SayRequest(word="good"), SayRequest(word="")], SAYER)
    assert (outcome.code, list(outcome.fields)) == ("INVALID_ARGUMENT", ["word"])


async def test_a_refusal_is_told_with_all_it_knows(door):
    metadata = bearer("sayer", **{"x-request-id": "r-7"})
    outcome = await door.call("Say", SayRequest(word="refuse"), metadata)
    assert (outcome.code, outcome.message) == ("NOT_FOUND", "There is no job 42.")
    assert (outcome.info.reason, outcome.info.domain) == ("JOB_NOT_FOUND", "jobyard")
    assert dict(outcome.info.metadata) == {"job": "42"}
    assert outcome.fields == {"parts[0].name": "is not known"}
    assert outcome.details["RetryInfo"].retry_delay.ToMilliseconds() == 2500
    assert outcome.details["RequestInfo"].request_id == "r-7"


async def test_a_long_refusal_still_fits_into_headers(door):
    outcome = await door.call("Say", SayRequest(word="many"), SAYER)
    assert outcome.code == "INVALID_ARGUMENT"
    assert len(outcome.message) == 1000
    assert "more fields" in list(outcome.fields.values())[-1]
    assert sum(each.ByteSize() for each in outcome.details.values()) < 4096


@pytest.mark.parametrize("word", ["break", "own timeout", "nothing"])
async def test_a_mistake_of_ours_tells_nothing_but_its_number(door, word):
    metadata = bearer("sayer", **{"x-request-id": "r-9"})
    outcome = await door.call("Say", SayRequest(word=word), metadata)
    assert (outcome.code, outcome.info.reason) == ("INTERNAL", "INTERNAL")
    assert "r-9" in outcome.message
    assert "hunter2" not in outcome.message


async def test_a_handler_may_end_the_call_itself(door):
    outcome = await door.call("Say", SayRequest(word="abort"), SAYER)
    assert (outcome.code, outcome.message) == ("DATA_LOSS", "gone")
    outcome = await door.call("Say", SayRequest(word="code"), SAYER)
    assert (outcome.code, outcome.message) == ("OUT_OF_RANGE", "too far")


async def test_a_handler_may_say_more_behind_its_answer(door):
    outcome = await door.call("Say", SayRequest(word="trailing"), SAYER)
    assert outcome.trailing["x-more"] == "yes"


async def test_streams(door):
    outcome = await door.call("Count", SayRequest(word="three"), SAYER)
    assert [each.word for each in outcome.responses] == ["three"] * 3
    outcome = await door.call("Collect", [SayRequest(word="a"), SayRequest(word="b")], SAYER)
    assert [each.word for each in outcome.responses] == ["a b"]
    outcome = await door.call("Chat", [SayRequest(word="a"), SayRequest(word="b")], SAYER)
    assert [(each.word, each.user) for each in outcome.responses] == [("a", "ann@north"), ("b", "ann@north")]


@pytest.mark.parametrize(("word", "code"), [("break", "INTERNAL"), ("refuse", "OUT_OF_RANGE")])
async def test_a_stream_that_fails_says_so_after_what_it_sent(door, word, code):
    outcome = await door.call("Count", SayRequest(word=word), SAYER)
    assert (outcome.code, len(outcome.responses)) == (code, 3)


async def ending_of(probe):
    """How handlers ended, once one has."""
    async with asyncio.timeout(60):
        while not probe.ended:
            await asyncio.sleep(0.01)
    return set(probe.ended)


async def over(edge):
    """Return when no call is in progress."""
    async with asyncio.timeout(60):
        while edge.serving:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", ["Say", "Count"])
@pytest.mark.parametrize("seconds", [0.15, 1.3])
async def test_a_deadline_ends_the_call_and_its_handler(door, probe, method, seconds):
    clock = asyncio.get_running_loop().time
    probe.ended.clear()
    probe.began.clear()
    # On a busy machine the time may be over before the server has heard of the call.
    while not probe.began.is_set():
        began = clock()
        outcome = await door.call(method, SayRequest(word="sleep", seconds=600), SAYER, seconds=seconds)
        assert outcome.code == "DEADLINE_EXCEEDED"
        assert seconds - 0.05 <= clock() - began < seconds + 30
    assert await ending_of(probe) == {"cancelled" if method == "Say" else "closed"}


async def test_a_caller_who_goes_away_ends_the_handler(door, probe):
    for method, ending in (("Say", "cancelled"), ("Count", "closed")):
        probe.ended.clear()
        probe.began.clear()
        task = asyncio.create_task(door.call(method, SayRequest(word="sleep", seconds=20), SAYER))
        await probe.began.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ending_of(probe) == {ending}


async def test_no_call_is_left_behind(door, edge):
    await door.call("Say", SayRequest(word="hello"), SAYER)
    await over(edge)


async def test_calls_are_counted_by_their_end(door, edge):
    def counted():
        samples = (sample for family in edge.metrics._calls.collect() for sample in family.samples)
        return {
            (sample.labels["door"], sample.labels["code"]): sample.value
            for sample in samples
            if sample.name.endswith("_total") and sample.labels["method"].endswith("/Known")
        }

    before = counted()
    await door.call("Known", SayRequest(word="hello"), SAYER)
    await door.call("Known", SayRequest(word="hello"))
    await over(edge)
    grown = {key: value - before.get(key, 0) for key, value in counted().items() if value != before.get(key, 0)}
    way = "grpc" if isinstance(door, GrpcDoor) else "rest"
    assert grown == {(way, "OK"): 1, (way, "UNAUTHENTICATED"): 1}


def test_the_probe_service_is_read_from_its_options(rpc):
    assert rpc.methods[f"/{probing.SERVICE}/Say"].permission == "probe.say"
    assert [(place.header, place.scheme) for place in rpc.methods[f"/{probing.SERVICE}/Say"].places] == [
        ("x-auth-token", ""),
        ("authorization", "basic"),
        ("authorization", "bearer"),
    ]
