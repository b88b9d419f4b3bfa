"""The same two endpoints as one would write them with FastAPI and pydantic, checking what the protos of the job check.

Both sides read the body into a job of their own and print it again: 27 fields with their types, the ranges of 32 and 64
bits, 64-bit numbers as text, the words of the enum, base64, times and a duration, free JSON, no unknown members, and
not two of one oneof. The transcoder also looks for members given twice, deep nesting and the range of times; FastAPI
also looks whether what is returned is what was declared. Neither handler does anything, both are served on uvloop.
"""

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Self

from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import (
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

DURATION = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s", re.ASCII)


def read_duration(value: object) -> object:
    """Read a number of seconds followed by an s."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not DURATION.fullmatch(value):
        raise ValueError("must be a duration in seconds")
    return timedelta(seconds=float(value[:-1]))


def print_duration(value: timedelta) -> str:
    """Print a number of seconds followed by an s."""
    return f"{value.total_seconds():g}s"


Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63), PlainSerializer(str, return_type=str)]
UInt64 = Annotated[int, Field(ge=0, lt=2**64), PlainSerializer(str, return_type=str)]
Duration = Annotated[timedelta, BeforeValidator(read_duration), PlainSerializer(print_duration, return_type=str)]


class Phase(Enum):
    """How far a job is."""

    PHASE_UNSPECIFIED = "PHASE_UNSPECIFIED"
    PHASE_PENDING = "PHASE_PENDING"
    PHASE_RUNNING = "PHASE_RUNNING"
    PHASE_SUCCEEDED = "PHASE_SUCCEEDED"


class Camel(BaseModel):
    """Members in camelCase, as the protos have them, and no others."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Piece(Camel):
    """A piece of a job."""

    name: str = ""
    ordinal: Int32 = 0
    bytes: Int64 = 0
    phase: Phase = Phase.PHASE_UNSPECIFIED
    start_time: datetime | None = None


class Job(Camel):
    """The job."""

    number: Int64 = 0
    uid: str = ""
    name: str = ""
    display_name: str = ""
    description: str = ""
    tenant: str = ""
    owner: str = ""
    queue: str = ""
    phase: Phase = Phase.PHASE_UNSPECIFIED
    priority: Int32 = 0
    attempts: Int32 = 0
    cancel_requested: bool = False
    progress: float = 0
    generation: UInt64 = 0
    etag: str = ""
    digest: Base64Bytes = b""
    create_time: datetime | None = None
    start_time: datetime | None = None
    update_time: datetime | None = None
    timeout: Duration | None = None
    labels: dict[str, str] = {}
    parameters: dict[str, JsonValue] = {}
    depends_on: list[str] = []
    pieces: list[Piece] = []
    parent: str | None = None
    exit_code: Int32 | None = None
    definition: str | None = None
    inline_source: str | None = None

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """Refuse both fields of the oneof."""
        if self.definition is not None and self.inline_source is not None:
            raise ValueError("definition and inlineSource cannot be given together")
        return self


def fastapi_app(message: Message) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    found = Job.model_validate(MessageToDict(message))

    @app.get("/v1/jobs/{uid}", response_model_exclude_none=True)
    async def get_job(uid: str) -> Job:  # noqa: ARG001 - the path has it
        return found

    @app.post("/v1/jobs", response_model_exclude_none=True)
    async def submit_job(job: Job) -> Job:
        return job

    return app
