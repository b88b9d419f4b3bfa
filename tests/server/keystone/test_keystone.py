"""Qinling's clients with tokens of a real Keystone: projects, roles, tokens that end, and Keystone away."""

import asyncio
import json
import os
import time
import urllib.error
import urllib.request

import grpc
import pytest

from jobyard.qinling.v1 import function_service_pb2, function_service_pb2_grpc
from support.openstack import Keystone
from support.running import Server

SERVICE = "the service's own password"


@pytest.fixture(scope="module")
def keystone(tmp_path_factory):
    keystone = Keystone(tmp_path_factory.mktemp("keystone"), os.environ["KEYSTONE"])
    with keystone:
        keystone.projects = {name: keystone.project(name) for name in ("service", "north", "south")}
        keystone.user("jobyard", SERVICE, keystone.projects["service"], "service")
        for name, project, role in (
            ("ann", "north", "member"),
            ("bob", "south", "member"),
            ("eve", "south", "reader"),
            ("root", "north", "admin"),
        ):
            keystone.user(name, f"{name}'s password", keystone.projects[project], role)
    return keystone


def settings(keystone, **more):
    found = {"auth_url": keystone.url, "username": "jobyard", "password": SERVICE, "cache_seconds": 1, **more}
    return {"JOBYARD_AUTH_KEYSTONE": json.dumps(found)}


def call(server, token, path="/v1/jobs", body=None):
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"X-Auth-Token": token})
    request = urllib.request.Request(f"{server.url}{path}", body and json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


async def rpc(server, token):
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        stub = function_service_pb2_grpc.FunctionServiceStub(channel)
        try:
            metadata = (("x-auth-token", token),)
            await stub.ListFunctions(function_service_pb2.ListFunctionsRequest(), metadata=metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


@pytest.mark.timeout(300)
async def test_tokens_of_keystone_are_taken_for_their_projects(keystone, tmp_path):
    with keystone, Server(tmp_path, **settings(keystone)) as server:
        tokens = {
            name: keystone.token(name, f"{name}'s password", project)
            for name, project in (("ann", "north"), ("bob", "south"), ("eve", "south"), ("root", "north"))
        }
        status, runtime, _ = call(server, tokens["root"], "/v1/runtimes", {"name": "python", "image": "python"})
        assert status == 201, runtime
        assert call(server, tokens["ann"], "/v1/runtimes", {"name": "other", "image": "x"})[0] == 403
        lists = {name: call(server, token)[0] for name, token in tokens.items()}
        assert lists == {"ann": 200, "bob": 200, "eve": 403, "root": 200}
        assert [await rpc(server, tokens[name]) for name in ("ann", "eve")] == ["OK", "PERMISSION_DENIED"]

        # A project sees its own, an administrator asks for all.
        status, made, _ = call(server, tokens["bob"], "/v1/jobs?all_projects=true")
        assert status == 403, made
        assert call(server, tokens["root"], "/v1/jobs?all_projects=true")[0] == 200
        assert runtime["project_id"] == keystone.projects["north"]

        # Not a token, none, and one of no project.
        for shown in ("nonsense", keystone.token("ann", "ann's password", None), None):
            status, body, headers = call(server, shown)
            assert (status, body["code"], body["title"]) == (401, 401, "Unauthorized")
            assert headers["WWW-Authenticate"] == f'Keystone uri="{server.url}"'
            assert headers["Server-Error-Message"] == body["description"]
        assert call(server, None, "/v1/")[0] == 200

        for secret in (*tokens.values(), SERVICE):
            assert secret not in server.text()


@pytest.mark.timeout(300)
async def test_tokens_end_when_keystone_says_so_and_are_not_taken_blindly_while_it_is_away(keystone, tmp_path):
    with keystone, Server(tmp_path, **settings(keystone)) as server:
        tokens = {
            name: keystone.token(name, f"{name}'s password", project)
            for name, project in (("ann", "north"), ("bob", "south"))
        }
        assert [call(server, token)[0] for token in tokens.values()] == [200, 200]
        # One that is revoked ends as soon as it is asked about again.
        keystone.revoke(tokens["bob"])
        deadline = time.monotonic() + 120
        while call(server, tokens["bob"])[0] != 401:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)

        # Keystone away: nobody is let in whose token it was not asked about just now.
        keystone.__exit__()
        await asyncio.sleep(1.2)
        status, _, headers = call(server, tokens["ann"])
        assert (status, headers["Retry-After"]) == (503, "5")
        assert await rpc(server, tokens["ann"]) == "UNAVAILABLE"
        with keystone:
            assert call(server, tokens["ann"])[0] == 200


@pytest.mark.timeout(300)
def test_a_service_user_with_a_wrong_password_lets_nobody_in(keystone, tmp_path):
    with keystone, Server(tmp_path, **settings(keystone, password="wrong one")) as server:
        token = keystone.token("ann", "ann's password", "north")
        assert call(server, token)[0] == 503
        assert "Keystone cannot be asked" in server.text()
        assert "wrong one" not in server.text()
        assert token not in server.text()
