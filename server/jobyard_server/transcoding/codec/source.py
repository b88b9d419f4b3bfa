"""JSON text into a tree, refusing what a parser would silently drop: a member given twice."""

from __future__ import annotations

import json
from typing import Any

import orjson

from jobyard_server.transcoding.codec.errors import CodecError

TOO_DEEP = "is nested too deep"


def load(source: bytes) -> Any:
    """Parse one JSON document whose objects name each member once."""
    try:
        tree = orjson.loads(source)
    except orjson.JSONDecodeError as problem:
        raise CodecError(malformed(problem)) from None
    if not surely_unique(source, tree):
        refuse_duplicates(source)
    return tree


def malformed(problem: orjson.JSONDecodeError) -> str:
    """Say what is wrong with the text, and where."""
    if problem.msg.startswith("depth limit"):
        return TOO_DEEP
    return f"is not JSON: {problem.msg} at line {problem.lineno} column {problem.colno}"


def surely_unique(source: bytes, tree: object) -> bool:
    """Compare the colons in the source with those of the tree printed again.

    A parser drops a repeated member silently, and with it its colon. Every other colon comes back:
    one behind each name, and those inside strings as they are. Only one spelled as an escape upsets
    the count, and a text with such an escape is looked at closely. Compact JSON mostly is printed
    again as it came, and needs no count.
    """
    try:
        again = orjson.dumps(tree)
    except TypeError:
        raise CodecError(TOO_DEEP) from None
    if again == source:
        return True
    escapes = b"\\" in source and b"\\u003" in source
    return source.count(b":") == again.count(b":") and not escapes


class Repeated:
    """Stands in a tree for an object that names a member twice."""

    def __init__(self, name: str) -> None:
        self.name = name


def refuse_duplicates(source: bytes) -> None:
    """Find the member that is given twice, slowly, and name it."""
    try:
        tree = json.loads(source, object_pairs_hook=unique, parse_int=str, parse_float=str)
        locate(tree)
    except RecursionError:
        raise CodecError(TOO_DEEP) from None


def unique(pairs: list[tuple[str, object]]) -> dict[str, object] | Repeated:
    """Make an object of its members, or mark it when two have one name."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen:
            return Repeated(name)
        seen.add(name)
        locate(value)
    raise AssertionError


def locate(tree: object) -> None:
    """Raise at the first repeated member of the tree, with the way to it."""
    match tree:
        case Repeated():
            problem = CodecError("is given twice")
            problem.within(tree.name)
            raise problem
        case dict():
            for name, value in tree.items():
                try:
                    locate(value)
                except CodecError as problem:
                    problem.within(name)
                    raise
        case list():
            for index, value in enumerate(tree):
                try:
                    locate(value)
                except CodecError as problem:
                    problem.at(index)
                    raise
