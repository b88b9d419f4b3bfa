"""Messages that leave by other ways than as an answer are spelled as their face spells them."""

import pytest

from jobyard.dataone.v1 import face_pb2 as dataone_face
from jobyard.jobs.v1 import face_pb2, webhook_pb2
from jobyard_server.transcoding.outgoing import Printer

PRINT = Printer([face_pb2.DESCRIPTOR, dataone_face.DESCRIPTOR])


def test_a_face_says_how_names_and_missing_values_are_printed():
    call = webhook_pb2.WebhookCall(event={"job": 7, "job_uid": "u"})
    printed = PRINT(call, "jobs")
    assert b'"job_uid":"u"' in printed
    assert b'"job_seq":"0"' in printed
    assert b'"jobUid":"u"' in PRINT(call, "dataone")


def test_a_face_that_nobody_registered_is_a_mistake():
    with pytest.raises(KeyError):
        PRINT(webhook_pb2.WebhookCall(), "no-such-face")
    with pytest.raises(TypeError, match="no message"):
        PRINT({"a": 1}, "jobs")
