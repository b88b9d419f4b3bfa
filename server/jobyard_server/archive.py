"""Packages of functions: what a zip file may hold, and how it is unpacked by somebody who does not trust it."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of the zip file."""
MOST_FILES: Final = 2_000
MOST_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes of all files together."""
LONGEST_PATH: Final = 240
DEEPEST_PATH: Final = 20

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_PIECE: Final = 64 * 1024
# What zipfile raises of damaged packages, and of those packed in ways it does not know.
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class ArchiveError(ValueError):
    """A package that is not taken; the text says why in a phrase."""


def check(data: bytes) -> None:
    """Refuse a package that would not be unpacked. What its directory says is believed, and counted when unpacked."""
    with _opened(data) as package:
        for _ in _entries(package):
            pass


def unpack(data: bytes, folder: Path) -> None:
    """Write the files of a package into an empty folder, and nothing anywhere else."""
    left = MOST_UNPACKED
    with _opened(data) as package:
        for entry, path in _entries(package):
            target = folder / path
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with package.open(entry) as content, target.open("xb") as file:
                while piece := content.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise ArchiveError(f"unpacks to more than {MOST_UNPACKED} bytes")
                    file.write(piece)


@contextmanager
def _opened(data: bytes) -> Iterator[zipfile.ZipFile]:
    if len(data) > MOST_BYTES:
        raise ArchiveError(f"has more than {MOST_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            yield package
    except ArchiveError:
        raise
    except _UNREADABLE as problem:
        raise ArchiveError(f"is not a zip file that can be read: {problem}") from None


def _entries(package: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The entries with their paths; each was looked at before any is handed out."""
    entries = package.infolist()
    if len(entries) > MOST_FILES:
        raise ArchiveError(f"holds more than {MOST_FILES} files")
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ArchiveError(f"unpacks to more than {MOST_UNPACKED} bytes")
    found = [(entry, _path(entry)) for entry in entries]
    files = [path for entry, path in found if not entry.is_dir()]
    if len(set(files)) < len(files):
        raise ArchiveError("holds a file twice")
    parents = {parent for path in files for parent in path.parents}
    if doubtful := parents.intersection(files):
        raise ArchiveError(f"holds {min(doubtful)} as a file and as a folder")
    return iter(found)


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    # ZipInfo cuts names at a zero byte; what was there before tells that somebody tried.
    if "\0" in entry.orig_filename or "\\" in entry.orig_filename or ":" in name:
        raise ArchiveError(f"holds a file with a name that is not taken: {name!r}")
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ArchiveError(f"holds a file outside of itself: {name!r}")
    if len(name.encode()) > LONGEST_PATH or len(path.parts) > DEEPEST_PATH:
        raise ArchiveError(f"holds a file whose path is too long: {name[:LONGEST_PATH]!r}")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise ArchiveError(f"holds something that is neither file nor folder: {name!r}")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise ArchiveError(f"holds a file that is encrypted or packed in an unusual way: {name!r}")
    return path
