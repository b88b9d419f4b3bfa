"""The file of tokens: who may show which token. It holds digests, so whoever reads it cannot call anybody's name.

A token has 256 random bits, so a plain digest cannot be guessed back and no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import yaml

MARK: Final = "jyd_"
"""Tokens begin with it, so that people and scanners of secrets recognise one."""

DIGEST_LENGTH: Final = 64

_HEADER: Final = "# Tokens of a Jobyard server: digests only. Written by `jobyard token`, reloaded when it changes.\n"


class TokenFileError(Exception):
    """A file that cannot be used; its text says where and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One token and its holder."""

    name: str
    """What operators call it."""
    sha256: str
    user: str
    tenant: str = ""
    """Empty: the default tenant of the server."""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    """Beside those of its roles."""
    queues: tuple[str, ...] = ()
    """The queues it may work for; empty: any."""
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


def new_token() -> str:
    """A fresh token."""
    return MARK + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What the file keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read(file: Path) -> tuple[Entry, ...]:
    """The entries of a file, none when there is no file; raises TokenFileError."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise TokenFileError(f"{file}: {problem}") from None
    if not isinstance(content, list):
        if content is None:
            return ()
        raise TokenFileError(f"{file}: is no list of tokens")
    entries = tuple(_entry(f"{file}: token {number}", each) for number, each in enumerate(content, 1))
    names = [entry.name for entry in entries]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise TokenFileError(f"{file}: several tokens are named {', '.join(sorted(repeated))}")
    return entries


def create(file: Path, entry: Entry) -> str:
    """Add a token and return it: nobody will be able to say it again. Its digest in ``entry`` is filled in here."""
    entries = read(file)
    if any(each.name == entry.name for each in entries):
        raise TokenFileError(f"{file}: there is a token named {entry.name} already")
    token = new_token()
    _write(file, [*entries, replace(entry, sha256=digest(token))])
    return token


def revoke(file: Path, name: str) -> None:
    """Take a token out; servers refuse it from their next look at the file on."""
    entries = read(file)
    if all(entry.name != name for entry in entries):
        raise TokenFileError(f"{file}: there is no token named {name}")
    _write(file, [entry for entry in entries if entry.name != name])


def _entry(where: str, content: Any) -> Entry:
    if not isinstance(content, dict):
        raise TokenFileError(f"{where}: is no mapping")
    if unknown := content.keys() - {"name", "sha256", "user", "tenant", "roles", "permissions", "queues", "expires"}:
        raise TokenFileError(f"{where}: has no field {', '.join(sorted(map(str, unknown)))}")
    sha256 = _text(where, content, "sha256").lower()
    if len(sha256) != DIGEST_LENGTH or set(sha256) - set("0123456789abcdef"):
        raise TokenFileError(f"{where}: sha256 is no digest of 64 hex digits")
    return Entry(
        name=_text(where, content, "name"),
        sha256=sha256,
        user=_text(where, content, "user"),
        tenant=_text(where, content, "tenant", needed=False),
        roles=_texts(where, content, "roles"),
        permissions=_texts(where, content, "permissions"),
        queues=_texts(where, content, "queues"),
        expires=_moment(where, content.get("expires")),
    )


def _text(where: str, content: Mapping[str, Any], field: str, *, needed: bool = True) -> str:
    value = content.get(field, "")
    if not isinstance(value, str) or (needed and not value):
        raise TokenFileError(f"{where}: {field} has to be a text")
    return value


def _texts(where: str, content: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = content.get(field, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TokenFileError(f"{where}: {field} has to be a list of texts")
    return tuple(value)


def _moment(where: str, value: Any) -> datetime | None:
    """A time without a zone is UTC; a date stands for its beginning."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    except ValueError:
        raise TokenFileError(f"{where}: expires is no time") from None
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TokenFileError(f"{where}: expires is no time")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _write(file: Path, entries: Sequence[Entry]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    rows = [_row(entry) for entry in entries]
    text = _HEADER + yaml.safe_dump(rows, sort_keys=False, allow_unicode=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as scratch:
            scratch.write(text)
            scratch.flush()
            os.fsync(scratch.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"name": entry.name, "sha256": entry.sha256, "user": entry.user}
    if entry.tenant:
        row["tenant"] = entry.tenant
    for field in ("roles", "permissions", "queues"):
        if values := getattr(entry, field):
            row[field] = list(values)
    if entry.expires is not None:
        row["expires"] = entry.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return row
