"""The forms in which commands print what they found."""

from enum import StrEnum


class Form(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    NAME = "name"
