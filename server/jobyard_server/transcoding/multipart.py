"""Takes a multipart/form-data body apart, whole and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as MailHeaders

from jobyard_server.transcoding.refusals import refused

_LONGEST_BOUNDARY = 70
_MOST_HEADER_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One field of the form."""

    name: str
    content: bytes
    media_type: str


def parts(body: bytes, content_type: str, most: int) -> Iterator[Part]:
    """Give the parts of a form in their order; raises RequestRefused."""
    delimiter = b"\r\n--" + _boundary(content_type)
    # With a line end in front the first delimiter looks like the others.
    pieces = (b"\r\n" + body).split(delimiter, most + 2)
    if len(pieces) > most + 1 and not pieces[-1].startswith(b"--"):
        raise refused("BODY_MALFORMED", f"the form has more than {most} parts")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise refused("BODY_MALFORMED", "the form has no closing boundary")
    for piece in pieces[1:-1]:
        yield _part(piece)


def _boundary(content_type: str) -> bytes:
    headers = MailHeaders()
    headers["content-type"] = content_type
    boundary = headers.get_boundary("")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise refused("BODY_MALFORMED", "the Content-Type of the form has no boundary")
    return boundary.encode("latin-1", "replace")


def _part(piece: bytes) -> Part:
    head, gap, content = piece.lstrip(b" \t").partition(b"\r\n\r\n")
    if not gap or not head.startswith(b"\r\n") or len(head) > _MOST_HEADER_BYTES:
        raise refused("BODY_MALFORMED", "a part of the form has no headers")
    headers = MailHeaders()
    for line in head[2:].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise refused("BODY_MALFORMED", "a part of the form has a broken header")
        headers[name.decode("latin-1")] = value.strip().decode("utf-8", "replace")
    name_of_field = headers.get_param("name", header="content-disposition")
    if not isinstance(name_of_field, str):
        raise refused("BODY_MALFORMED", "a part of the form has no name")
    return Part(name_of_field, content, headers.get_content_type())
