"""Texts with placeholders: `Job {id} of {owner}`, checked when the server starts, filled when something is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_PIECE: Final = re.compile(r"\{\{|\}\}|\{(\+?)([A-Za-z_][A-Za-z0-9_.]*)\}|[{}]|[^{}]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """A placeholder."""

    name: str
    raw: bool
    """Written `{+name}`: put in as it is where others are percent-encoded."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A text taken apart into what is printed and what is filled in."""

    pieces: tuple[str | Slot, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The placeholders in their order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Slot))

    def fill(self, value_of: Callable[[Slot], str]) -> str:
        """Print the text with its placeholders filled."""
        return "".join(piece if isinstance(piece, str) else value_of(piece) for piece in self.pieces)


def wording(text: str) -> Wording:
    """Take a text apart; `{{` and `}}` stand for braces. Raises ValueError."""
    pieces: list[str | Slot] = []
    for match in _PIECE.finditer(text):
        piece = match[0]
        if match[2]:
            pieces.append(Slot(match[2], raw=match[1] == "+"))
        elif piece in {"{{", "}}"}:
            pieces.append(piece[0])
        elif piece in {"{", "}"}:
            raise ValueError(f"{text!r}: a single {piece!r} at column {match.start() + 1}")
        else:
            pieces.append(piece)
    return Wording(tuple(pieces))
