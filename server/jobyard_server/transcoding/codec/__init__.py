"""JSON to protobuf and back, compiled from descriptors: proto3 JSON plus what `jobyard.rest.v1` says.

    decode = compile_decoder(Order.DESCRIPTOR, dialect)
    decode(body, order)                  # bytes into a message; CodecError names the bad member
    decode.tree(parsed, order)           # the same from a parsed document

    encode = compile_encoder(Order.DESCRIPTOR, dialect)
    encode(order)                        # bytes
    tree = encode.tree(order)            # a dict of one's own, to add to; print_tree(tree) prints it

`compile_field_decoder` and `compile_field_encoder` do the same for a document that is one field of
the message: `body: "order"`, a bare array, a scalar. A Dialect says how one face spells JSON;
`PROTO3` is the specification itself. Everything compiled is kept and may be shared by threads.
"""

from jobyard_server.transcoding.codec.decoder import (
    Decoder,
    compile_decoder,
    compile_field_decoder,
)
from jobyard_server.transcoding.codec.dialect import PROTO3, Dialect, Naming, Stray, Unset
from jobyard_server.transcoding.codec.encode_messages import (
    Encoder,
    compile_encoder,
    compile_field_encoder,
    print_tree,
)
from jobyard_server.transcoding.codec.errors import CodecError
from jobyard_server.transcoding.codec.raw import single_line

__all__ = [
    "PROTO3",
    "CodecError",
    "Decoder",
    "Dialect",
    "Encoder",
    "Naming",
    "Stray",
    "Unset",
    "compile_decoder",
    "compile_encoder",
    "compile_field_decoder",
    "compile_field_encoder",
    "print_tree",
    "single_line",
]
