"""The codec's short way: trees of JSON into wire bytes and back, without Python's messages in between.

What is usual takes it, where it is compiled to machine code: as Python it would be the slower one. For everything else
it raises Unusual, and the codec around it does all of the work again: it alone knows every form, and what may be wrong.
"""

from typing import Final

from jobyard_server.transcoding.codec.wire import varints

COMPILED: Final = not varints.__file__.endswith(".py")
"""It was compiled, and is taken."""
