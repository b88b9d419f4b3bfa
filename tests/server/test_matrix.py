"""Every rpc by every way to call it, with every kind of credential, over real connections.

Generated from the protos: a method, a route or a face that is new is in it. Requests are no messages, so a caller who
is let in hears of that, and nobody else does.
"""

from __future__ import annotations

import http.client
import json
import re
import time

import grpc
import pytest
from google.protobuf import descriptor_pool

from jobyard_server import main
from jobyard_server.callers.credential import AUTHORIZATION, Place
from jobyard_server.callers.token_file import revoke
from jobyard_server.rpc import methods
from jobyard_server.rpc.methods import Access
from jobyard_server.transcoding import surface
from support.callers import Callers
from support.running import Server

POOL = descriptor_pool.Default()
FILES = [file for api in main.APIS for file in api.files]
SERVICES = [POOL.FindServiceByName(service.name) for api in main.APIS for service in api.services]
METHODS = methods.read([service.full_name for service in SERVICES], FILES)
SURFACE = surface.read(SERVICES, FILES)
ROUTES = [(spec, route) for spec in SURFACE.methods for route in spec.routes]
NO_MESSAGE = b"\xff\xff"


@pytest.fixture(scope="module")
def callers(tmp_path_factory):
    return Callers(tmp_path_factory.mktemp("callers"), methods.permissions(METHODS))


@pytest.fixture(scope="module")
def server(tmp_path_factory, callers):
    settings = {"JOBYARD_LOG_CALLS": "false", "JOBYARD_LOG_CHANGES": "false", "JOBYARD_MAX_METADATA_BYTES": "65536"}
    with Server(tmp_path_factory.mktemp("matrix"), **settings, **callers.settings) as server:
        yield server
        assert '"level":"error"' not in server.text()


@pytest.fixture(scope="module")
async def channel(server):
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="module")
def connection(server):
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    yield connection
    connection.close()


def cases(callers, method):
    """What is shown, and what becomes of it: refused as nobody, refused as somebody, or let in."""
    nobody = None if method.access is Access.OPEN else 401
    lacking = 403 if method.access is Access.PERMISSION else None
    return {
        "none": (None, nobody),
        # Who shows what nobody knows is nobody.
        "bad": (callers.bad, nobody),
        "expired": (callers.expired, nobody),
        "nothing": (callers.nothing, lacking),
        "missing": (callers.all_but.get(method.permission, callers.nothing), lacking),
        "right": (callers.only.get(method.permission, callers.nothing), None),
        "everything": (callers.everything, None),
    }


CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}


async def over_grpc(channel, path, descriptor, metadata):
    kind = (
        f"{'stream' if descriptor.client_streaming else 'unary'}_{'stream' if descriptor.server_streaming else 'unary'}"
    )
    ongoing = getattr(channel, kind)(path)(
        iter([NO_MESSAGE]) if descriptor.client_streaming else NO_MESSAGE, metadata=metadata, timeout=60
    )
    try:
        if descriptor.server_streaming:
            async for _ in ongoing:
                pass
        else:
            await ongoing
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.full_name)
async def test_over_grpc(channel, callers, service):
    wrong = []
    for descriptor in service.methods:
        path = f"/{service.full_name}/{descriptor.name}"
        method = METHODS[path]
        assert AUTHORIZATION in method.places
        for place in method.places:
            for name, (shown, status) in cases(callers, method).items():
                metadata = () if shown is None else (shown.header(place),)
                code = await over_grpc(channel, path, descriptor, metadata)
                if code != CODES.get(status, "INVALID_ARGUMENT"):
                    wrong.append((path, place.header, place.scheme, name, code))
    assert wrong == []


def places(face):
    return [Place(each.header.lower(), each.scheme.lower()) for each in face.credentials]


def target(route):
    """A path that the route matches, with names that nothing has."""
    filled = re.sub(r"\{[^}=]+\}", "*", str(route.template.text))
    filled = re.sub(r"\{[^}=]+=([^}]+)\}", r"\1", filled)
    return filled.replace("**", "*").replace("*", "nothing-has-this-name")


def over_http(connection, spec, route, headers):
    """Status, headers and body of the answer to a request whose body is none."""
    sent = {"Grpc-Timeout": "300m", **headers}
    body = b""
    if route.verb not in {"GET", "HEAD", "DELETE"}:
        consumes = spec.consumes.media_types or spec.face.consumes or ["application/json"]
        # What is taken as it comes is sent as what the face usually takes.
        sent["Content-Type"] = "application/json" if "*" in consumes[0] else consumes[0]
        body = b"{"
    if spec.produces and spec.produces[0].media_type:
        sent["Accept"] = spec.produces[0].media_type
    connection.request(route.verb, target(route), body, sent)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize("face", SURFACE.faces, ids=lambda face: face.name or "bare")
def test_over_rest(connection, callers, face):
    wrong = []
    mine = [(spec, route) for spec, route in ROUTES if spec.face is face]
    assert mine
    challenges = [each.challenge for each in face.credentials if each.challenge]
    for spec, route in mine:
        method = METHODS[spec.path]
        for place in places(face):
            for name, (shown, wanted) in cases(callers, method).items():
                headers = {} if shown is None else dict([shown.header(place)])
                status, answered, body = over_http(connection, spec, route, headers)
                right = status == wanted if wanted is not None else status not in {401, 403, 405, 415, 406, 500}
                if status == 401:
                    told = answered.get_all("WWW-Authenticate") or []
                    right = right and [each.partition(" ")[0] for each in told] == [
                        each.partition(" ")[0] for each in challenges
                    ]
                if not right:
                    wrong.append((spec.name, route.verb, target(route), place, name, status, body[:120]))
    assert wrong == []


def test_errors_of_credentials_have_the_form_of_their_face(connection, callers):
    """One method of each face: what is said to nobody and to somebody who may not, in the words of the specs."""
    told = {}
    asking = {spec.face.name: (spec, route) for spec, route in ROUTES if METHODS[spec.path].access is Access.PERMISSION}
    for face in (spec.face for spec, _ in asking.values()):
        spec, route = asking[face.name]
        lacking = dict([callers.nothing.header(places(face)[0])])
        nobody, _, refused = over_http(connection, spec, route, {})
        nothing, _, forbidden = over_http(connection, spec, route, lacking)
        assert (nobody, nothing) == (401, 403)
        told[face.name] = (json.loads(refused), json.loads(forbidden))
    assert told["qinling"][0] == {
        "code": 401,
        "title": "Unauthorized",
        "description": "Failed to validate access token: Authentication required",
    }
    assert told["qinling"][1]["faultstring"] == "Operation not allowed"
    assert told["viya-execution"][0]["errorCode"] == 401
    assert told["viya-execution"][0]["message"] == "Full authentication is required to access this resource"
    assert (told["dataone"][0]["error"]["code"], told["dataone"][1]["error"]["code"]) == (401, 403)
    for name in ("ics", "dms", "a1ei"):
        assert [body["status"] for body in told[name]] == [401, 403], told[name]


def test_a_token_that_is_revoked_ends_soon(connection, callers):
    shown = callers.only["jobs.read"]
    headers = dict([shown.header(AUTHORIZATION)])

    def status():
        connection.request("GET", "/jobyard/v1/jobs", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    revoke(callers._file, shown.name)
    deadline = time.monotonic() + 120
    while status() != 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)
