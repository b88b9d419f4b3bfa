"""The words of states: what each API calls the state of its jobs, kept on the row to filter and sort by."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobyard_server.domain.state import State

Words: TypeAlias = "Mapping[str, Mapping[State | tuple[State, str], str]]"


def word(words: Words, api: str, state: State, reason: str = "") -> str:
    """The word of an API for a state, or for a state with its reason; the state's own name where the API has none."""
    own = words.get(api)
    if not own:
        return state.value
    return own.get((state, reason)) or own.get(state, state.value)
