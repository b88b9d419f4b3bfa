"""Prints the OpenAPI documents of every API this server speaks into the folder named by the only argument."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from google.protobuf import descriptor_pool

from jobyard_server import contract
from jobyard_server.main import APIS
from jobyard_server.transcoding.openapi.comments import Comments
from jobyard_server.transcoding.openapi.document import documents
from jobyard_server.transcoding.plan import compile_plan
from jobyard_server.transcoding.settings import Settings


def main(argv: list[str]) -> None:
    """Write a file for each face, and one for all of them."""
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(service.name) for api in APIS for service in api.services]
    plan = compile_plan(services, Settings(), [file for api in APIS for file in api.files])
    for name, document in documents(plan, Comments(contract.descriptors())).items():
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (folder / f"{name}.json").write_bytes(text)


if __name__ == "__main__":
    main(sys.argv[1:])
