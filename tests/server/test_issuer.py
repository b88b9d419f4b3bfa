"""A server beside a real OpenID Connect issuer, which comes back with other keys."""

import asyncio
import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc
import pytest

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc
from support.ports import free_port
from support.running import Server

CLIENT = "jobyard"
BACK = "http://localhost:1/back"


class Issuer:
    """The issuer as a process; each start makes a key of its own."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = folder / "issuer.log"

    def __enter__(self):
        claims = json.dumps({"sub": "ann", "tenant": "north", "groups": ["operators", "of another system"]})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port), "--user-claims", claims],
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/.well-known/openid-configuration", timeout=10) as answer:
                    self.configuration = json.load(answer)
                    return self
            except OSError:
                assert time.monotonic() < deadline, self.log.read_text()
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def sign_in(self, client=CLIENT):
        """The token that a browser would come back with."""
        query = {"client_id": client, "redirect_uri": BACK, "response_type": "code", "scope": "openid"}
        place = f"{self.configuration['authorization_endpoint']}?{urllib.parse.urlencode(query)}"
        opener = urllib.request.build_opener(Stay)
        try:
            opener.open(place, data=b"sub=ann", timeout=60)
            raise AssertionError("the issuer did not send the browser back")
        except urllib.error.HTTPError as sent_back:
            with sent_back:
                back = urllib.parse.urlsplit(sent_back.headers["location"])
        code = urllib.parse.parse_qs(back.query)["code"][0]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": BACK})
        basic = base64.b64encode(f"{client}:any".encode()).decode()
        request = urllib.request.Request(
            self.configuration["token_endpoint"], form.encode(), {"authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["id_token"]


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def rest(server, token):
    request = urllib.request.Request(f"{server.url}/jobyard/v1/jobs", headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def rpc(server, token):
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        try:
            metadata = (("authorization", f"Bearer {token}"),)
            await stub.ListJobs(job_access_pb2.ListJobsRequest(), metadata=metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


@pytest.mark.timeout(300)
async def test_tokens_of_an_issuer_are_taken_also_after_it_changed_its_keys(tmp_path):
    issuer = Issuer(tmp_path)
    settings = {
        "issuer": issuer.url,
        "jwks_url": f"{issuer.url}/jwks",
        "audience": [CLIENT],
        "tenant_claim": "tenant",
        "roles_claim": "groups",
        "role_names": {"operators": "admin"},
        "keys_seconds": 1,
    }
    with issuer, Server(tmp_path, JOBYARD_AUTH_ISSUERS=json.dumps([settings])) as server:
        assert issuer.configuration["issuer"] == issuer.url
        assert issuer.configuration["jwks_uri"] == settings["jwks_url"]
        first = issuer.sign_in()
        assert (rest(server, first), await rpc(server, first)) == (200, "OK")
        assert (rest(server, first[:-6]), await rpc(server, first[:-6])) == (401, "UNAUTHENTICATED")
        foreign = issuer.sign_in("another-service")
        assert (rest(server, foreign), await rpc(server, foreign)) == (401, "UNAUTHENTICATED")
        issuer.__exit__()
        assert rest(server, first) == 200, "keys that are known are used while the issuer is away"
        with issuer:
            second = issuer.sign_in()
            deadline = time.monotonic() + 120
            while rest(server, second) != 200:
                assert time.monotonic() < deadline, server.text()
                await asyncio.sleep(0.5)
            assert await rpc(server, second) == "OK"
            assert (rest(server, first), await rpc(server, first)) == (401, "UNAUTHENTICATED")
        for secret in (first, second, foreign):
            assert secret not in server.text()
