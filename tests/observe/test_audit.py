"""The file of lines about calls that may have changed something."""

import asyncio
import json
import os
import stat

import pytest
import structlog

from jobyard_server.observe.audit import LOOK_SECONDS, AuditFile
from jobyard_server.settings import SettingsError, load


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def trail(tmp_path, clock):
    trail = AuditFile(tmp_path / "audit.jsonl", clock)
    yield trail
    trail.close()


def test_lines_are_appended_to_what_is_there(tmp_path, clock):
    file = tmp_path / "audit.jsonl"
    for line in (b"1\n", b"2\n"):
        trail = AuditFile(file, clock)
        trail.append(line)
        trail.close()
    assert file.read_bytes() == b"1\n2\n"
    assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0, "it is nobody else's business"


@pytest.mark.parametrize("away", ["moved", "removed"])
def test_a_file_that_was_moved_away_is_begun_anew(trail, tmp_path, clock, away):
    file = tmp_path / "audit.jsonl"
    trail.append(b"1\n")
    file.rename(tmp_path / "audit.jsonl.1")
    if away == "removed":
        (tmp_path / "audit.jsonl.1").unlink()
    clock.now += LOOK_SECONDS
    trail.append(b"2\n")
    assert file.read_bytes() == b"2\n"


def test_a_full_disk_is_told_once_and_keeps_nobody_from_working(trail, monkeypatch):
    def full(_descriptor, _line):
        raise OSError(28, "No space left on device")

    with structlog.testing.capture_logs() as logs:
        monkeypatch.setattr(os, "write", full)
        trail.append(b"1\n")
        trail.append(b"2\n")
        monkeypatch.undo()
        trail.append(b"3\n")
    assert [entry["problem"] for entry in logs] == ["No space left on device"]


def test_a_file_that_cannot_be_is_refused_at_the_start(tmp_path):
    from jobyard_server import main  # noqa: PLC0415 - it costs a second, and the other tests need it not

    with pytest.raises(SettingsError, match="audit_file"):
        main._call_log(load(audit_file=tmp_path / "missing" / "audit.jsonl"))


@pytest.mark.parametrize(
    ("settings", "logged"),
    [({}, [False, True]), ({"log_calls": False}, [True]), ({"log_calls": False, "log_changes": False}, [])],
)
async def test_what_is_logged_and_what_goes_to_the_file(tmp_path, capsys, settings, logged):
    from jobyard_server import main  # noqa: PLC0415 - it loads everything

    file = tmp_path / "audit.jsonl"
    log = main._call_log(load(audit_file=file, log_format="json", **settings))
    for changes in (False, True):
        log.write("/a.B/C", "grpc", "OK", None, 0.001, None, "unix:", "r-1", changes=changes)
    await asyncio.sleep(0)
    assert [json.loads(line).get("changes", False) for line in capsys.readouterr().err.splitlines()] == logged
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["method"] == "/a.B/C"


def test_nothing_is_written_where_nothing_is_wanted():
    from jobyard_server import main  # noqa: PLC0415 - it loads everything

    assert main._call_log(load(log_calls=False, log_changes=False)) is None
