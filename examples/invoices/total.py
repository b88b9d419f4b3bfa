"""The program of the example: adds up the invoices of a CSV file, as a worker runs it.

It reads the payload of its job from standard input, for example ``{"file": "2026-10.csv", "status": "open"}``,
writes what it does to standard output (the log of the job) and its result to ``JOBYARD_RESULT_FILE``.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Read, add up, write; the exit code is the outcome of the job."""
    payload = json.load(sys.stdin)
    path = HERE / Path(payload["file"]).name
    wanted = payload.get("status")
    totals: dict[str, Decimal] = defaultdict(Decimal)
    count = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if wanted is None or row["status"] == wanted:
                totals[row["currency"]] += Decimal(row["amount"])
                count += 1
    print(f"read {path.name}: {count} invoices {wanted or 'in all'}")
    for currency, total in sorted(totals.items()):
        print(f"{currency} {total:>14,.2f}")
    result = {"invoices": count, "totals": {currency: str(total) for currency, total in sorted(totals.items())}}
    Path(os.environ["JOBYARD_RESULT_FILE"]).write_text(json.dumps(result), encoding="utf-8")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
