"""Where credentials are looked for, and which one counts."""

import pytest

from jobyard_server.callers.credential import AUTHORIZATION, Credential, Kind, Place, present

BASIC = Place("authorization", "basic")
OLD = Place("x-auth-token", "")


@pytest.mark.parametrize(
    ("metadata", "places", "found"),
    [
        ({}, (AUTHORIZATION,), None),
        ({"x-auth-token": "t"}, (AUTHORIZATION,), None),
        ({"authorization": "Bearer t"}, (AUTHORIZATION,), Credential(Kind.TOKEN, "t")),
        ({"authorization": "  bEaReR   t "}, (AUTHORIZATION,), Credential(Kind.TOKEN, "t")),
        ({"authorization": "Basic dTpw"}, (BASIC, AUTHORIZATION), Credential(Kind.BASIC, "dTpw")),
        ({"authorization": "Bearer t"}, (BASIC, AUTHORIZATION), Credential(Kind.TOKEN, "t")),
        ({"x-auth-token": " t "}, (OLD, AUTHORIZATION), Credential(Kind.TOKEN, "t")),
        ({"x-auth-token": "t", "authorization": "Bearer u"}, (OLD, AUTHORIZATION), Credential(Kind.TOKEN, "t")),
        # Something is shown that is not taken here: its holder is not anonymous, and nobody known either.
        ({"authorization": "Digest t"}, (AUTHORIZATION,), Credential(Kind.TOKEN, "")),
        ({"authorization": "t"}, (AUTHORIZATION,), Credential(Kind.TOKEN, "")),
        ({"authorization": b"Bearer t"}, (AUTHORIZATION,), None),
    ],
)
def test_what_a_request_presents(metadata, places, found):
    assert present(metadata, places) == found


def test_a_credential_does_not_print_itself():
    assert "s3cret" not in repr(Credential(Kind.TOKEN, "s3cret"))
