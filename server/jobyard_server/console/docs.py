"""The documents of the APIs over HTTP: OpenAPI for programs, and a page that shows it to people, offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    documents = contract.openapi_documents()
    found = {f"/openapi/{name}": _always(Page(body, JSON)) for name, body in documents.items()}
    for asset in _VIEWER:
        name = PurePath(asset)
        found[f"/docs/{name.name}"] = _always(Page(_ASSETS.joinpath(asset).read_bytes(), _MEDIA[name.suffix]))
    found["/docs"] = _always(Page(_page(documents), HTML, policy=_POLICY))
    return found


def _page(documents: Mapping[str, bytes]) -> bytes:
    titles = {name.removesuffix(".json"): orjson.loads(body)["info"]["title"] for name, body in documents.items()}
    ordered = sorted(titles.items(), key=lambda each: (each[0] != "jobs", each[0] == "all", each[0]))
    choices = "".join(f'<option value="{escape(name)}">{escape(title)}</option>' for name, title in ordered)
    return _ASSETS.joinpath("docs.html").read_text(encoding="utf-8").replace("<!-- choices -->", choices).encode()


def _always(page: Page) -> Callable[[], Page]:
    return lambda: page
