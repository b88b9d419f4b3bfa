"""Finds the methods behind a verb and a path: the most specific template wins, whatever the order of declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, TypeVar

from jobyard_server.transcoding.percent import (
    MalformedEncodingError,
    decode,
    decode_keeping_reserved,
    decode_keeping_slashes,
)
from jobyard_server.transcoding.template import Template, Variable

T = TypeVar("T")

EVERY_VERB: Final = "*"
NO_BODY: Final = ""
"""Stands among media types for a request without a body."""


class MultiSegment(Enum):
    """What is decoded in a variable of several segments."""

    ALL_EXCEPT_SLASH = "all_except_slash"
    ALL_EXCEPT_RESERVED = "all_except_reserved"


class RouteConflictError(ValueError):
    """Two methods claim the same requests."""


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """A verb and a template that lead to a target, for some media types or for all (none named)."""

    verb: str
    template: Template
    target: T
    owner: str
    """Name of the method, for people."""
    media: frozenset[str] = frozenset()


@dataclass(slots=True)
class Found(Generic[T]):
    """The routes of a request, several where the media type has to choose among them."""

    routes: tuple[Route[T], ...]
    segments: list[str]


@dataclass(frozen=True, slots=True)
class Missed:
    """No route; `allowed` are the verbs that the path does have."""

    allowed: frozenset[str]


@dataclass(slots=True)
class _Node(Generic[T]):
    """The routes that share the segments leading here."""

    literals: dict[str, _Node[T]] = field(default_factory=dict)
    any: _Node[T] | None = None
    # What follows a `**`: the number of segments after it and their own tree, longest first.
    rests: list[tuple[int, _Node[T]]] = field(default_factory=list)
    # By custom verb ("" without one) and HTTP verb.
    ends: dict[tuple[str, str], tuple[Route[T], ...]] = field(default_factory=dict)


class Router(Generic[T]):
    """A tree of templates; a lookup costs the length of the path, not the number of routes."""

    def __init__(self, routes: Iterable[Route[T]]) -> None:
        self._root: _Node[T] = _Node()
        self._verbs: set[str] = set()
        known = tuple(routes)
        for route in known:
            self._add(route)
        # Nothing is more specific than a path without variables, and nothing of it is left to find out.
        self._whole: dict[tuple[str, str], Found[T]] = {}
        for route in known:
            found = None if route.template.variables else self._walk(route.verb, route.template.text)
            if isinstance(found, Found) and route in found.routes:
                self._whole[route.verb, route.template.text] = found

    def find(self, verb: str, path: str) -> Found[T] | Missed:
        """Look a request up by its verb and its path as it came, still encoded."""
        return self._whole.get((verb, path)) or self._walk(verb, path)

    def _walk(self, verb: str, path: str) -> Found[T] | Missed:
        segments = path[1:].split("/")
        if segments == [""]:
            segments = []
        allowed: set[str] = set()
        if segments:
            last, colon, custom = segments[-1].rpartition(":")
            if colon and "%" in custom:
                custom = _decoded(custom)
            if colon and custom in self._verbs:
                cut = [*segments[:-1], last] if last or len(segments) > 1 else []
                routes = _find(self._root, cut, 0, (custom, verb), allowed)
                if routes is not None:
                    return Found(routes, cut)
        routes = _find(self._root, segments, 0, ("", verb), allowed)
        return Missed(frozenset(allowed)) if routes is None else Found(routes, segments)

    def _add(self, route: Route[T]) -> None:
        node = self._root
        segments = route.template.segments
        for index, segment in enumerate(segments):
            if segment.is_rest:
                node = _after_rest(node, len(segments) - index - 1)
            elif segment.wildcard:
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.literals.setdefault(segment.text, _Node())
        if route.template.verb:
            self._verbs.add(route.template.verb)
        end = (route.template.verb, route.verb)
        present = node.ends.get(end, ())
        for other in present:
            _refuse_conflict(route, other)
        node.ends[end] = (*present, route)


def extractor(template: Template, multi: MultiSegment) -> Callable[[list[str]], list[str]]:
    """Compile what takes the values of a template's variables out of the segments, decoded once."""
    several = decode_keeping_slashes if multi is MultiSegment.ALL_EXCEPT_SLASH else decode_keeping_reserved

    def one(variable: Variable) -> Callable[[list[str]], str]:
        start, end = variable.start, variable.end
        if variable.single:
            return lambda segments: decode(segments[start])
        if end <= 0:
            return lambda segments: several("/".join(segments[start : len(segments) + end]))
        return lambda segments: several("/".join(segments[start:end]))

    takers = [one(variable) for variable in template.variables]
    return lambda segments: [take(segments) for take in takers]


def _find(
    node: _Node[T], segments: list[str], at: int, wanted: tuple[str, str], allowed: set[str]
) -> tuple[Route[T], ...] | None:
    """Walk literal before `*` before `**`; a node is visited at most once, so a lookup is never worse than the tree."""
    if at == len(segments):
        routes = _end(node, wanted, allowed)
        if routes is not None:
            return routes
    else:
        segment = segments[at]
        child = node.literals.get(segment if "%" not in segment else _decoded(segment))
        if child is not None:
            routes = _find(child, segments, at + 1, wanted, allowed)
            if routes is not None:
                return routes
        if node.any is not None and segment:
            routes = _find(node.any, segments, at + 1, wanted, allowed)
            if routes is not None:
                return routes
    for length, after in node.rests:
        if len(segments) - at >= length:
            routes = _find(after, segments, len(segments) - length, wanted, allowed)
            if routes is not None:
                return routes
    return None


def _end(node: _Node[T], wanted: tuple[str, str], allowed: set[str]) -> tuple[Route[T], ...] | None:
    routes = node.ends.get(wanted) or node.ends.get((wanted[0], EVERY_VERB))
    if routes is None:
        allowed.update(verb for custom, verb in node.ends if custom == wanted[0])
    return routes


def _decoded(text: str) -> str:
    """Decode what may be a literal; what cannot be decoded is none."""
    try:
        return decode(text)
    except MalformedEncodingError:
        return ""


def _after_rest(node: _Node[T], length: int) -> _Node[T]:
    for known, after in node.rests:
        if known == length:
            return after
    after = _Node[T]()
    node.rests.append((length, after))
    node.rests.sort(key=lambda rest: -rest[0])
    return after


def _refuse_conflict(route: Route[T], other: Route[T]) -> None:
    shared = route.media & other.media
    if route.media and other.media and not shared:
        return
    media = f" for {', '.join(sorted(shared)) or 'requests without a body'}" if shared else ""
    raise RouteConflictError(
        f"{route.owner} and {other.owner} both answer {route.verb} {route.template.text}{media}"
        f" (the latter as {other.template.text})"
    )
