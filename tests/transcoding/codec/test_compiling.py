"""Plans are made once, whatever holds whatever, and by many threads at a time."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from jobyard_server.transcoding.codec import PROTO3, CodecError, compile_decoder, compile_encoder
from support.codec_messages import message

THREADS = 16


def test_what_was_compiled_is_kept():
    tree = message("Tree").DESCRIPTOR
    assert compile_decoder(tree) is compile_decoder(tree)
    assert compile_encoder(tree) is compile_encoder(tree)
    assert compile_encoder(tree, replace(PROTO3, depth=7)) is not compile_encoder(tree)


def test_threads_may_ask_for_the_same_plan_at_once():
    make = message("Tree")
    source = (
        b'{"left":{"named":{"a":{"branches":[{"plum":{"aBool":true}}]}}},'
        b'"wellKnown":{"any":{"@type":"a/codec.v1.Tree"}}}'
    )
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for depth in range(50, 60):
            dialect, together = replace(PROTO3, depth=depth), Barrier(THREADS)

            def work(_number, dialect=dialect, together=together):
                together.wait()
                found = make()
                compile_decoder(make.DESCRIPTOR, dialect)(source, found)
                return compile_encoder(make.DESCRIPTOR, dialect)(found)

            with ThreadPoolExecutor(THREADS) as pool:
                assert set(pool.map(work, range(THREADS))) == {source}
    finally:
        sys.setswitchinterval(interval)


def file_of(name, /, **fields):
    """Describe a file with one message whose fields have odd names."""
    described = [
        FieldDescriptorProto(
            name=field,
            number=number,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            **({"json_name": json_name} if json_name else {}),
        )
        for number, (field, json_name) in enumerate(fields.items(), 1)
    ]
    return FileDescriptorProto(
        name=f"{name}.proto", syntax="proto3", message_type=[DescriptorProto(name=name, field=described)]
    )


def test_names_that_mean_something_to_python():
    pool = DescriptorPool()
    pool.Add(file_of("Odd", self="", message="", __init__="", None_="None", DESCRIPTOR="", class_="class", HasField=""))
    make = GetMessageClass(pool.FindMessageTypeByName("Odd"))
    printed = {"self": "a", "message": "b", "class": "c", "None": "d", "HasField": "e"}
    found = make()
    compile_decoder(make.DESCRIPTOR)(json.dumps(printed).encode(), found)
    assert json.loads(compile_encoder(make.DESCRIPTOR)(found)) == printed


def test_an_any_is_looked_up_where_its_message_was():
    pool = DescriptorPool()
    pool.Add(file_of("Apart", name=""))
    apart = GetMessageClass(pool.FindMessageTypeByName("Apart"))(name="x")
    found = message("WellKnown")()
    found.any.Pack(apart)
    with pytest.raises(CodecError, match=r"^any\.@type: names a type that is not known here$"):
        compile_encoder(found.DESCRIPTOR)(found)


def test_zeros_with_a_sign_are_set_and_others_are_not():
    make = message("Scalars")
    encode = compile_encoder(make.DESCRIPTOR)
    for name in ("a_double", "a_float"):
        assert encode(make(**{name: 0.0})) == b"{}"
        assert b"-0.0" in encode(make(**{name: -0.0}))
