"""How commands end when they do not end well: an exit code, and words that say what, why and what next."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # It brings gRPC along, which `--help` can do without.
    from jobyard_server.client.failure import Failure


class Exit(IntEnum):
    """Exit codes of commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 4


class Outcome(IntEnum):
    """Exit codes of commands that wait: the first four tell how the jobs ended."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELLED = 2
    TIMED_OUT = 3
    UNREACHABLE = 4
    REFUSED = 5
    USAGE = 64


class CommandError(Exception):
    """A command cannot go on."""

    def __init__(self, message: str, *notes: str, code: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.notes = notes
        self.code = code

    def show(self) -> None:
        """Print it for people."""
        print(f"error: {self.message}", file=sys.stderr)
        for note in self.notes:
            print(f"  {note}", file=sys.stderr)


class UsageError(CommandError):
    """What was typed means nothing."""

    def __init__(self, message: str, *notes: str) -> None:
        super().__init__(message, *notes, code=Exit.USAGE)


_NEXT = {
    "CREDENTIALS_MISSING": "put a token into JOBYARD_TOKEN",
    "CREDENTIALS_INVALID": "check the token in JOBYARD_TOKEN",
    "PERMISSION_MISSING": "ask the operator of the server for the permission, or use another token",
    "JOB_NOT_FOUND": "look for it with: jobyard list",
    "DEFINITION_REFERENCE_UNKNOWN": "load it first with: jobyard apply -f FILE",
    "JOB_NOT_FINISHED": "end it first with: jobyard cancel JOB; jobyard delete --force JOB removes it as it is",
    "EVENTS_COMPACTED": "start again without the token",
    "COUNT_MISMATCH": "look again with --dry-run",
    "OVERLOADED": "try again in a moment",
    "TOO_MANY_REQUESTS": "try again in a moment",
    "IDENTITY_UNAVAILABLE": "try again in a moment",
    "STORE_UNAVAILABLE": "try again in a moment",
}


def _cause(message: str) -> str:
    """What is wrong, out of the whole way there that gRPC tells."""
    if "WRONG_VERSION_NUMBER" in message:
        return "it speaks no TLS, so leave out https://"
    return message.removesuffix("]").removesuffix(": OK").rpartition(": ")[2]


def of_failure(failure: Failure, server: str) -> CommandError:
    """What to tell about an error of the server."""
    if failure.unreachable:
        return CommandError(
            f"the server at {server} cannot be reached: {_cause(failure.message)}",
            "is it running? `jobyard serve --dev` starts one; --server or JOBYARD_SERVER says where it is",
            code=Exit.UNREACHABLE,
        )
    notes = [note for name, problem in failure.fields if (note := f"{name}: {problem}") != failure.message]
    if failure.reason:
        notes.append(f"reason: {failure.reason}")
    if failure.reason in _NEXT:
        notes.append(f"next: {_NEXT[failure.reason]}")
    if failure.request_id:
        notes.append(f"request: {failure.request_id}")
    return CommandError(failure.message, *notes)
