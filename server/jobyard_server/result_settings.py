"""Settings about where results go that are not kept here: an object store, a broker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class ObjectSettings(BaseModel):
    """An object store and the buckets that are used of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = "s3://"
    """``s3://`` for S3 and what speaks like it, ``file:///path`` for folders of this machine, one a bucket, ``memory://``
    for trying things."""
    buckets: frozenset[str] = Field(min_length=1)
    """The buckets that may be named as destinations; they have to exist."""
    endpoint: str = ""
    """URL of a store that is not Amazon's: ``https://minio.local:9000``."""
    region: str = ""
    access_key_id: str = ""
    """Empty: what the environment of the machine gives, as usual with S3."""
    secret_access_key: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"s3", "file", "memory"} or (parts.scheme == "file") != bool(parts.path):
            raise ValueError("is none of s3://, file:///path, memory://")
        return url

    @field_validator("buckets")
    @classmethod
    def _are_names(cls, buckets: frozenset[str]) -> frozenset[str]:
        for bucket in buckets:
            # They are folders, too, and parts of URLs.
            if not _BUCKET.fullmatch(bucket) or ".." in bucket:
                raise ValueError(f"{bucket!r} is no name of a bucket")
        return buckets

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, endpoint: str) -> str:
        if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
            raise ValueError("is no URL of http or https")
        return endpoint


class BrokerSettings(BaseModel):
    """A broker and the topics that are used of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    """``nats://broker.local:4222`` or ``tls://...``. Its streams have to take the topics."""
    topics: frozenset[str] = Field(min_length=1)
    """The topics that may be named as destinations: names, or patterns such as ``results.*``."""
    token: SecretStr | None = None
    credentials: Path | None = None
    """File of the credentials of NATS, where it asks for them."""

    @model_validator(mode="after")
    def _is_nats(self) -> Self:
        if urlsplit(self.url).scheme not in {"nats", "tls"} or not urlsplit(self.url).hostname:
            raise ValueError("url: is no URL of NATS")
        return self
