"""Signs calls so that a peer knows who sent them and that nobody changed them, as Standard Webhooks says.

The signature is HMAC-SHA256 over ``id.timestamp.body``. The timestamp lets a peer refuse what is replayed later.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"


def signature_headers(secret: bytes, uid: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers that sign a body sent at an instant, in seconds since the epoch."""
    signed = b".".join((uid.encode(), str(seconds).encode(), body))
    digest = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return {ID: uid, TIMESTAMP: str(seconds), SIGNATURE: f"v1,{digest}"}
