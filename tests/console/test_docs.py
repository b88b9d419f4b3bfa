"""The documents and the page that shows them are there, whole, and ask nobody else for anything."""

import gzip
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import orjson
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from openapi_spec_validator import validate

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard_server import contract
from jobyard_server.main import APIS
from support.running import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("docs"), JOBYARD_DEV_WORKER="false") as running:
        yield running


def get(server: Server, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    asked = urllib.request.Request(server.url + path, headers=headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.parametrize("name", sorted(contract.openapi_names()))
def test_a_document_is_valid_openapi_and_served(server, name):
    body, headers = get(server, f"/openapi/{name}")
    assert headers["content-type"] == "application/json"
    validate(orjson.loads(body))


def test_the_documents_are_listed(server):
    listed = orjson.loads(get(server, "/openapi")[0])["documents"]
    assert sorted(each["path"] for each in listed) == sorted(f"/openapi/{name}" for name in contract.openapi_names())
    for each in listed:
        assert orjson.loads(get(server, each["path"])[0])["info"]["title"] == each["title"]


def test_every_operation_has_words_and_answers():
    document = orjson.loads(contract.openapi_document("all.json"))
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert operation["description"], f"{verb} {path}"
            assert any(status.startswith("2") for status in operation["responses"]), f"{verb} {path}"
            assert "401" in operation["responses"], f"{verb} {path}"


def over_rest(service: ServiceDescriptor) -> bool:
    options = [method.GetOptions() for method in service.methods]
    return any(each.HasExtension(annotations_pb2.http) or len(each.Extensions[rest.route]) for each in options)


def test_every_service_with_a_route_is_in_a_document():
    tags = {tag["name"].split(".")[-1] for tag in orjson.loads(contract.openapi_document("all.json"))["tags"]}
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(service.name) for api in APIS for service in api.services]
    assert {service.name for service in services if over_rest(service)} == tags


def test_the_page_offers_every_document_and_loads_only_our_own(server):
    body, headers = get(server, "/docs")
    page = body.decode()
    assert set(re.findall(r'<option value="([^"]+)"', page)) == {
        name.removesuffix(".json") for name in contract.openapi_names()
    }
    assert "default-src 'self'" in headers["content-security-policy"]
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert asset.startswith("/")
        assert get(server, asset)[0]


@pytest.mark.parametrize("path", ["/openapi/all.json", "/docs/swagger-ui-bundle.js", "/docs/docs.js", "/docs/"])
def test_what_lasts_is_sent_small_and_once(server, path):
    plain, headers = get(server, path)
    packed, told = get(server, path, **{"Accept-Encoding": "gzip"})
    large = len(plain) > 1400
    assert (gzip.decompress(packed) if large else packed) == plain
    assert told.get("content-encoding") == ("gzip" if large else None)
    assert headers.get("vary") == told.get("vary") == ("Accept-Encoding" if large else None)
    assert headers["cache-control"] == "no-cache"
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server, path, **{"If-None-Match": headers["etag"]})
    with caught.value as answer:
        assert (answer.code, answer.headers["etag"], answer.read()) == (304, headers["etag"], b"")


@pytest.mark.parametrize("path", ["/docs", "/openapi"])
def test_a_slash_at_the_end_changes_nothing(server, path):
    assert get(server, path)[0] == get(server, f"{path}/")[0]


def test_no_two_paths_differ_in_the_names_of_parameters_alone():
    paths = list(orjson.loads(contract.openapi_document("all.json"))["paths"])
    shapes = [re.sub(r"{[^}]*}", "{}", path) for path in paths]
    assert len(set(shapes)) == len(paths)


def test_every_page_says_what_browsers_may_do_with_it(server):
    paths = ["/docs", "/docs/docs.js", "/openapi/jobs.json", "/healthz", "/readyz", "/metrics"]
    for path in paths:
        _, headers = get(server, path)
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        assert policy.startswith("default-src 'self'" if path == "/docs" else "default-src 'none'"), path
        assert "script-src" not in policy, "scripts come from where everything comes from, and never stand in the page"
        assert {
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store" if path in {"/healthz", "/readyz", "/metrics"} else "no-cache",
        }.items() <= headers.items(), path
    page = get(server, "/docs")[0].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", page)
