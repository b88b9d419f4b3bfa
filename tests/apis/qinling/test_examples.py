"""The example, run as it stands."""

import subprocess
from pathlib import Path

from support.running import Server

EXAMPLE = Path(__file__).parents[3] / "examples" / "qinling" / "hello.sh"


def test_the_example_says_hello(tmp_path):
    with Server(tmp_path, "--dev", XDG_CACHE_HOME=str(tmp_path)) as server:
        done = subprocess.run(
            [EXAMPLE, server.url], capture_output=True, text=True, timeout=250, check=False, stdin=subprocess.DEVNULL
        )
    assert done.returncode == 0, done.stdout + done.stderr
    *results, started, said, finished = done.stdout.splitlines()
    assert len(results) == 3
    assert all(each.startswith('success {"duration": ') and '"output": "Hello, Ann"' in each for each in results)
    assert started.startswith("Start execution: ")
    assert said == "greeting Ann"
    assert finished.startswith("Finished execution: ")
