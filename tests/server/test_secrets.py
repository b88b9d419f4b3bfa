"""No credential of any kind is found where it does not belong, after all of them were shown, good and bad.

Looked through are the log at its most talkative, the file of calls, every answer, the documents and the files of the
database, events among them.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc
from jobyard_server import contract
from jobyard_server.callers.token_file import Entry, create
from support.callers import CHEAP
from support.running import Server
from support.simulated_keystone import SERVICE_TOKEN, simulation

ISSUER = "http://localhost/issuer"
TOKEN = {
    "user": {"id": "kim"},
    "project": {"id": "north"},
    "roles": [{"name": "admin"}],
    "expires_at": "2099-01-01T00:00:00Z",
}
FUTURE = 4_000_000_000


class Peer(BaseHTTPRequestHandler):
    """Keys of an issuer, a DMI service that fails at first, an information producer and a listener of webhooks."""

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.server.heard.append(self.headers.get("Authorization"))
        self.answer(200, self.server.keys if self.path == "/jwks" else {"status": "RUNNING"})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append(self.headers.get("Authorization"))
        self.answer(503 if "cmwriteJob" in self.path else 200, {})


@pytest.fixture(scope="module")
def peer():
    with ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        server.key = ECKey.generate_key("P-256", {"kid": "k1"})
        server.keys = {"keys": [server.key.as_dict(private=False)]}
        server.heard = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def issued(peer, user, **claims):
    header = {"alg": "ES256", "kid": "k1"}
    found = {"iss": ISSUER, "aud": "jobyard", "sub": user, "exp": FUTURE, "roles": ["ops"], **claims}
    return jwt.encode(header, found, peer.key, algorithms=["ES256"])


@pytest.fixture(scope="module")
def secrets(peer, tmp_path_factory):
    """Every credential by what it is."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    found = {
        "token": create(tokens, Entry("ann", "", "ann", "", ("admin",))),
        "token of nobody": "jyd_secret-token-of-nobody-at-all",
        "issued": issued(peer, "ida"),
        "issued and ended": issued(peer, "ida", exp=1000),
        "issued and changed": issued(peer, "ida")[:-8] + "AAAAAAAA",
        "password": "secret-password-of-pat",
        "wrong password": "secret-but-wrong-password",
        "keystone token": "secret-token-of-keystone",
        "unknown keystone token": "secret-token-that-keystone-knows-not",
        "keystone's service token": SERVICE_TOKEN,
        "password of the service": "secret-password-of-the-service",
        "our own token": "secret-token-of-this-server",
        "webhook": "whsec_" + base64.b64encode(b"secret key of a webhook, 32 long").decode(),
    }
    pair = base64.b64encode(f"pat:{found['password']}".encode()).decode()
    wrong = base64.b64encode(f"pat:{found['wrong password']}".encode()).decode()
    found |= {"pair": pair, "wrong pair": wrong}
    found["file of tokens"] = str(tokens)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory, peer, secrets):
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "own-token").write_text(secrets["our own token"])
    with simulation(
        secrets["password of the service"], {secrets["keystone token"]: (200, {"token": TOKEN})}
    ) as keystone:
        settings = {
            "AUTH_TOKENS": secrets.pop("file of tokens"),
            "AUTH_USERS": json.dumps({"pat": {"password": CHEAP.hash(secrets["password"]), "roles": ["admin"]}}),
            "AUTH_ISSUERS": json.dumps(
                [
                    {
                        "issuer": ISSUER,
                        "jwks_url": f"{peer.url}/jwks",
                        "audience": ["jobyard"],
                        "role_names": {"ops": "admin"},
                    }
                ]
            ),
            "AUTH_KEYSTONE": json.dumps(
                {
                    "auth_url": keystone,
                    "username": "jobyard",
                    "password": secrets["password of the service"],
                    "role_names": {"admin": "admin"},
                }
            ),
            "OUTBOUND_TOKEN_FILE": str(folder / "own-token"),
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "AUDIT_FILE": str(folder / "audit.jsonl"),
            "LOG_LEVEL": "debug",
            "DMI_FORWARD_BEARER": "true",
            "DELIVERY_CHECK_SECONDS": "0.1",
        }
        with Server(folder, **{f"JOBYARD_{name}": value for name, value in settings.items()}) as server:
            server.told = []
            yield server


def ask(server, path, body=None, method=None, **headers):
    """Ask, and keep whatever comes back."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if content is not None:
        given = {"Content-Type": "application/json", **given}
    request = urllib.request.Request(server.url + path, content, given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
            told = str(answer.headers).encode() + text
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
            told = str(error.headers).encode() + text
    server.told.append((path, told))
    return status, text


async def over_grpc(server, shown):
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        try:
            await stub.ListJobs(
                job_access_pb2.ListJobsRequest(), metadata=(("authorization", f"Bearer {shown}"),), timeout=20
            )
        except grpc.aio.AioRpcError as error:
            server.told.append(("ListJobs", repr((error.details(), error.trailing_metadata())).encode()))
            return error.code().name
    return "OK"


GOOD = ("token", "issued", "keystone token")
BAD = ("token of nobody", "issued and ended", "issued and changed", "unknown keystone token")


async def test_all_are_shown_and_none_is_found(server, secrets, peer):
    for name in (*GOOD, *BAD):
        wanted = (200, "OK") if name in GOOD else (401, "UNAUTHENTICATED")
        for path in ("/jobyard/v1/jobs", "/jobExecution/jobs", "/ghibli-rest/v2/job-manager/jobs"):
            assert ask(server, path, Authorization=f"Bearer {secrets[name]}")[0] == wanted[0], name
        assert ask(server, "/v1/jobs", X_Auth_Token=secrets[name])[0] == wanted[0], name
        assert await over_grpc(server, secrets[name]) == wanted[1]
        # In places where credentials do not belong, but people put them.
        ask(server, "/jobyard/v1/jobs", b"{", Authorization=f"Bearer {secrets[name]}")
    read_status, _ = ask(server, "/dmi/v1/dataJob/x/dataProducerJob/y/status?dataProducerId=z",
                         Authorization=f"Basic {secrets['pair']}")  # fmt: skip
    assert read_status not in {401, 403}
    assert ask(server, "/dmi/v1/dataJob/x/dataProducerJob/y/status?dataProducerId=z",
               Authorization=f"Basic {secrets['wrong pair']}")[0] == 401  # fmt: skip
    log_in(server, secrets)
    use(server, secrets, peer)
    for name in contract.openapi_names():
        ask(server, f"/openapi/{name}")
    for path in ("/docs", "/docs/docs.js", "/metrics", "/readyz", "/jobyard/v1/deliveries", "/jobyard/v1/webhooks"):
        assert ask(server, path, Authorization=f"Bearer {secrets['token']}")[0] == 200, path
    look_for(server, secrets, peer.url.encode())


def log_in(server, secrets):
    """The token that a login gives is one more secret; the answer to it is the one place for it."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    for password, wanted in (("password", 200), ("wrong password", 401)):
        body = urllib.parse.urlencode({"username": "pat", "password": secrets[password]}).encode()
        status, text = ask(server, "/ghibli-rest/v2/login", body, **form)
        assert status == wanted
        if status == 200:
            server.told.pop()
            secrets["session"] = json.loads(text)["access_token"]
    assert ask(server, "/jobyard/v1/jobs", Authorization=f"Bearer {secrets['session']}")[0] == 200


def use(server, secrets, peer):
    """Let the server keep and show what it was given: of webhooks, forwarded tokens, its own."""
    ann = {"Authorization": f"Bearer {secrets['token']}"}
    hook = {"webhook": {"id": "w", "url": f"{peer.url}/hook", "secret": secrets["webhook"]}}
    status, text = ask(server, "/jobyard/v1/webhooks/w", hook["webhook"], "PUT", **ann)
    assert status in {200, 201}, text
    server.told.pop()  # it is shown to whoever sets it
    assert ask(server, "/jobyard/v1/webhooks/w", **ann)[0] == 200
    assert ask(server, "/jobyard/v1/jobs", {"queue": "q", "payload": 1}, **ann)[0] in {200, 201}
    producer = {
        "info_producer_supervision_callback_url": f"{peer.url}/health",
        "info_job_callback_url": f"{peer.url}/jobs",
        "supported_info_types": ["t"],
    }
    for path, body in (
        ("/data-producer/v1/info-types/t", {"info_job_data_schema": {}}),
        ("/data-producer/v1/info-producers/p", producer),
        (
            "/data-consumer/v1/info-jobs/j",
            {"info_type_id": "t", "job_owner": "o", "job_definition": {}, "job_result_uri": f"{peer.url}/result"},
        ),
    ):
        assert ask(server, path, body, "PUT", **ann)[0] in {200, 201}, path
    target = {
        "dmiPlugin": peer.url,
        "createdCmHandles": [{"cmHandle": "c", "alternateId": "/a", "dataProducerIdentifier": "p"}],
    }
    assert ask(server, "/ncmpInventory/v1/ch", target, **ann)[0] == 200
    write = {
        "dataJobMetadata": {"destination": "d", "dataAcceptType": "a", "dataContentType": "b"},
        "dataJobWriteRequest": {"data": [{"path": "/a", "op": "add", "operationId": "1", "value": {}}]},
    }
    ask(server, "/do-not-use/dataJobs/j/write", write, Authorization=f"Bearer {secrets['issued']}")
    deadline = time.monotonic() + 120
    shown = {f"Bearer {secrets['issued']}", f"Bearer {secrets['our own token']}"}
    while not shown <= set(peer.heard):
        assert time.monotonic() < deadline, (peer.heard, server.told[-1], server.text()[-3000:])
        time.sleep(0.1)


def look_for(server, secrets, known):
    """Nothing of it stands anywhere, where other things do."""
    places = {f"answer of {path}": told for path, told in server.told}
    places["log"] = server.text().encode()
    places |= {
        file.name: file.read_bytes() for file in server.folder.iterdir() if file.is_file() and file.name != "own-token"
    }
    assert {"jobyard.db", "jobyard.db-wal", "audit.jsonl"} <= set(places)
    assert len(places["log"]) > 1000
    assert known in places["jobyard.db"] + places["jobyard.db-wal"]
    assert b"/jobyard.jobs.v1.JobService/SubmitJob" in places["audit.jsonl"]
    found = [
        (name, where)
        for name, secret in secrets.items()
        for where, text in places.items()
        for form in {secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}
        if form in text
    ]
    assert found == []
