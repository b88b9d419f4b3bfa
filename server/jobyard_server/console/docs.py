"""The documents of the APIs over HTTP: OpenAPI for programs, and a page that shows it to people, offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from html import escape
from importlib import resources
from pathlib import PurePath
from typing import Final

import orjson

from jobyard_server import contract
from jobyard_server.transcoding.pages import CSS, HTML, JAVASCRIPT, JSON, Page

_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Nothing from elsewhere; the viewer sets styles of its own."""

_ASSETS: Final = resources.files("jobyard_server.console").joinpath("assets")
_VIEWER: Final = ("swagger-ui/swagger-ui-bundle.js", "swagger-ui/swagger-ui.css", "docs.js", "docs.css")
_MEDIA: Final = {".js": JAVASCRIPT, ".css": CSS}


def pages() -> Mapping[str, Callable[[], Page]]:
    """The pages by path."""
    found = {f"/openapi/{name}": partial(_document, name) for name in contract.openapi_names()}
    found |= {f"/docs/{PurePath(asset).name}": partial(_asset, asset) for asset in _VIEWER}
    return {**found, "/openapi": _index, "/openapi/": _index, "/docs": _page, "/docs/": _page}


# Read for whoever asks, who is rarely there: together they are as large as everything else that a server shows.


def _index() -> Page:
    documents = [{"title": title, "path": f"/openapi/{name}.json"} for name, title in _titles()]
    return Page(orjson.dumps({"documents": documents}), JSON, lasting=True)


def _document(name: str) -> Page:
    return Page(contract.openapi_document(name), JSON, lasting=True)


def _asset(name: str) -> Page:
    return Page(_ASSETS.joinpath(name).read_bytes(), _MEDIA[PurePath(name).suffix], lasting=True)


def _page() -> Page:
    choices = "".join(f'<option value="{escape(name)}">{escape(title)}</option>' for name, title in _titles())
    page = _ASSETS.joinpath("docs.html").read_text(encoding="utf-8").replace("<!-- choices -->", choices)
    return Page(page.encode(), HTML, policy=_POLICY, lasting=True)


@cache
def _titles() -> Sequence[tuple[str, str]]:
    """The documents and what they are called, our own API first and the one of all of them last."""
    names = [name.removesuffix(".json") for name in contract.openapi_names()]
    ordered = sorted(names, key=lambda name: (name != "jobs", name == "all", name))
    return [(name, orjson.loads(contract.openapi_document(f"{name}.json"))["info"]["title"]) for name in ordered]
