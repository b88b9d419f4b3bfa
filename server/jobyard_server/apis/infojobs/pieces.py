"""The piece of a job at one producer: given to it, accepted or refused by it, taken back when it goes."""

from __future__ import annotations

from jobyard_server.apis.infojobs.lookup import Locked
from jobyard_server.apis.infojobs.nouns import API, Producer
from jobyard_server.apis.infojobs.owing import START, owe_start, owe_stop, producer_lane
from jobyard_server.apis.infojobs.telling import piece_of
from jobyard_server.domain.delivery import Delivery
from jobyard_server.domain.job import Job, NewSubjob, Subjob
from jobyard_server.domain.state import Actor, State
from jobyard_server.usecases.ports import Tx

REFUSED = "REFUSED_BY_PRODUCER"
GONE = "PRODUCER_GONE"


def give(tx: Tx, job: Job, producer: Producer, policy: str) -> Delivery:
    """Post a job to a producer, of which it may not have heard."""
    piece = piece_of(tx.subjobs(job.number), producer.id)
    if piece is None:
        tx.add_subjobs(job, [NewSubjob(key=producer.id)])
    elif piece.state is State.SUSPENDED:
        tx.change_subjob(piece, State.PENDING, actor=Actor.USER)
    return owe_start(tx, job, producer, policy)


def accept(tx: Tx, piece: Subjob, generation: int) -> None:
    """A producer accepted a job as it was at a generation."""
    if piece.state in {State.PENDING, State.RUNNING} and not (
        piece.state is State.RUNNING and piece.generation >= generation
    ):
        tx.accept_subjob(piece, generation, by=piece.key)


def refuse(tx: Tx, job: Job, piece: Subjob, generation: int, why: str) -> None:
    """A producer did not accept a job: what it accepted before is taken for lost."""
    if piece.state is State.RUNNING and generation == job.generation:
        tx.change_subjob(piece, State.PENDING, actor=Actor.ENGINE, reason=REFUSED, message=why, by=piece.key)


def take_back(tx: Tx, job: Job, producer: str) -> None:
    """A producer has gone, or does not supply the type any more. It is not told to stop."""
    tx.withdraw(API, job.tenant, producer_lane(job, producer), frozenset({START}))
    piece = piece_of(tx.subjobs(job.number), producer)
    if piece is None or piece.state not in {State.RUNNING, State.PENDING}:
        return
    actor = Actor.ENGINE if piece.state is State.RUNNING else Actor.USER
    tx.change_subjob(piece, State.SUSPENDED, actor=actor, reason=GONE, by=producer)


def job_ended(tx: Tx, job: Job) -> None:
    """Tell the producers of a job that it is over, whoever ended it."""
    found = Locked(tx, job.tenant)
    for id_ in found.suppliers(job.definition):
        if (producer := found.producer(id_)) is not None:
            owe_stop(tx, job, producer)
