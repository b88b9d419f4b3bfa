"""The environment of a program: what it may know of the worker's, and what the worker tells it about its job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from jobyard.jobs.v1 import worker_lease_pb2

PASSED: Final = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"})
PASSED_PREFIX: Final = "LC_"
OWN_PREFIX: Final = "JOBYARD_"
SMALL: Final = 16 * 1024
"""Payloads up to so many bytes stand in the environment too; the kernel takes no variable above 128 KiB."""


class VariableError(ValueError):
    """A variable that programs cannot be given."""


def passed(environment: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """What programs get of the worker's environment.

    That is a short list of harmless names, and ``more``: a NAME to pass on, or NAME=VALUE. Nothing that begins with
    JOBYARD_ is ever passed: the worker's token is among it.
    """
    found = {
        name: value for name, value in environment.items() if name in PASSED or name.startswith(PASSED_PREFIX)
    }  # fmt: skip
    for item in more:
        name, given, value = item.partition("=")
        if not name or name.startswith(OWN_PREFIX):
            raise VariableError(f"{item!r}: variables named {OWN_PREFIX}... are the worker's own")
        if not name.isprintable() or any(map(str.isspace, name)):
            raise VariableError(f"{item!r}: {name!r} is not the name of a variable")
        if given:
            found[name] = value
        elif name in environment:
            found[name] = environment[name]
    return found


def of_lease(lease: worker_lease_pb2.Lease, folder: Path) -> dict[str, str]:
    """What the worker tells a program about its job."""
    job, subjob = lease.job, lease.subjob
    told = {
        "JOBYARD_JOB": str(job.number),
        "JOBYARD_JOB_UID": job.uid,
        "JOBYARD_SUBJOB": str(subjob.ordinal),
        "JOBYARD_SUBJOB_KEY": subjob.key,
        "JOBYARD_ATTEMPT": str(lease.attempt),
        "JOBYARD_QUEUE": subjob.queue,
        "JOBYARD_API": job.api,
        "JOBYARD_TENANT": job.tenant,
        "JOBYARD_DEFINITION": job.definition,
        "JOBYARD_PAYLOAD_FILE": str(folder / "payload.json"),
        "JOBYARD_RESULT_FILE": str(folder / "result.json"),
        "JOBYARD_PROGRESS_FILE": str(folder / "progress.txt"),
    }
    if not subjob.payload_bytes and len(subjob.payload.encode()) <= SMALL:
        told["JOBYARD_PAYLOAD"] = subjob.payload
    # No variable can hold a zero byte; in JSON it cannot stand bare, but names come from anybody.
    return {name: value.replace("\0", "") for name, value in told.items()}
