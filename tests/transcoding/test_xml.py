"""XML instead of JSON: what becomes of which value, and what stays as it is."""

import pytest

from jobyard.rest.v1 import face_pb2
from jobyard_server.transcoding.reply import Reply, content_type
from jobyard_server.transcoding.xml import XmlForm

FORM = XmlForm(face_pb2.Face(xml=face_pb2.Xml(media_types=["application/xml"], root="result", error_root="error")))
(OFFER,) = FORM.offers


def written(body, status=200, kind="application/json"):
    reply = FORM.rewrite(Reply(status, [content_type(kind), (b"etag", b'"1"')], body), OFFER)
    assert (b"etag", b'"1"') in reply.headers
    return dict(reply.headers)[b"content-type"].decode(), reply.body.decode()


@pytest.mark.parametrize(
    ("json", "xml"),
    [
        (b"{}", ""),
        (b'{"a":1,"b":true,"c":1.5}', "<a>1</a><b>true</b><c>1.5</c>"),
        (b'{"a":null}', '<a nil="true" />'),
        (b'{"a":[],"b":[1,{"c":null}]}', '<a></a><b><item>1</item><item><c nil="true" /></item></b>'),
        (b'{"a":"<&>\\u0000\\ud83d\\ude00"}', "<a>&lt;&amp;&gt;\ufffd\U0001f600</a>"),
        (b'{"a b\\"<":{"x":"y"}}', '<member name="a b&quot;&lt;"><x>y</x></member>'),
    ],
)
def test_objects_become_elements(json, xml):
    assert written(json) == ("application/xml; charset=UTF-8", f"<result>{xml}</result>")


def test_errors_have_their_own_root_and_plain_nulls():
    assert written(b'{"a":null}', 404)[1] == "<error><a /></error>"


@pytest.mark.parametrize(("body", "kind"), [(b"[1]", "application/json"), (b"{x", "text/plain"), (b"", "text/plain")])
def test_what_is_no_object_stays(body, kind):
    assert written(body, kind=kind) == (kind, body.decode())
