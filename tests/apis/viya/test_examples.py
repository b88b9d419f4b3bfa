"""The examples of SAS Viya load as they are, and their definition runs."""

from __future__ import annotations

import shlex
import sys

from apis.viya.yard import DEFINITIONS, JOBS, ROOT, Yard
from support.running import Worker


def test_the_greeting_greets(tmp_path):
    yard = Yard(tmp_path)
    yard.start()
    try:
        yard.apply(ROOT / "examples" / "viya" / "definitions.yaml")
        found = yard.ask("GET", f"{DEFINITIONS}?filter=eq(name,'greeting')").json["items"][0]
        assert found["id"] == "greeting"
        assert found["creationTimeStamp"] == found["modifiedTimeStamp"]
        body = {"jobDefinitionUri": f"{DEFINITIONS}/greeting"}
        assert yard.ask("POST", JOBS, body=body).status == 400
        with Worker(yard.server, "viya/Compute", f"{shlex.quote(sys.executable)} -"):
            job = yard.ask("POST", JOBS, body={**body, "arguments": {"NAME": "Ada"}}).json
            job = yard.until(job["id"], lambda job: job["state"] == "completed")
        assert job["results"] == {"greeted": "Ada"}
        assert yard.ask("GET", f"{job['logLocation']}/content").text == "Hello, Ada!\n"
    finally:
        yard.stop()
