"""What each address gets of a running server: calls over time, and connections."""

import contextlib
import http.client
import json
import time

import pytest

from support.running import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"ADDRESS_RATE": "0.01", "ADDRESS_BURST": "4", "MAX_CONNECTIONS_PER_ADDRESS": "3"}
    with Server(
        tmp_path_factory.mktemp("shares"), **{f"JOBYARD_{name}": value for name, value in settings.items()}
    ) as s:
        yield s


@contextlib.contextmanager
def connected(server):
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def get(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_more_connections_than_its_own_are_sent_away(server):
    with contextlib.ExitStack() as stack:
        few = [stack.enter_context(connected(server)) for _ in range(3)]
        assert [get(each, "/healthz")[0] for each in few] == [200, 200, 200]
        with connected(server) as another:
            status, headers, body = get(another, "/healthz")
            assert (status, headers["Retry-After"], headers["Connection"]) == (429, "1", "close")
            assert b"connections" in body
        assert [get(each, "/healthz")[0] for each in few] == [200, 200, 200]
        few[0].close()
        deadline = time.monotonic() + 120
        with connected(server) as another:
            while get(another, "/healthz")[0] != 200:
                assert time.monotonic() < deadline
                another.close()


def test_more_calls_than_its_own_are_refused_as_the_face_says(server):
    with connected(server) as connection:
        for _ in range(4):
            assert get(connection, "/jobyard/v1/jobs")[0] == 200
        status, headers, body = get(connection, "/ghibli-rest/v2/job-manager/jobs")
        assert (status, json.loads(body)["error"]["code"]) == (429, 429)
        assert 80 < int(headers["Retry-After"]) <= 100
        status, headers, body = get(connection, "/v1/jobs")
        assert (status, set(json.loads(body))) == (429, {"debuginfo", "faultcode", "faultstring"})
        status, headers, body = get(connection, "/jobExecution/jobs")
        assert (status, json.loads(body)["httpStatusCode"]) == (429, 429)
        assert get(connection, "/readyz")[0] == 200, "what tells how the server does is not counted"
