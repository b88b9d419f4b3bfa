"""The part of a job at one data producer, as it is kept in its subjob: what it is, and what is known of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import orjson

from jobyard_server.apis.ncmp.dmi_calls import SECOND, SubjobName
from jobyard_server.apis.ncmp.requests import Metadata
from jobyard_server.domain.job import Job, Subjob


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What does not change."""

    dmi: str
    producer: str
    operations: int
    """How many."""
    body: str
    """Under which name is kept what it is sent."""
    generation: int = SECOND

    @property
    def payload(self) -> str:
        """As it is kept."""
        return orjson.dumps(asdict(self)).decode()


@dataclass(frozen=True, slots=True)
class PartNews:
    """What was heard of it."""

    id: str | None = None
    """What the DMI service calls it; ``None`` until it was handed over."""
    status: str = ""
    """The newest word of the DMI service."""
    stale: bool = False
    """It was asked since and did not answer."""
    http_code: int = 0
    """Of the answer that refused it."""
    body: str = ""
    """That answer, or why there was none."""

    @property
    def result(self) -> str:
        """As it is kept."""
        return orjson.dumps(asdict(self)).decode()


def facts_of(subjob: Subjob) -> PartFacts:
    """What a subjob is."""
    return PartFacts(**orjson.loads(subjob.payload))


def news_of(subjob: Subjob) -> PartNews:
    """What is known of a subjob."""
    said = orjson.loads(subjob.result)
    return PartNews(**said) if isinstance(said, dict) else PartNews()


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is kept about a job."""

    name: str
    """As its caller calls it, which need not be the only one of the name."""
    read: bool
    metadata: Metadata

    @property
    def spec(self) -> str:
        """As it is kept."""
        return orjson.dumps({"name": self.name, "read": self.read, "metadata": asdict(self.metadata)}).decode()


def job_facts(job: Job) -> JobFacts:
    """What is kept about a job."""
    said = orjson.loads(job.spec)
    return JobFacts(said["name"], said["read"], Metadata(**said["metadata"]))


def name_of(job: Job, subjob: Subjob) -> SubjobName | None:
    """How a DMI service knows a part; ``None`` for one that was not handed over."""
    facts, id_ = facts_of(subjob), news_of(subjob).id
    if not id_:
        return None
    return SubjobName(facts.dmi, facts.producer, job_facts(job).name, id_, facts.generation)


def unheard(news: PartNews, why: str) -> PartNews:
    """The news of a part whose DMI service did not answer."""
    return replace(news, stale=True, body=why)
