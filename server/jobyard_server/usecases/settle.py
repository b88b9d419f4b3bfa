"""End leases: complete, fail, cancel or give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobyard_server.domain.paging import byte_size
from jobyard_server.domain.reason import Refusal, Refused, invalid
from jobyard_server.domain.stored_json import LARGE
from jobyard_server.usecases.contents import kept_result
from jobyard_server.usecases.ports import Settle, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobyard_server.domain.job import Outcome
    from jobyard_server.usecases.call import Call
    from jobyard_server.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class Ending:
    """How one lease ended, as its worker says."""

    token: str
    outcome: Outcome
    """SUCCEEDED, FAILED, PARTIALLY_FAILED, CANCELLED or RELEASED."""
    result: str = "null"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    result_kept: bool = False
    """The result was kept apart already; ``result`` says nothing."""
    field: str = "ending"
    """Where the caller said it, as refusals name it."""


async def settle(store: Store, call: Call, endings: Sequence[Ending]) -> Sequence[Settled | Refusal]:
    """End leases, each for itself: a lost one does not keep the others from ending."""
    answers: dict[int, Settled | Refusal] = {}
    commands: dict[int, Settle] = {}
    for place, ending in enumerate(endings):
        try:
            result = await _result(store, ending)
        except Refused as refused:
            answers[place] = refused.refusal
        else:
            commands[place] = _command(call, ending, result)
    try:
        settled = await store.settle_many(tuple(commands.values()))
    except Refused as refused:
        settled = [refused.refusal] * len(commands)
    answers.update(zip(commands, settled, strict=True))
    return [answers[place] for place in range(len(endings))]


async def _result(store: Store, ending: Ending) -> str:
    if ending.result_kept:
        return await kept_result(store.read, ending.token, f"{ending.field}.result_kept")
    if byte_size(ending.result) > LARGE:
        raise invalid(f"{ending.field}.result", f"is longer than {LARGE} bytes; send it by PutResult")
    return ending.result


def _command(call: Call, ending: Ending, result: str) -> Settle:
    return Settle(
        token=ending.token,
        principal=call.user,
        outcome=ending.outcome,
        result=result,
        reason=ending.reason,
        message=ending.message,
        exit_code=ending.exit_code,
        request_id=call.request_id,
    )
