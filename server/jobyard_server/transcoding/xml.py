"""JSON answers written as XML, for clients of faces that offer it: WSME's form of elements."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

import orjson

from jobyard.rest.v1 import face_pb2
from jobyard_server.transcoding.media import Offer, bare, is_json
from jobyard_server.transcoding.reply import Reply, content_type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot have at all."""


class XmlForm:
    """How one face writes XML."""

    def __init__(self, face: face_pb2.Face) -> None:
        self._root = face.xml.root
        self._error_root = face.xml.error_root
        self.offers = tuple(Offer(f"{each}; charset=UTF-8", (bare(each),), xml=True) for each in face.xml.media_types)

    def rewrite(self, reply: Reply, offer: Offer) -> Reply:
        """Write what is a JSON object as XML; leave anything else alone."""
        kinds = [value.decode("latin-1") for name, value in reply.headers if name == b"content-type"]
        # What the method wrote was announced as what was asked for; what it wrote in its own way was not.
        if not reply.body.startswith(b"{") or not all(is_json(kind) or kind == offer.media_type for kind in kinds):
            return reply
        failed = reply.status >= 400
        tree = orjson.loads(reply.body)
        text = "".join(_members(tree, nil="" if failed else ' nil="true"'))
        root = self._error_root if failed else self._root
        headers = [line for line in reply.headers if line[0] != b"content-type"]
        return Reply(reply.status, [*headers, content_type(offer.media_type)], f"<{root}>{text}</{root}>".encode())


def _members(tree: dict[str, Any], nil: str) -> list[str]:
    return [_element(name, value, nil) for name, value in tree.items()]


def _element(name: str, value: Any, nil: str) -> str:
    """Write one member; a name that is none in XML stands in an attribute."""
    start = name if _NAME.fullmatch(name) else f'member name="{_text(name, {chr(34): "&quot;"})}"'
    end = start.partition(" ")[0]
    if value is None:
        return f"<{start}{nil} />"
    if isinstance(value, dict):
        return f"<{start}>{''.join(_members(value, nil))}</{end}>"
    if isinstance(value, list):
        return f"<{start}>{''.join(_element('item', each, nil) for each in value)}</{end}>"
    return f"<{start}>{_text(value if isinstance(value, str) else orjson.dumps(value).decode())}</{end}>"


def _text(text: str, quotes: dict[str, str] | None = None) -> str:
    return escape(_UNFIT.sub("\ufffd", text), quotes or {})
