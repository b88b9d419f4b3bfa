"""Who is calling, for the handler that serves the call: all that an API may know about it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from jobyard_server.domain.hot import hot
from jobyard_server.domain.principal import Principal


@hot
@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of one call, admitted by the edge."""

    principal: Principal
    request_id: str
    peer: str = ""
    """The connection the call came over."""


_current: ContextVar[Caller] = ContextVar("jobyard_caller")


def current() -> Caller:
    """The caller of the call being served; an error outside of one."""
    return _current.get()


def principal() -> Principal:
    """Who is calling."""
    return _current.get().principal


def request_id() -> str:
    """The name of this call in logs, events and errors."""
    return _current.get().request_id


def peer() -> str:
    """The connection this call came over."""
    return _current.get().peer


def enter(caller: Caller) -> None:
    """Say who is calling. Every call is served by a task of its own, so nobody else sees it and nothing is undone."""
    _current.set(caller)
