"""Refuses methods whose options contradict themselves, where no part that is compiled would notice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

from jobyard.rest.v1 import annotations_pb2 as rest
from jobyard.rest.v1 import answer_pb2
from jobyard_server.transcoding.codec.dialect import Dialect
from jobyard_server.transcoding.printing import Part, parts
from jobyard_server.transcoding.query import spellings
from jobyard_server.transcoding.surface import DeclarationError, MethodSpec

_STATUSES: Final = range(200, 600)
_MOST_CONDITIONS: Final = 10
"""Different conditions of one method, up to which it is worked out whether its answers leave something out."""


def refuse_contradictions(spec: MethodSpec, answers: Sequence[answer_pb2.Answer], dialect: Dialect) -> None:
    """Raise a DeclarationError for what the options of a method, with the answers that count, cannot mean."""
    problem = _of_streams(spec) or _of_answers(spec.answers) or _of_choices(answers) or _of_parameters(spec, dialect)
    if problem:
        raise DeclarationError(f"{spec.name}: {problem}")


def _of_streams(spec: MethodSpec) -> str:
    if not spec.descriptor.server_streaming:
        return "stream says how a stream is written, and the method writes none" if spec.stream.ByteSize() else ""
    for answer in spec.answers:
        told = {field.name for field, _ in answer.ListFields()} - {"description", "profile"}
        if told:
            return f"an answer of a stream has no {min(told)}"
    return ""


def _of_answers(answers: Sequence[answer_pb2.Answer]) -> str:
    always: set[str] = set()
    for answer in answers:
        if answer.status and answer.status not in _STATUSES:
            return f"the status of an answer is {answer.status}"
        if always & {"", answer.profile}:
            return f"the answer after one without a condition is never given: status {answer.status or 200}"
        if not answer.when:
            always.add(answer.profile)
    return ""


def _of_choices(answers: Sequence[answer_pb2.Answer]) -> str:
    """Find out whether there may be a response for which no answer holds."""
    chosen = [parts(answer.when) for answer in answers]
    subjects = list(dict.fromkeys((part.name, part.wanted) for all_ in chosen for part in all_))
    if len(subjects) > _MOST_CONDITIONS:
        return ""
    for held in product((True, False), repeat=len(subjects)):
        facts = dict(zip(subjects, held, strict=True))
        if not any(all(_holds(part, facts) for part in all_) for all_ in chosen):
            return "there is no answer for a response that fits none of the conditions"
    return ""


def _holds(part: Part, facts: dict[tuple[str, str | None], bool]) -> bool:
    return facts[part.name, part.wanted] is not part.negated


def _of_parameters(spec: MethodSpec, dialect: Dialect) -> str:
    owners: dict[str, str] = {}
    for field in spec.request.fields:
        known = field.GetOptions()
        if not known.HasExtension(rest.query) or known.Extensions[rest.query].hidden:
            continue
        for name in spellings(field, dialect):
            other = owners.setdefault(name, field.name)
            if other != field.name:
                return f"the fields {other} and {field.name} are both the query parameter {name!r}"
    return ""
