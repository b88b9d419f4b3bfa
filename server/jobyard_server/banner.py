"""What a development server prints when it is ready: where it is, and lines to copy."""

from __future__ import annotations


def banner(grpc: str, rest: str) -> str:
    """The banner for two addresses."""
    job = """'{"queue": "default", "payload": {"say": "hello"}}'"""
    return f"""
  Jobyard is ready, for this machine alone: nobody has to prove who he is.

    gRPC   {grpc}
    REST   http://{rest}

  Submit a job:
    curl -H 'Content-Type: application/json' -d {job} http://{rest}/jobyard/v1/jobs
    jobyard submit --server {grpc} --queue default --payload '{{"say": "hello"}}'
  See the jobs:
    curl http://{rest}/jobyard/v1/jobs
    jobyard list --server {grpc}
  Explore, with no proto files:
    buf curl --http2-prior-knowledge --protocol grpc --list-methods http://{grpc}
    grpcurl -plaintext {grpc} describe jobyard.jobs.v1.JobService
"""
