"""What an API tells the composition root about itself, as plain data: one `Api` object for every folder beside this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.descriptor import FileDescriptor

from jobyard_server.domain.catalog import Record
from jobyard_server.domain.delivery import Answer, HttpCall, OpenAnswer
from jobyard_server.domain.fields import ApiFields
from jobyard_server.domain.job import Attribute, NewJob
from jobyard_server.domain.state import State
from jobyard_server.usecases.ports import Deliverer, DeliveryKind, JobEnded, MakeJobs, RoutingKey, Store, Tx
from jobyard_server.usecases.ports.results import ObjectStore, Topics

SpecCheck: TypeAlias = Callable[[str], Mapping[str, Attribute]]
"""Takes the JSON text of a definition, executor or record; raises ``Refused`` for one that its API could not work
with, else returns the attributes its lists filter by."""

RecordKept: TypeAlias = Callable[[Tx, Record | None, Record | None], None]
"""Takes a record before and after it was put or removed, in the same transaction; what follows from it is done there.
Raises ``Refused`` for one that does not fit the others."""

Complete: TypeAlias = Callable[[NewJob], NewJob]
"""Adds to a job that is moved over what every job of its API has."""

NounKind: TypeAlias = tuple[str, str]
"""An API and a kind of its definitions, executors or records: ``("dataone", "contract")``."""


Ask: TypeAlias = Callable[[HttpCall, float], Awaitable[Answer]]
"""Calls a peer at once and says what came back; it takes no longer than so many seconds, and never fails."""

Fetch: TypeAlias = Callable[[HttpCall, float], AbstractAsyncContextManager[OpenAnswer]]
"""The same for an answer that may be large: each piece of it may take so many seconds."""

LogIn: TypeAlias = Callable[[str, str], Awaitable[tuple[str, float]]]
"""Takes a name and a password, gives a token and the seconds it is good for; raises ``Refused``."""


@dataclass(frozen=True, slots=True)
class DmiRules:
    """How the services are called that data jobs are handed to."""

    basic: Callable[[], str] = str
    """The name and the password, with a colon in between, shown to all of them; empty: none is."""
    forward_bearer: bool = False
    """Whether they are shown the bearer token of the caller."""
    url_pattern: str = ""
    """What their URLs have to look like; empty: anything."""
    first_generation: frozenset[str] = frozenset()
    """Those that know only the paths of 2024."""
    wait_seconds: float = 30.0
    """How long the answer to a job waits for them."""
    poll_seconds: float = 1.0
    """How long after it was handed over they are asked for its status; the pause doubles each time."""
    longest_poll_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What main knows and a servicer needs; every value has the server's default."""

    session_seconds: float = 30.0
    """How long a worker session lives without a heartbeat."""
    heartbeat_seconds: float = 10.0
    """How often workers are told to call Heartbeat."""
    checkpoint_seconds: float = 15.0
    """A watch that saw nothing for so long sends a checkpoint."""
    checks: Mapping[NounKind, SpecCheck] = field(default_factory=dict)
    """The checks of all APIs together, for the one API through which all of them are loaded."""
    kept: Mapping[NounKind, RecordKept] = field(default_factory=dict)
    """What follows when records are put or removed, of all APIs together."""
    apis: frozenset[str] = frozenset({"jobs"})
    """The APIs this server speaks; things of other ones are refused."""
    profiles: Mapping[str, str] = field(default_factory=dict)
    """The named variants in force, for use cases whose rules differ by them."""
    deliverer: Deliverer | None = None
    """Sends deliveries that a call has to wait for; without one they are sent in the background only."""
    completes: Mapping[str, Complete] = field(default_factory=dict)
    """What each API adds to its jobs that are moved over, for the one API through which all of them are."""
    makers: Mapping[str, MakeJobs] = field(default_factory=dict)
    """How each API makes the jobs of its schedules, for the one API through which all of them are controlled."""
    delivery_wait_seconds: float = 3.0
    """How long a call that has to answer after its deliveries waits for them."""
    supervision_seconds: float = 300.0
    """How often an executor that is reached by push is asked whether it is alive."""
    supervision_misses: int = 3
    """After so many misses in a row it is taken for gone."""
    authorization_agents: Mapping[str, str] = field(default_factory=dict)
    """By API, who is asked whether a caller may read or change a thing."""
    ask: Ask | None = None
    """Calls a peer whose answer the call waits for. Nothing of it is kept."""
    fetch: Fetch | None = None
    """The same, for answers that are passed on while they come."""
    log_in: LogIn | None = None
    """Lets users in that come with a password; ``None`` where there are none."""
    print_json: Callable[[object, str], bytes] | None = None
    """A proto message as JSON, in the spelling of a face."""
    dmi: DmiRules = field(default_factory=DmiRules)
    """How the services are called that data jobs are handed to."""
    objects: ObjectStore | None = None
    """The buckets that results may be put into; ``None`` where there are none."""
    topics: Topics | None = None
    """The topics that results may be published to; ``None`` where there are none."""
    public_url: str = ""
    """URL under which clients reach the REST APIs; empty: the one each request came to."""


@dataclass(frozen=True, slots=True)
class Service:
    """One proto service."""

    name: str
    """Its full name, such as ``jobyard.jobs.v1.JobService``."""
    register: Callable[[Any, Any], None]
    """The generated ``add_XServicer_to_server``."""
    build: Callable[[Store, Options], object]
    """Makes the servicer."""


@dataclass(frozen=True, slots=True)
class Api:
    """One API, whole."""

    name: str
    """What stands in the column ``api`` of everything it owns."""
    services: tuple[Service, ...]
    files: tuple[FileDescriptor, ...]
    """The proto files that declare faces and services; what they import follows from them."""
    words: Mapping[State, str] = field(default_factory=dict)
    """Its own word for each state; a state without one keeps the domain's."""
    odd_words: Mapping[tuple[State, str], str] = field(default_factory=dict)
    """Its own word for a state with one reason, where that differs."""
    fields: ApiFields = field(default_factory=lambda: ApiFields({}))
    """What lists of its jobs filter and sort by."""
    checks: Mapping[str, SpecCheck] = field(default_factory=dict)
    """By kind of definition, executor or record; kinds that are not named here are refused by none."""
    make_checks: Callable[[Options], Mapping[str, SpecCheck]] | None = None
    """The same for kinds whose rules depend on settings."""
    kept: Mapping[str, RecordKept] = field(default_factory=dict)
    """By kind of record: what follows when one is put or removed through the one API through which all are loaded."""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The roles its clients know, with the permissions each holds unless a setting says otherwise."""
    deliveries: Mapping[str, DeliveryKind] = field(default_factory=dict)
    """How each kind of what it owes to somebody outside is made up, judged and settled."""
    make_deliveries: Callable[[Options], Mapping[str, DeliveryKind]] | None = None
    """The same for kinds that depend on settings."""
    ended: JobEnded | None = None
    """What follows when a job of its ends, or is removed before its end."""
    resumed: JobEnded | None = None
    """What follows when pieces of a job of its wait anew, because somebody retried or resumed it."""
    started: Callable[[Store, Options], Awaitable[None]] | None = None
    """What it does when a server begins, before that serves."""
    routing_key: RoutingKey | None = None
    """How it words the routing keys of the events of its jobs; ``None`` for an API whose events have none."""
    make_jobs: MakeJobs | None = None
    """How it makes the jobs of its schedules; ``None`` for an API without schedules."""
    complete: Complete | None = None
    """What a job of its has that is moved over from another system, beside what the import says of it."""

    def all_words(self) -> Mapping[State | tuple[State, str], str]:
        """Its words for states, and for states with a reason."""
        words: dict[State | tuple[State, str], str] = dict(self.words.items())
        words.update(self.odd_words.items())
        return words


def checks_of(apis: Iterable[Api], options: Options) -> Mapping[NounKind, SpecCheck]:
    """The checks of what operators load, of all APIs together."""
    found: dict[NounKind, SpecCheck] = {}
    for api in apis:
        made = api.make_checks(options) if api.make_checks is not None else {}
        found |= {(api.name, kind): check for kind, check in {**api.checks, **made}.items()}
    return found
