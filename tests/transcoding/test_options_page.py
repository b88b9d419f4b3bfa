"""The page about the options: its blocks compile and make faces, and it names no option that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobyard.rest.v1 import annotations_pb2
from jobyard_server.transcoding.app import Transcoder
from support.recording import Recording
from support.trial import ROOT, pool_of

PAGE = (ROOT / "docs" / "rest-options.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```proto\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONSTANT = re.compile(
    r"\b(?:UNSET|STRICTNESS|NAMING|BLANK|RAW|TIME_FORM|HEADER_FORM|BODY_FORM|REPEATS|PLUS|ON_INPUT|ENTITY_TAG_FORM)_[A-Z0-9_]+"
)
PART = "(jobyard.rest.v1.error_part).source"
BODIES = ("ErrorBody", "FrameworkError", "Problem", "TitledProblem", "DmiTrouble", "NcmpError", "Fault")


def source_of(block: str) -> str:
    names = re.findall(r'^ +name: "([^"]+)"', block, re.MULTILINE)
    services = "".join(
        f'service S{number} {{ option (jobyard.rest.v1.face) = "{name}";\n'
        f'rpc Do(Nothing) returns (Nothing) {{ option (google.api.http) = {{get: "/{number}/x"}}; }} }}\n'
        for number, name in enumerate(names)
    )
    bodies = "".join(f"message {name} {{ string text = 1 [{PART} = ERROR_SOURCE_MESSAGE]; }}\n" for name in BODIES)
    imports = 'import "google/api/annotations.proto";\nimport "jobyard/rest/v1/annotations.proto";\n'
    return f'syntax = "proto3";\npackage page.v1;\n{imports}{block}\nmessage Nothing {{}}\n{bodies}{services}'


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r'name: "([^"]+)"', block)[1])
def test_blocks_make_faces(block: str, backend: Recording, tmp_path: Path) -> None:
    file = pool_of("page.proto", source_of(block), tmp_path)
    plan = Transcoder(file.services_by_name.values(), backend).plan
    for face in plan.surface.faces:
        for prefix in face.prefixes:
            owner = plan.face_of(prefix)
            assert owner is not None
            assert owner.face.name == face.name


def test_all_five_apis_are_walked() -> None:
    assert len(BLOCKS) == 5
    assert PAGE.count("| endpoint | fact | said by |") == 5


def test_every_option_named_in_the_tables_exists() -> None:
    extensions = annotations_pb2.DESCRIPTOR.extensions_by_name
    named = re.findall(r"`([a-z_]+)\.([a-z_]+)[^`]*`", PAGE)
    for option, field in named:
        if option == "face":
            fields = extensions["faces"].message_type.fields_by_name
        elif option in extensions and extensions[option].message_type is not None:
            fields = extensions[option].message_type.fields_by_name
        else:
            continue
        assert field in fields, f"{option}.{field}"
    for constant in CONSTANT.findall(PAGE):
        assert constant in all_constants(), constant


def all_constants() -> set[str]:
    folder = ROOT / "protos" / "jobyard" / "rest" / "v1"
    return set(re.findall(r"\b([A-Z0-9_]+) = \d+", "".join(path.read_text() for path in folder.glob("*.proto"))))
