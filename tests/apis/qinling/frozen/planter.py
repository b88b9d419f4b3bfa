"""Writes what a vector takes as given into the database of a running server, one JSON line after the other."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from typing import Any

from jobyard_server.apis.qinling import API, mapping, names
from jobyard_server.apis.qinling.functions import AliasSpec, FunctionSpec, VersionSpec
from jobyard_server.domain.catalog import NewDefinition
from jobyard_server.domain.cron import SecondsField
from jobyard_server.domain.job import NewJob
from jobyard_server.domain.schedule import NewSchedule, Overlap, Progress, Schedule
from jobyard_server.domain.state import Control, Mode
from jobyard_server.store.store import Store

EVERYTHING = ("jobs", "subjobs", "attempts", "schedules", "fires", "events", "definitions", "records", "log_chunks")


def micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def plant_function(tx: Any, given: dict[str, Any]) -> None:
    newest = max(given["versions"], default=0)
    id_, tenant, queue = given["id"], given["project_id"], names.queue_of(names.PYTHON)
    spec = FunctionSpec(latest_version=newest)
    tx.put_definition(NewDefinition(API.name, tenant, "ann", id_, kind=names.FUNCTION, queue=queue, spec=spec.text()))
    for number in given["versions"]:
        version = VersionSpec(uid=names.new_id(), number=number).text()
        key = names.version_id(id_, number)
        tx.put_definition(
            NewDefinition(API.name, tenant, "ann", key, kind=names.VERSION, base=id_, queue=queue, spec=version)
        )


def plant_job(tx: Any, row: dict[str, Any]) -> None:
    due, pattern = micros(row["next_execution_time"]), row["pattern"]
    schedule = (
        Schedule(cron=pattern, seconds=SecondsField.LAST, overlap=Overlap.ALLOW)
        if pattern
        else Schedule(at=due, overlap=Overlap.ALLOW)
    )
    status = row["status"]
    kept = {key: row[key] for key in ("name", "function_id", "function_alias", "function_version", "function_input")}
    spec = json.dumps({**kept, "first_execution_time": micros(row["first_execution_time"])})
    attributes = {key: row[key] for key in ("function_id", "function_alias", "function_version")}
    progress = Progress(due, row["count"])
    new = NewJob(
        API.name, row["project_id"], "ann", Mode.SCHEDULED, row["id"], subjobs=(), spec=spec, attributes=attributes,
        schedule=NewSchedule(schedule, progress, paused=status == "paused"),
    )  # fmt: skip
    job = tx.submit(new).job
    if status in {"cancelled", "done"}:
        job = tx.change_job(job, control=Control(cancel_requested=status == "cancelled", exhausted=status == "done"))
        tx.refold(job)


def plant(tx: Any, given: dict[str, Any]) -> None:
    """Write what is given."""
    for function in given.get("functions", ()):
        plant_function(tx, function)
    for alias in given.get("aliases", ()):
        spec = AliasSpec(names.new_id(), None, alias["function_id"], None, alias["function_version"])
        tx.put_record(API.name, alias.get("project_id", "default"), names.ALIAS, alias["name"], spec.text())
    for row in given.get("jobs", ()):
        plant_job(tx, row)


def clear(tx: Any) -> None:
    """Take everything away."""
    for table in EVERYTHING:
        tx._unit.sets.run(f"DELETE FROM {table}")


async def main(url: str) -> None:
    fields = {API.name: mapping.FIELDS}
    async with Store(url, words={API.name: mapping.WORDS}, fields=fields) as store:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            said = json.loads(line)
            if said.get("clear"):
                await store.run(clear)
            else:
                await store.run(lambda tx: plant(tx, said))
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
