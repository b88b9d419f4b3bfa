"""The same two endpoints as one would write them with FastAPI and pydantic."""

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Camel(BaseModel):
    """Members in camelCase, as the protos have them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Piece(Camel):
    """A piece of a job."""

    name: str = ""
    ordinal: int = 0
    bytes: str = "0"
    phase: str = "PHASE_UNSPECIFIED"
    start_time: datetime | None = None


class Job(Camel):
    """The job."""

    number: str = "0"
    uid: str = ""
    name: str = ""
    display_name: str = ""
    description: str = ""
    tenant: str = ""
    owner: str = ""
    queue: str = ""
    phase: str = "PHASE_UNSPECIFIED"
    priority: int = 0
    attempts: int = 0
    cancel_requested: bool = False
    progress: float = 0
    generation: str = "0"
    etag: str = ""
    digest: str = ""
    create_time: datetime | None = None
    start_time: datetime | None = None
    update_time: datetime | None = None
    timeout: str | None = None
    labels: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    depends_on: list[str] = []
    pieces: list[Piece] = []
    parent: str | None = None
    exit_code: int | None = None
    definition: str | None = None


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
