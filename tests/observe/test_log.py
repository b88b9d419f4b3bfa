"""What is logged, in which form, and what never is."""

import asyncio
import io
import json
import logging

import pytest
import structlog

from jobyard_server.domain.principal import Principal
from jobyard_server.observe.calls import CallLog
from jobyard_server.observe.log import REDACTED, configure, redact


@pytest.fixture
def logged():
    """Logs into a text and gives it out in lines."""
    before = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    output = io.StringIO()

    def lines(form="json", level="info"):
        configure(form, level, output)
        return lambda: output.getvalue().splitlines()

    yield lines
    structlog.configure(**before[0])
    logging.getLogger().handlers[:] = before[1]
    logging.getLogger().setLevel(before[2])


def test_a_line_of_json_says_what_and_when(logged):
    lines = logged()
    structlog.get_logger("a").bind().info("it happened", count=3)
    (line,) = map(json.loads, lines())
    assert (line["event"], line["count"], line["level"]) == ("it happened", 3, "info")
    assert line["timestamp"].endswith("Z")


def test_libraries_are_logged_alike(logged):
    lines = logged()
    logging.getLogger("some.library").warning("disk %s is full", "a")
    logging.getLogger("some.library").info("not worth a line")
    (line,) = map(json.loads, lines())
    assert (line["event"], line["level"]) == ("disk a is full", "warning")


def test_an_exception_keeps_to_one_line(logged):
    lines = logged()
    structlog.get_logger("a").bind().error("broken", exc_info=ValueError("no"))
    (line,) = map(json.loads, lines())
    assert "ValueError: no" in line["exception"]


def test_people_get_words(logged):
    lines = logged("console")
    structlog.get_logger("a").bind().info("it happened", count=3)
    assert "it happened" in lines()[0]
    assert "count=3" in lines()[0]


def test_less_is_logged_when_less_is_asked_for(logged):
    lines = logged(level="warning")
    structlog.get_logger("a").bind().info("not worth a line")
    structlog.get_logger("a").bind().warning("worth one")
    assert len(lines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("token", "jyd_abc", REDACTED),
        ("api_key", "k", REDACTED),
        ("db_password", "p", REDACTED),
        ("Authorization", "x", REDACTED),
        ("clientSecret", ["a", "b"], REDACTED),
        ("headers", {"Cookie": "c", "accept": "a"}, {"Cookie": REDACTED, "accept": "a"}),
        ("message", "sent Authorization: Bearer abc.def-ghi to it", f"sent Authorization: Bearer {REDACTED} to it"),
        ("parts", [{"password": "p"}, "Basic dXNlcjpwdw=="], [{"password": REDACTED}, f"Basic {REDACTED}"]),
        ("job", "42", "42"),
        ("count", 3, 3),
        ("nothing", None, None),
    ],
)
def test_secrets_are_taken_out(name, value, written):
    assert redact(None, "", {name: value}) == {name: written}


async def test_the_line_of_a_call():
    output = io.StringIO()
    log = CallLog(output, people=False)
    log.write("/a.B/C", "grpc", "NOT_FOUND", "JOB_NOT_FOUND", 0.0012345, Principal("ann", "north"), "ipv4:1", "r")
    log.write("/a.B/C", "rest", "OK", None, 0.5, None, "ipv4:1", "r")
    assert not output.getvalue(), "the answer comes first"
    await asyncio.sleep(0)
    first, second = map(json.loads, output.getvalue().splitlines())
    del first["timestamp"]
    assert first == {
        "level": "info",
        "event": "call",
        "method": "/a.B/C",
        "door": "grpc",
        "code": "NOT_FOUND",
        "reason": "JOB_NOT_FOUND",
        "ms": 1.234,
        "user": "ann",
        "tenant": "north",
        "peer": "ipv4:1",
        "request_id": "r",
    }
    assert second.keys().isdisjoint({"reason", "user", "tenant"})
