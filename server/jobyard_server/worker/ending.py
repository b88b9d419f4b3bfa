"""How an attempt ends, from how its program ended: what is reported, with which reason and which result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from jobyard_server.worker.plan import MIB, Limits
from jobyard_server.worker.programs import Ended

RESULT_BYTES: Final = MIB
LINE_CHARACTERS: Final = 300


class Stop(StrEnum):
    """Why the worker stopped a program that was running."""

    CANCELLED = "CANCELLED"
    """The server said so; reported as a cancel that was carried out."""
    SUSPENDED = "SUSPENDED"
    """The server said so; the lease is given back."""
    DRAINED = "DRAINED"
    """The worker ends; the lease is given back."""
    LOST = "LOST"
    """The lease is not held any more; nothing is reported."""
    TIMED_OUT = "TIMED_OUT"
    """A limit of the worker."""
    LATE = "ATTEMPT_TIMED_OUT"
    """The time limit of the job."""
    MEMORY = "MEMORY"
    """A limit of the worker."""


GIVES_BACK: Final = frozenset({Stop.SUSPENDED, Stop.DRAINED})


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of an attempt."""

    succeeded: bool
    reason: str = ""
    message: str = ""
    result: str = ""
    exit_code: int | None = None
    cancelled: bool = False
    large: bool = False
    """The result is too large for the report; it stands in its file."""


def report(
    ended: Ended, stop: Stop | None, limits: Limits, output: bytes, result_file: Path, most: int = RESULT_BYTES
) -> Report:
    """The report of a program that ran. Its exit code is the outcome; zero with a damaged result is a failure."""
    line = _last_line(output)
    code = ended.exit_code
    try:
        result = _result(result_file, line, most)
    except ValueError as error:
        result = ""
        if code == 0 and stop is None:
            return Report(succeeded=False, reason="RESULT_INVALID", message=str(error), exit_code=code)
    large = result is None
    text = result or ""
    if stop is Stop.CANCELLED:
        words = _words(ended)
        return Report(
            succeeded=False, reason="CANCELLED", message=words, result=text, exit_code=code, cancelled=True, large=large
        )
    if code == 0 and stop is None:
        return Report(succeeded=True, result=text, exit_code=code, large=large)
    reason, message = _failure(ended, stop, limits)
    if line:
        message = f"{message}; the last line was: {_shown(line)}"
    return Report(succeeded=False, reason=reason, message=message, result=text, exit_code=code, large=large)


def _failure(ended: Ended, stop: Stop | None, limits: Limits) -> tuple[str, str]:
    if stop is Stop.TIMED_OUT:
        return "TIMED_OUT", f"stopped after {limits.timeout_seconds:g} s"
    if stop is Stop.LATE:
        return Stop.LATE.value, "stopped at the time limit of the job"
    if limits.memory_bytes and (stop is Stop.MEMORY or ended.memory_bytes >= limits.memory_bytes):
        return "MEMORY", f"used more than {limits.memory_bytes / MIB:g} MiB of memory"
    # A program that catches SIGXCPU is killed a little later.
    late = ended.signal_name == "SIGKILL" and limits.cpu_seconds and ended.cpu_seconds >= limits.cpu_seconds
    if limits.cpu_seconds and (ended.signal_name == "SIGXCPU" or late):
        return "CPU_TIME", f"used more than {limits.cpu_seconds:g} s of processor time"
    return ("EXIT_CODE" if ended.exit_code is not None else "SIGNAL"), _words(ended)


def _words(ended: Ended) -> str:
    return f"exit code {ended.exit_code}" if ended.exit_code is not None else f"ended by {ended.signal_name}"


def _result(file: Path, line: str, most: int) -> str | None:
    """The JSON of the result file; without one the last line of the output, if it is a JSON object or array.

    ``None`` for one that is whole and well and too large for a report.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(most + 1)
    except FileNotFoundError:
        raw = b""
    except OSError as error:
        raise ValueError(f"JOBYARD_RESULT_FILE cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise ValueError(f"JOBYARD_RESULT_FILE has more than {most} bytes")
    if raw.strip():
        text = _checked(raw)
        if most == RESULT_BYTES:
            return text.strip()
        # Whoever takes large results takes them byte for byte.
        return None if len(raw) > RESULT_BYTES else text
    if line.startswith(("{", "[")):
        try:
            json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return ""
        return line
    return ""


def _checked(raw: bytes) -> str:
    """JSON as it is written; only looked at, for a tree of it would take many times the memory."""
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
        return raw.decode()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"JOBYARD_RESULT_FILE is not JSON: {error}") from None


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").rstrip().splitlines()
    return lines[-1].strip() if lines else ""


def _shown(line: str) -> str:
    """A line as it may stand in a message: short, and without what moves a cursor."""
    clean = "".join(character if character.isprintable() else "�" for character in line)
    return clean if len(clean) <= LINE_CHARACTERS else f"{clean[:LINE_CHARACTERS]}…"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
