"""Takes the selectors of read jobs apart, and says which concern everybody and which a node; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from jobyard_server.apis.ncmp.routing import ProducerKey, Route

_BETWEEN: Final = re.compile(r"\r\n|[\n\v\f\r\x85\u2028\u2029]|\bOR\b", re.ASCII)
"""Any line break, or the word; also inside quotes and comments."""
_COMMENT: Final = "&&"
_BLANK: Final = "".join(map(chr, range(0x21)))
_NODE: Final = re.compile(r"(?:ManagedElement|MeContext)\[(?:id=|contains\(id,)")
_SEARCH: Final = re.compile(r'(ManagedElement|MeContext)\[contains\(id,\s*"([^"]*)"\)\]')
_NAMED: Final = re.compile(r'([^\[\]]+)\[id="([^"]*)"\]')


@dataclass(slots=True)
class Classified:
    """Which selectors concern whom."""

    broadcast: list[str] = field(default_factory=list)
    dmi: dict[str, dict[ProducerKey, list[str]]] = field(default_factory=dict)
    not_ready: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def route(self, selector: str, routes: Iterable[Route]) -> None:
        """Give a selector to everybody it was found to concern; nobody: it is an error."""
        nobody = True
        for found in routes:
            nobody = False
            if found.ready:
                key = found.read_key
                self.dmi.setdefault(key.dmi, {}).setdefault(key, []).append(selector)
            else:
                self.not_ready.append(selector)
        if nobody:
            self.errors.append(selector)


def selectors_of(text: str) -> list[str]:
    """The selectors of a text, each once, without comments and blanks."""
    trimmed = (part.strip(_BLANK) for part in _BETWEEN.split(text))
    return list(dict.fromkeys(part for part in trimmed if part and not part.startswith(_COMMENT)))


def concerns_everybody(selector: str) -> bool:
    """Whether a selector names no particular node."""
    return "//" in selector or _NODE.search(selector) is None


def search_term(selector: str) -> str | None:
    """What alternate ids have to contain, for a selector that searches for nodes."""
    found = _SEARCH.search(selector)
    return None if found is None else f"{found[1]}={found[2]}"


def name_of(selector: str) -> str:
    """The alternate id that a selector begins with; empty when it names nothing from the root on."""
    return "".join(f"/{kind}={id_}" for kind, id_ in _named(selector))


def _named(selector: str) -> Iterator[tuple[str, str]]:
    for segment in selector.removeprefix("/").split("/"):
        found = _NAMED.fullmatch(segment)
        if found is None:
            return
        yield found[1], found[2]


def like(term: str, texts: Sequence[str]) -> bool:
    """Whether one of some texts contains a term, in which ``%`` is any text and ``_`` any letter."""
    if "%" not in term and "_" not in term:
        return any(term in text for text in texts)
    # Part after part from the left: one expression of them all would try every way to share the text out.
    parts = [
        re.compile("".join("." if letter == "_" else re.escape(letter) for letter in part), re.DOTALL)
        for part in term.split("%")
        if part
    ]
    return any(_in_order(parts, text) for text in texts)


def _in_order(parts: Sequence[re.Pattern[str]], text: str) -> bool:
    at = 0
    for part in parts:
        found = part.search(text, at)
        if found is None:
            return False
        at = found.end()
    return True
