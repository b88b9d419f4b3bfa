"""Prints messages that leave by other ways than as an answer, in the spelling of a face."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message

from jobyard_server.transcoding.codec import Dialect, compile_encoder
from jobyard_server.transcoding.surface import faces_of


class Printer:
    """Prints messages as the faces that some files register spell them."""

    def __init__(self, files: Iterable[FileDescriptor], profiles: Collection[str] = ()) -> None:
        self._dialects = {name: Dialect.of_face(face, profiles) for name, face in faces_of(files).items()}

    def __call__(self, message: object, face: str) -> bytes:
        """The JSON of a message; KeyError for a face that nobody registered."""
        if not isinstance(message, Message):
            raise TypeError(f"{type(message).__name__} is no message")
        return compile_encoder(message.DESCRIPTOR, self._dialects[face])(message)
