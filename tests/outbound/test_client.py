"""Calls to real peers: what comes back, and that nothing of a bad one does harm."""

import asyncio
import base64
import hmac
import os
import socket
import time

import pytest
import pytest_asyncio

from jobyard_server.domain.delivery import Answer, AnswerBrokeError, HttpCall, Problem
from jobyard_server.outbound import client as outbound
from jobyard_server.outbound.client import HttpClient
from jobyard_server.outbound.policy import LOOPBACK, AddressPolicy
from jobyard_server.outbound.token_file import TokenFile
from support.peers import babble, break_off, hang, listening, nobody_listens, redirect, reply


@pytest_asyncio.fixture
async def client():
    opened = HttpClient(AddressPolicy(LOOPBACK), TokenFile(None))
    opened.open()
    yield opened
    await opened.close()


async def post(client, url, seconds=60.0, **changes):
    return await client.call(HttpCall("POST", url, body=b'{"a":1}', **changes), "uid-1", seconds)


async def test_a_call_arrives_as_it_was_made_up(client):
    async with listening(reply(201, b'{"ok":true}', X_Answer="yes")) as peer:
        answer = await post(client, f"{peer.url}/jobs/a%2Fb?x=%20", headers={"X-Mine": "1"})
    assert (answer.status, answer.body, answer.headers["x-answer"]) == (201, b'{"ok":true}', "yes")
    (request,) = peer.requests
    assert (request.method, request.path, request.body) == ("POST", "/jobs/a%2Fb?x=%20", b'{"a":1}')
    assert request.headers["idempotency-key"] == "uid-1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-mine"] == "1"
    assert "authorization" not in request.headers
    assert "webhook-signature" not in request.headers


async def test_a_get_has_no_body_and_no_key(client):
    async with listening() as peer:
        assert (await client.call(HttpCall("GET", f"{peer.url}/health"), "uid-1", 5)).status == 204
    assert peer.requests[0].body == b""
    assert not {"idempotency-key", "content-type"} & peer.requests[0].headers.keys()


async def test_a_signature_can_be_checked(client):
    async with listening() as peer:
        await post(client, peer.url, signing_secret=b"s" * 32)
    headers = peer.requests[0].headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + peer.requests[0].body
    expected = base64.b64encode(hmac.new(b"s" * 32, signed, "sha256").digest()).decode()
    assert headers["webhook-id"] == "uid-1"
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 120


async def test_a_redirect_is_an_answer_and_is_not_followed(client):
    async with listening() as inside, listening(redirect(f"{inside.url}/secret")) as peer:
        answer = await post(client, peer.url)
    assert answer.status == 302
    assert inside.requests == []


@pytest.mark.parametrize(
    ("behaviour", "problem"), [(hang, Problem.TIMED_OUT), (break_off, Problem.BROKEN), (babble, Problem.BROKEN)]
)
async def test_a_bad_peer_is_a_problem_told_in_time(client, behaviour, problem):
    async with listening(behaviour) as peer:
        began = time.monotonic()
        answer = await post(client, peer.url, seconds=0.5)
    assert (answer.status, answer.problem) == (0, problem)
    assert answer.message
    assert time.monotonic() - began < 30


async def test_a_peer_that_drips_its_body_is_cut_off_in_time(client):
    async def drip(_request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with listening(drip) as peer:
        assert (await post(client, peer.url, seconds=0.4)).problem is Problem.TIMED_OUT


async def test_nobody_there(client):
    assert (await post(client, await nobody_listens())).problem is Problem.UNREACHABLE
    assert (await post(client, "http://no-such-host.invalid/")).problem is Problem.UNRESOLVED


async def test_of_a_large_answer_the_beginning_is_kept(client):
    async with listening(reply(200, b"x" * 5_000_000)) as peer:
        answer = await post(client, peer.url)
        assert answer.status == 200
        assert len(answer.body) == 64 * 1024
        # The rest was not read, so the connection is not used again.
        peer.behaviour = reply()
        assert (await post(client, peer.url)).status == 204
        assert peer.connections == 2


def opened(client, peer, seconds=60.0, most=64 * 1024):
    return client.open_call(HttpCall("GET", peer.url, answer_bytes=most), "uid-1", seconds)


async def test_an_answer_is_read_while_it_comes(client):
    first_was_read = asyncio.Event()

    async def in_two(_request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 6\r\n\r\none")
        await first_was_read.wait()
        writer.write(b"two")
        await writer.drain()

    async with listening(in_two) as peer, opened(client, peer) as found:
        assert (found.answer.status, found.answer.headers["content-type"]) == (200, "text/x")
        assert await anext(found.pieces) == b"one"
        first_was_read.set()
        assert [piece async for piece in found.pieces] == [b"two"]


async def go_silent(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    await writer.drain()
    await asyncio.sleep(600)


async def go_on(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("behaviour", "problem", "told"),
    [
        (break_off, Problem.BROKEN, "broke off"),
        (go_silent, Problem.TIMED_OUT, "within 0.5 seconds"),
        (go_on, Problem.BROKEN, "longer than 65536 bytes"),
    ],
)
async def test_an_answer_that_is_not_whole_says_so(client, behaviour, problem, told):
    async with listening(behaviour) as peer, opened(client, peer, 0.5) as found:
        with pytest.raises(AnswerBrokeError, match=told) as caught:
            assert b"".join([piece async for piece in found.pieces])
    assert caught.value.answer.problem is problem


@pytest.mark.parametrize(
    ("behaviour", "status", "problem", "body"),
    [
        (reply(404, b"none"), 404, None, b"none"),
        (reply(200, b"x" * 70_000), 0, Problem.BROKEN, b""),
        (hang, 0, Problem.TIMED_OUT, b""),
    ],
)
async def test_an_answer_that_is_no_success_is_known_at_once(client, behaviour, status, problem, body):
    async with listening(behaviour) as peer, opened(client, peer, 0.5) as found:
        assert found.pieces is None
        assert (found.answer.status, found.answer.problem, found.answer.body) == (status, problem, body)


async def test_a_connection_whose_answer_was_read_is_used_again_and_no_other(client):
    async with listening(reply(200, b"x" * 60_000)) as peer:
        for _ in range(2):
            async with opened(client, peer) as found:
                assert len(b"".join([piece async for piece in found.pieces])) == 60_000
        assert peer.connections == 1
        peer.behaviour = reply(200, b"x" * 5_000_000)
        for _ in range(2):
            async with opened(client, peer, most=5_000_000) as found:
                assert await anext(found.pieces)  # and nobody reads the others
        assert peer.connections == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_no_spelling_of_a_private_address_gets_through(host):
    guarded = HttpClient(AddressPolicy(), TokenFile(None))
    guarded.open()
    async with listening() as peer:
        answer = await post(guarded, f"http://{host}:{peer.url.rpartition(':')[2]}/")
    await guarded.close()
    assert answer.problem is Problem.ADDRESS_REFUSED
    assert peer.connections == 0


async def test_a_name_is_called_at_the_address_that_was_checked(monkeypatch):
    """A name that means a public address when it is checked cannot mean a private one when it is called."""
    looked_up = []

    def look_up(host, port, family):
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(outbound, "_look_up", look_up)
    careful = HttpClient(AddressPolicy(["127.0.0.1"]), TokenFile(None))
    careful.open()
    async with listening() as peer:
        answer = await post(careful, f"http://rebound.test:{peer.url.rpartition(':')[2]}/")
    await careful.close()
    assert answer.status == 204
    assert looked_up == ["rebound.test"]


async def test_of_several_addresses_only_allowed_ones_are_called(monkeypatch):
    def look_up(host, port, family):
        places = [("10.0.0.1", port), ("127.0.0.1", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(outbound, "_look_up", look_up)
    careful = HttpClient(AddressPolicy(["127.0.0.1"]), TokenFile(None))
    careful.open()
    async with listening() as peer:
        answer = await post(careful, f"http://two.test:{peer.url.rpartition(':')[2]}/", seconds=60)
    await careful.close()
    assert answer.status == 204


async def test_the_servers_token_is_shown_where_it_is_meant_to_and_follows_its_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    trusted = HttpClient(AddressPolicy(LOOPBACK), TokenFile(file))
    trusted.open()
    async with listening() as peer:
        await post(trusted, peer.url, own_token=True)
        await post(trusted, peer.url)
        file.write_text("second")
        os.utime(file, ns=(1, 1))
        await post(trusted, peer.url, own_token=True)
        file.unlink()
        await post(trusted, peer.url, own_token=True)
        file.write_text("not a\ntoken")
        await post(trusted, peer.url, own_token=True)
    await trusted.close()
    shown = [request.headers.get("authorization") for request in peer.requests]
    assert shown == ["Bearer first", None, "Bearer second", "Bearer second", "Bearer second"]


async def test_a_proxy_is_used_where_it_is_meant_to():
    async with listening() as proxy, listening() as peer:
        careful = HttpClient(AddressPolicy(LOOPBACK), TokenFile(None), proxy.url)
        careful.open()
        assert (await post(careful, "http://nowhere.test/a?b=c", by_proxy=True)).status == 204
        assert (await post(careful, peer.url)).status == 204
        refused = await post(careful, "http://10.0.0.1/", by_proxy=True)
        await careful.close()
        strict = HttpClient(AddressPolicy(), TokenFile(None), proxy.url)
        strict.open()
        unreachable = await post(strict, "http://nowhere.test/", by_proxy=True)
        await strict.close()
    assert [request.path for request in proxy.requests] == ["http://nowhere.test/a?b=c"]
    assert len(peer.requests) == 1
    assert refused.problem is unreachable.problem is Problem.ADDRESS_REFUSED


async def test_headers_cannot_be_smuggled_in(client):
    async with listening() as peer:
        answer = await post(client, peer.url, headers={"X-Mine": "1\r\nX-Evil: 2"})
    assert answer.problem is not None
    assert peer.requests == []


async def test_cookies_of_one_call_are_not_sent_with_the_next(client):
    async with listening(reply(204, Set_Cookie="a=b")) as peer:
        await post(client, peer.url)
        await post(client, peer.url)
    assert "cookie" not in peer.requests[1].headers


async def test_a_closed_client_calls_nobody():
    closed = HttpClient(AddressPolicy(LOOPBACK), TokenFile(None))
    assert isinstance(await post(closed, "http://127.0.0.1:1/"), Answer)
    assert (await post(closed, "http://127.0.0.1:1/")).problem is Problem.BROKEN


async def test_a_large_body_is_sent_piece_by_piece(client):
    async def pieces():
        for number in range(3):
            yield bytes([65 + number]) * 100_000

    async with listening() as peer:
        call = HttpCall("POST", peer.url, pieces=pieces, size=300_000, asks_for_json=True)
        assert (await client.call(call, "uid", 10)).status == 204
        (heard,) = peer.requests
        assert heard.body == b"A" * 100_000 + b"B" * 100_000 + b"C" * 100_000
        assert "transfer-encoding" not in heard.headers
        assert heard.headers["content-type"] == heard.headers["accept"] == "application/json"
