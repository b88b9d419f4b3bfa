"""What follows from the end of a job, where its API asked for it and no closure ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobyard_server.store.transaction import Transaction

if TYPE_CHECKING:
    from jobyard_server.store.ledger import Ledger
    from jobyard_server.store.unit import Unit


def follow(unit: Unit, ledger: Ledger) -> None:
    """Have APIs do what they do when jobs of theirs end; the ledger is closed, and its jobs and subjobs written."""
    if not unit.ended:
        return
    for number in ledger.ended:
        entry = ledger.entries[number]
        if entry.api in unit.ended:
            transaction = Transaction(unit)
            job = transaction.job(number, api=None, tenant=None)
            if job is not None and job.state.terminal:
                unit.ended[entry.api](transaction, job)
                transaction.finish()
