"""How DMI services are called, and what their answers mean."""

from __future__ import annotations

import json

import pytest

from jobyard_server.apis.ncmp.deliveries import judge_creation
from jobyard_server.apis.ncmp.dmi_calls import (
    FIRST,
    SECOND,
    SubjobName,
    authorization,
    check_dmi_url,
    create_url,
    failure_of,
    head,
    result_url,
    status_url,
    status_word,
    sub_job_id,
)
from jobyard_server.apis.ncmp.requests import Metadata
from jobyard_server.domain.delivery import Answer, Problem, Verdict
from jobyard_server.domain.reason import Refused

DMI = "http://dmi:8092"
NAME = SubjobName(DMI, "pro/ducer", "job#1", "sub:job%")
OLD = SubjobName(DMI, "pro/ducer", "job#1", "sub:job%", FIRST)


def test_addresses_of_both_generations():
    assert create_url(DMI, "j", "d 1", SECOND) == f"{DMI}/dmi/v1/cmwriteJob?destination=d%201"
    assert create_url(DMI, "j", " ", SECOND, read=True) == f"{DMI}/dmi/v1/cmreadJob"
    assert create_url(DMI, "j/1", "d", FIRST) == f"{DMI}/dmi/v1/writeJob/j%2F1"
    path = "/dmi/v1/cmwriteJob/dataProducer/pro%2Fducer/dataProducerJob/sub%3Ajob%25"
    assert status_url(NAME) == f"{DMI}{path}/status"
    assert result_url(NAME, "d") == f"{DMI}{path}/result?destination=d"
    path = "/dmi/v1/dataJob/job%231/dataProducerJob/sub%3Ajob%25"
    assert status_url(OLD) == f"{DMI}{path}/status?dataProducerId=pro%2Fducer"
    assert result_url(OLD, "d") == f"{DMI}{path}/result?dataProducerId=pro%2Fducer&destination=d"


def test_nulls_are_written_before_the_operations():
    metadata = Metadata("d", None, "c")
    assert json.loads(head(metadata, "p", "j", SECOND) + b"]}") == {
        "destination": "d",
        "dataAcceptType": None,
        "dataContentType": "c",
        "dataProducerId": "p",
        "dataJobId": "j",
        "data": [],
    }
    assert list(json.loads(head(metadata, "p", "j", FIRST) + b"]}")) == [
        "dataAcceptType",
        "dataContentType",
        "dataProducerId",
        "data",
    ]


@pytest.mark.parametrize(
    ("basic", "incoming", "forward", "shown"),
    [
        ("user:pass", "Bearer x", True, "Basic dXNlcjpwYXNz"),
        ("user:pass", "", True, "Basic dXNlcjpwYXNz"),
        ("", "Bearer x", True, "Bearer x"),
        ("", "bEARER x", True, "bEARER x"),
        ("", "Basic c29tZSB1c2VyOnNvbWUgcGFzc3dvcmQ=", True, ""),
        ("", "Bearer x", False, ""),
        ("", "", True, ""),
    ],
)
def test_credentials(basic, incoming, forward, shown):
    assert authorization(basic, incoming, forward=forward) == shown


@pytest.mark.parametrize(
    ("answer", "http_code", "ncmp_code"),
    [
        (Answer(408), 408, 102),
        (Answer(404, body=b"no"), 404, 103),
        (Answer(500), 500, 103),
        (Answer(problem=Problem.UNREACHABLE), 503, 102),
        (Answer(problem=Problem.TIMED_OUT), 503, 102),
        (Answer(200, body=b"<html>"), 500, 108),
        (Answer(302), 500, 108),
    ],
)
def test_what_failures_mean(answer, http_code, ncmp_code):
    failure = failure_of(answer)
    assert (failure.http_code, failure.ncmp_code) == (http_code, ncmp_code)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(200, body=b'{"subJobId":"1"}'), Verdict.DONE),
        (Answer(201, body=b"{}"), Verdict.DONE),
        (Answer(200, body=b"<html>"), Verdict.GIVE_UP),
        (Answer(501), Verdict.GIVE_UP),
        (Answer(500), Verdict.GIVE_UP),
        (Answer(503), Verdict.RETRY),
        (Answer(429), Verdict.RETRY),
        (Answer(problem=Problem.UNREACHABLE), Verdict.RETRY),
        (Answer(problem=Problem.ADDRESS_REFUSED), Verdict.GIVE_UP),
    ],
)
def test_when_a_part_is_handed_over_again(answer, verdict):
    assert judge_creation(answer) is verdict


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        (b'{"subJobId":"1","dmiServiceName":"x"}', "1"),
        (b'{"dataProducerJobId":7}', "7"),
        (b'{"subJobId":{"a": true}}', '{"a":true}'),
        (b'{"subJobId":null}', None),
        (b"{}", None),
        (b"[]", None),
    ],
)
def test_what_a_part_is_called(body, id_):
    assert sub_job_id(Answer(200, body=body)) == id_


@pytest.mark.parametrize(
    ("body", "word"),
    [(b'{"status": "RUNNING"}', "RUNNING"), (b"FINISHED\n", "FINISHED"), (b'"FAILED"', "FAILED"), (b"{}", "")],
)
def test_statuses(body, word):
    assert status_word(body) == word


@pytest.mark.parametrize(
    ("url", "pattern", "taken"),
    [
        ("http://dmi/?a=1", "", False),
        ("http://dmi#x", "", False),
        ("http://my-dmi-service:8080", "", True),
        ("https://my-dmi-service.svc.cluster.local", "", True),
        ("http://127.0.0.1:8080", "", True),
        ("", "", True),
        ("", ".*dmi.*", True),
        ("http://host with spaces", "", False),
        ("ftp://host", "", False),
        ("my-dmi-service", "", False),
        ("http://", "", False),
        ("http://external-host.com:8080", ".*dmi.*", False),
        ("http://my-dmi.svc.cluster.local:8080/path", ".*dmi.*", True),
        ("http://dmi:8080/evil", "http://dmi:8080", False),
    ],
)
def test_urls_of_dmi_services(url, pattern, taken):
    if taken:
        assert check_dmi_url(url, "dmiPlugin", pattern) == url
    else:
        with pytest.raises(Refused):
            check_dmi_url(url, "dmiPlugin", pattern)
