"""A change of a job row: what was said about it, in its columns, its books and its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from jobyard_server.store.rows import attributes_text, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobyard_server.domain.job import Job, Micros
    from jobyard_server.domain.state import Control
    from jobyard_server.store.ledger import Entry

_COLUMNS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "spec": lambda text: text,
    "attributes": attributes_text,
    "labels": attributes_text,
    "display_name": kept,
    "generation": lambda number: number,
}
"""What is written to the row at once; the rest is in the ledger, which writes it with the state."""


def said_of(**values: Any) -> dict[str, Any]:
    """What was said, and not what was left open."""
    return {name: value for name, value in values.items() if value is not None}


def apply(entry: Entry, said: Mapping[str, Any]) -> dict[str, Any]:
    """Enter a change into the books; the columns to be written beside them."""
    entry.touched = True
    columns = {name: _COLUMNS[name](value) for name, value in said.items() if name in _COLUMNS}
    for name in ("message", "reason"):
        if name in said:
            setattr(entry, name, kept(said[name]))
    if "expires_at" in said:
        entry.expires_at = said["expires_at"]
    if "generation" in said:
        entry.generation = said["generation"]
        # Nobody has accepted the new generation yet.
        entry.running_now = 0
    if "control" in said:
        asked = _control_columns(said["control"])
        columns |= asked
        for name, value in asked.items():
            setattr(entry, name, value)
    return columns


def changed(job: Job, entry: Entry, said: Mapping[str, Any], now: Micros) -> Job:
    """The job as it will be when the books are written, its state aside."""
    control = replace(said.get("control", job.control), running_now=entry.running_now)
    return replace(
        job,
        **{**said, "control": control, "expires_at": entry.expires_at},
        revision=entry.revision + 1,
        updated_at=now,
        last_event=entry.last_event,
    )


def _control_columns(control: Control) -> dict[str, Any]:
    return {
        "cancel_requested": control.cancel_requested,
        "suspended": control.suspended,
        "split_complete": control.split_complete,
        "exhausted": control.exhausted,
        "finished_as": None if control.finished_as is None else control.finished_as.value,
    }
