"""Times as people read them: how long ago, and how long it took."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def moment(stamp: Timestamp) -> datetime:
    """The instant of a timestamp."""
    return stamp.ToDatetime(tzinfo=UTC)


def span(seconds: float) -> str:
    """A duration in at most two units: `0.8s`, `42s`, `3m 07s`, `5h 02m`, `9d 04h`."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def ago(stamp: Timestamp, now: datetime) -> str:
    """How long ago something happened; the clocks of two machines may differ a little."""
    seconds = (now - moment(stamp)).total_seconds()
    if -5 < seconds < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
