"""The program that a development server runs where nobody named another one: it gives the payload back as the result.

A payload that is an object may ask for more: ``{"sleep": 3}`` takes so many seconds, ``{"exit": 1}`` ends with that
exit code.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Read the payload, say so, give it back."""
    text = sys.stdin.read()
    payload = json.loads(text)
    wishes = payload if isinstance(payload, dict) else {}
    print(f"job {os.environ['JOBYARD_JOB']}, attempt {os.environ['JOBYARD_ATTEMPT']}: {len(text)} bytes of payload")
    for second in range(_whole(wishes.get("sleep"), 3600)):
        print(f"slept {second} s", flush=True)
        time.sleep(1)
    Path(os.environ["JOBYARD_RESULT_FILE"]).write_text(text, encoding="utf-8")
    return _whole(wishes.get("exit"), 125)


def _whole(value: object, most: int) -> int:
    return min(max(value, 0), most) if isinstance(value, int) else 0


if __name__ == "__main__":
    sys.exit(main())
