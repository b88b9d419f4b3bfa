"""What information jobs are made of, and how each is kept: types, producers, jobs, subscriptions, services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from jobyard_server.domain.catalog import Definition, Executor, Record
from jobyard_server.domain.fields import ApiFields, Kind
from jobyard_server.domain.job import Attribute, Job, Micros
from jobyard_server.domain.json_text import member

API: Final = "infojobs"
TYPE: Final = "info-type"
PRODUCER: Final = "info-producer"
SUPPLY: Final = "supply"
"""Which producer supplies which type: the id is :func:`supply_id`."""
SUBSCRIPTION: Final = "subscription"
SERVICE: Final = "service"
RESULT: Final = "result"
QUEUE: Final = "infojobs"
"""Where pieces of jobs stand that no producer has accepted yet. It is closed: no worker ever gets them."""

ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"
REGISTERED: Final = "REGISTERED"
UNDISCOVERABLE: Final = "UNDISCOVERABLE"
HEARTBEATS: Final = 3
"""After so many times its heartbeat a silent service is not discoverable."""

PUT_AT: Final = "put_at"
"""When the consumer put the job last. What is kept of who was told what changes the job, too, and is not shown."""

FIELDS: Final = ApiFields(
    attributes={
        "owner": Kind.TEXT,
        PUT_AT: Kind.INT,
        "reported": Kind.TEXT,
        "telling": Kind.TEXT,
        "unsettled": Kind.TEXT,
    },
    indexed=("definition", "owner", "unsettled"),
)

ICS, A1EI, DMS = "ics", "a1ei", "dms"


@dataclass(frozen=True, slots=True)
class InfoType:
    """A type, as JSON texts."""

    id: str
    schema: str
    information: str = ""
    collectable: bool = False
    subscription: bool = False

    @property
    def spec(self) -> str:
        """As it is kept."""
        parts = [f'"schema":{self.schema}']
        if self.information not in {"", "null"}:
            parts.append(f'"information":{self.information}')
        flags = {"collectable": self.collectable, "subscription": self.subscription}
        parts += [f'"{name}":true' for name, value in flags.items() if value]
        return "{" + ",".join(parts) + "}"


def info_type(found: Definition) -> InfoType:
    """A type from what is kept of it."""
    return InfoType(
        found.id,
        member(found.spec, "schema") or "{}",
        member(found.spec, "information") or "",
        member(found.spec, "collectable") == "true",
        member(found.spec, "subscription") == "true",
    )


@dataclass(frozen=True, slots=True)
class Producer:
    """A producer."""

    id: str
    types: tuple[str, ...]
    job_url: str
    check_url: str = ""
    """Empty for one that says by heartbeats of its service that it is alive."""
    face: str = ICS
    registration: str = ""
    """Names this registration; what is owed on behalf of an older one is pointless."""
    misses: int = 0

    @property
    def spec(self) -> str:
        """As it is kept."""
        return orjson.dumps(
            {
                "types": self.types,
                "job_url": self.job_url,
                "check_url": self.check_url,
                "face": self.face,
                "registration": self.registration,
            }
        ).decode()


def producer(found: Executor) -> Producer:
    """A producer from what is kept of it."""
    spec = orjson.loads(found.spec)
    misses = found.attributes.get("misses")
    return Producer(
        found.id,
        tuple(spec["types"]),
        spec["job_url"],
        spec["check_url"],
        spec["face"],
        spec["registration"],
        misses if isinstance(misses, int) else 0,
    )


def supply_id(type_: str, producer_: str = "") -> str:
    """The id of a record that says who supplies what; without a producer what all of a type begin with."""
    return f"{len(type_)}:{type_}:{producer_}"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is kept about a job beside its type and owner."""

    definition: str
    """JSON object, as the consumer wrote it."""
    face: str = ICS
    result_uri: str = ""
    status_uri: str = ""
    target_uri: str = ""
    """What producers are told as the target."""

    @property
    def spec(self) -> str:
        """As it is kept."""
        words = orjson.dumps(
            {
                "face": self.face,
                "result_uri": self.result_uri,
                "status_uri": self.status_uri,
                "target_uri": self.target_uri,
            }
        ).decode()
        return f'{words[:-1]},"definition":{self.definition}}}'


def job_facts(job: Job) -> JobFacts:
    """What is kept about a job."""
    spec = orjson.loads(job.spec)
    return JobFacts(
        member(job.spec, "definition") or "{}",
        spec["face"],
        spec["result_uri"],
        spec["status_uri"],
        spec["target_uri"],
    )


def put_at(job: Job) -> Micros:
    """When the consumer put a job last."""
    known = job.attributes.get(PUT_AT)
    return known if isinstance(known, int) else job.updated_at


def live(job: Job | None) -> bool:
    """Whether a job is there for clients: one that was cancelled is gone, though its history is kept."""
    return job is not None and not job.terminal and not job.control.cancel_requested


def status_of(job: Job) -> str:
    """ENABLED or DISABLED: what a producer accepted before holds until it refuses what it was posted since."""
    return ENABLED if job.counters.running else DISABLED


def attribute(values: Mapping[str, Attribute], name: str) -> str:
    """A text among attributes; empty when it is not there."""
    value = values.get(name)
    return value if isinstance(value, str) else ""


def heard_of(service: Record | None, now: Micros) -> bool:
    """Whether a service is alive; a producer without a service is never asked for heartbeats."""
    if service is None:
        return True
    seconds = service.attributes.get("heartbeat_seconds")
    late = service.updated_at + HEARTBEATS * (seconds if isinstance(seconds, int) else 0) * 1_000_000
    return service.attributes.get("status") == REGISTERED and now <= late
