"""The page about states and the comments of the proto say what the transition table says."""

import re
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from jobyard_server.contract import descriptors
from jobyard_server.domain.state import SUBJOB_TRANSITIONS, TERMINAL, State

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
ARROW = re.compile(r"^\s+(\w+) --> (\w+): (.+)$", re.MULTILINE)


def comments_of_states() -> dict[str, str]:
    """The comment above each value of the enum State, by its name."""
    files = FileDescriptorSet.FromString(descriptors()).file
    file = next(file for file in files if file.name == "jobyard/jobs/v1/state.proto")
    index = next(number for number, enum in enumerate(file.enum_type) if enum.name == "State")
    values = file.enum_type[index].value
    return {
        values[path[3]].name: location.leading_comments
        for location in file.source_code_info.location
        if len(path := location.path) == 4 and path[:3] == [FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index, 2]
    }


def test_the_diagram_is_the_table():
    drawn = {(State(before), State(after)): who.split(", ") for before, after, who in ARROW.findall(PAGE.read_text())}
    assert drawn == {change: sorted(actor.lower() for actor in actors) for change, actors in SUBJOB_TRANSITIONS.items()}


def test_the_comment_of_a_state_names_where_it_can_go():
    comments = comments_of_states()
    for before, after in SUBJOB_TRANSITIONS:
        text = " ".join(comments[f"STATE_{before}"].split())
        named = f"STATE_{after}" in text or (after in TERMINAL and "any terminal state" in text)
        assert named, f"{before} -> {after}"
