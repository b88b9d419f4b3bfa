"""A producer of one information type: registers, and prints the jobs it is given and those it is to stop.

Run: ``python examples/infojobs/producer.py http://127.0.0.1:8080``, beside ``jobyard serve --dev``; then put a job:

    curl -X PUT http://127.0.0.1:8080/data-consumer/v1/info-jobs/my-job -H 'Content-Type: application/json' \
        -d '{"info_type_id": "counters_1.0.0", "job_owner": "me", "job_definition": {"names": ["a", "b"]}}'
"""

from __future__ import annotations

import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE = "counters_1.0.0"
SCHEMA = {"type": "object", "required": ["names"], "properties": {"names": {"type": "array"}}}


class Producer(BaseHTTPRequestHandler):
    """What the server calls."""

    def do_GET(self) -> None:
        """Say that we are alive."""
        self._ok()

    def do_POST(self) -> None:
        """Begin a job, or take its new definition: the same name replaces."""
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("start", job["info_job_identity"], json.dumps(job["info_job_data"]), flush=True)
        self._ok()

    def do_DELETE(self) -> None:
        """Stop a job."""
        print("stop", self.path.rpartition("/")[2], flush=True)
        self._ok()

    def _ok(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing but jobs."""


def put(url: str, body: object) -> None:
    """Register something."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")
    with urllib.request.urlopen(request):
        pass


def main(server: str) -> None:
    """Register the type and ourselves, then serve."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Producer) as peers:
        here = f"http://127.0.0.1:{peers.server_address[1]}"
        put(f"{server}/data-producer/v1/info-types/{TYPE}", {"info_job_data_schema": SCHEMA})
        registration = {
            "supported_info_types": [TYPE],
            "info_job_callback_url": f"{here}/jobs",
            "info_producer_supervision_callback_url": f"{here}/alive",
        }
        put(f"{server}/data-producer/v1/info-producers/counters", registration)
        peers.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
