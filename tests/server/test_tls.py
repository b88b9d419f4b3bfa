"""TLS on both doors: certificates that change, old versions, clients that have to show who they are."""

import asyncio
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
import warnings

import grpc
import pytest
import trustme

from jobyard.jobs.v1 import job_access_pb2, job_service_pb2_grpc
from jobyard_server.callers.token_file import Entry, create
from jobyard_server.main import build
from jobyard_server.settings import SettingsError, load
from jobyard_server.tls import CertificateError, CertificateFiles
from support.running import Program

NAME = "uri:spiffe://example.org/billing"
CALLERS = json.dumps({NAME: {"user": "billing", "tenant": "north", "roles": ["admin"]}})


def put(leaf, folder):
    """Write a certificate and its key where a server looks for them."""
    folder.mkdir(exist_ok=True)
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    (folder / "certificate.pem").write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    return folder


def serving(folder, **more):
    """A server with the certificate in `folder`; it is started when it is entered."""
    settings = {
        "JOBYARD_TLS_CERTIFICATE": str(folder / "certificate.pem"),
        "JOBYARD_TLS_KEY": str(folder / "key.pem"),
        **more,
    }
    ready = folder / "ready.json"
    address = ("--grpc", "127.0.0.1:0", "--rest", "127.0.0.1:0", "--ready-file", str(ready))
    return Program(folder, "server", "serve", "--database", f"sqlite:///{folder / 'jobyard.db'}", *address, **settings)


def addresses(program, folder):
    deadline = time.monotonic() + 120
    while not (folder / "ready.json").exists():
        assert time.monotonic() < deadline, program.text()
        assert program.process.poll() is None, program.text()
        time.sleep(0.02)
    found = json.loads((folder / "ready.json").read_text())
    return found["grpc"].replace("127.0.0.1", "localhost"), found["rest"].replace("127.0.0.1", "localhost")


def trusting(authority, shown=None):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if shown is not None:
        shown.configure_cert(context)
    return context


def get(rest, context, path="/jobyard/v1/jobs", **headers):
    request = urllib.request.Request(f"https://{rest}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def names(listener, context):
    """The serial number of the certificate that a server shows."""
    host, _, port = listener.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        return connection.getpeercert()["serialNumber"]


async def list_jobs(address, authority, shown=None, metadata=()):
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        shown and shown.private_key_pem.bytes(),
        shown and b"".join(each.bytes() for each in shown.cert_chain_pems),
    )
    # Channels to one place would otherwise share a connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        try:
            await stub.ListJobs(job_access_pb2.ListJobsRequest(), metadata=metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


async def test_both_doors_speak_tls_and_follow_their_files(tmp_path, authority):
    folder = put(authority.issue_cert("localhost"), tmp_path / "tls")
    with serving(folder) as server:
        grpc_at, rest = addresses(server, folder)
        trust = trusting(authority)
        assert get(rest, trust) == 200
        assert await list_jobs(grpc_at, authority) == "OK"
        before = {names(rest, trust), names(grpc_at, grpc_trust(authority))}
        assert len(before) == 1

        (folder / "key.pem").write_text("half of a renewal")
        async with asyncio.timeout(60):
            while "certificates not reloaded" not in server.text():
                assert {names(rest, trust), names(grpc_at, grpc_trust(authority))} == before
                await asyncio.sleep(0.1)

        other = trustme.CA()
        put(other.issue_cert("localhost"), folder)
        async with asyncio.timeout(60):
            while await list_jobs(grpc_at, other) != "OK":
                await asyncio.sleep(0.1)
        assert get(rest, trusting(other)) == 200
        assert await list_jobs(grpc_at, authority) == "UNAVAILABLE"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            get(rest, trust)


def grpc_trust(authority):
    context = trusting(authority)
    context.set_alpn_protocols(["h2"])
    return context


def test_old_versions_are_refused(tmp_path, authority):
    folder = put(authority.issue_cert("localhost"), tmp_path / "tls")
    with serving(folder) as server:
        for listener in addresses(server, folder):
            assert names(listener, at_most(authority, ssl.TLSVersion.TLSv1_2))
            with pytest.raises((ssl.SSLError, ConnectionError)):
                names(listener, at_most(authority, ssl.TLSVersion.TLSv1_1))


def at_most(authority, version):
    context = grpc_trust(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this side would refuse
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    return context


async def test_certificates_of_clients_make_callers(tmp_path, authority):
    folder = put(authority.issue_cert("localhost"), tmp_path / "tls")
    clients = trustme.CA()
    (folder / "clients.pem").write_bytes(clients.cert_pem.bytes())
    token = create(folder / "tokens.yaml", Entry("a", "", "ann", permissions=("work",)))
    # trustme writes e-mail addresses, hosts and addresses; a host is as good as a URI.
    callers = json.dumps({"dns:billing.example": {"user": "billing", "roles": ["admin"]}})
    settings = {
        "JOBYARD_TLS_CLIENT_AUTHORITIES": str(folder / "clients.pem"),
        "JOBYARD_TLS_CALLERS": callers,
        "JOBYARD_AUTH_TOKENS": str(folder / "tokens.yaml"),
    }
    billing, stranger = clients.issue_cert("billing.example"), clients.issue_cert("stranger.example")
    bearer = f"Bearer {token}"
    with serving(folder, **settings) as server:
        grpc_at, rest = addresses(server, folder)
        assert await list_jobs(grpc_at, authority, billing) == "OK"
        assert get(rest, trusting(authority, billing)) == 200
        # Known to nobody: the connection stands, the caller has still to say who it is.
        assert await list_jobs(grpc_at, authority, stranger) == "UNAUTHENTICATED"
        assert get(rest, trusting(authority, stranger)) == 401
        assert get(rest, trusting(authority, stranger), "/healthz") == 200
        # A token goes before the certificate.
        shown = (("authorization", bearer),)
        assert await list_jobs(grpc_at, authority, billing, shown) == "PERMISSION_DENIED"
        assert get(rest, trusting(authority, billing), Authorization=bearer) == 403
        # No certificate, or one of somebody else: no connection.
        for nobody in (None, trustme.CA().issue_cert("billing.example")):
            assert await list_jobs(grpc_at, authority, nobody) == "UNAVAILABLE"
            with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
                get(rest, trusting(authority, nobody))
        # An authority that is taken out opens no connection any more.
        (folder / "clients.pem").write_bytes(trustme.CA().cert_pem.bytes())
        async with asyncio.timeout(60):
            while await list_jobs(grpc_at, authority, billing) != "UNAVAILABLE":
                await asyncio.sleep(0.1)
        with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
            get(rest, trusting(authority, billing))


@pytest.mark.parametrize("option", ["grpc", "rest"])
async def test_off_loopback_it_wants_tls_or_to_be_told(tmp_path, option):
    given = {"database": f"sqlite:///{tmp_path / 'jobyard.db'}", "auth_tokens": tmp_path / "tokens.yaml"}
    with pytest.raises(SettingsError) as caught:
        build(load(**given, **{option: "0.0.0.0:0"}))
    assert str(caught.value).startswith(f"{option}: 0.0.0.0:0 is open to others and tokens could be read on the way")
    assert "JOBYARD_TLS_CERTIFICATE" in str(caught.value)
    told = build(load(**given, **{option: "0.0.0.0:0"}, plaintext=True))
    told.store.close()
    assert told.settings.plaintext


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tls_key": "k"}, "tls_certificate and tls_key go together"),
        ({"tls_certificate": "c"}, "tls_certificate and tls_key go together"),
        ({"tls_client_authorities": "a"}, "tls_client_authorities needs tls_certificate"),
        ({"tls_callers": {NAME: {"user": "u"}}}, "tls_callers needs tls_client_authorities"),
        ({"tls_callers": {NAME: {"tenant": "t"}}}, "tls_callers.*user"),
    ],
)
def test_half_of_it_is_refused(given, said):
    with pytest.raises(SettingsError, match=said):
        load(**given)


def test_files_that_do_not_serve_are_named(tmp_path, authority):
    folder = put(authority.issue_cert("localhost"), tmp_path / "tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    with pytest.raises(CertificateError, match=r"none\.pem"):
        CertificateFiles(folder / "none.pem", key)
    with pytest.raises(CertificateError, match=r"none\.pem"):
        CertificateFiles(certificate, key, folder / "none.pem")
    os.truncate(key, 100)
    with pytest.raises(CertificateError, match=r"certificate\.pem"):
        CertificateFiles(certificate, key)
