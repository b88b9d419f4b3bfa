"""Every block of the README is executed, in order, as a reader would: one terminal, one folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXECUTED = {"bash", "python"}
# A diagram, an answer or a file that is shown, not run.
SHOWN = {"json", "mermaid", "proto", "text", "yaml"}

# The targets that a README names do hours of work or call this very test: here each is checked to
# exist and to have its prerequisites. Only `make run` is done, for the blocks after it speak to
# that server; it may take its time to listen, a reader would wait too.
PRELUDE = """
set -euo pipefail
await() {
    for attempt in {1..1200}; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "not ready after 120 s: $*" >&2
    return 1
}
# A reader looks at that server for a while; here it is ended as soon as it serves.
timeout() {
    shift 2
    "$@" >served.log 2>&1 &
    local served=$!
    await grep '"ready"' served.log || { cat served.log >&2; return 1; }
    kill "$served"
    wait "$served"
}
make() {
    command make --dry-run "$@" >/dev/null
    if [ "$1" = run ]; then
        jobyard serve --dev >server.log 2>&1 &
        for port in $README_PORTS; do
            await bash -c ": >/dev/tcp/127.0.0.1/$port" || { cat server.log >&2; return 1; }
        done
    fi
}
"""


def blocks(text: str) -> list[tuple[int, str, str]]:
    """Line, language and text of each fenced block."""
    return [(text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in BLOCK.finditer(text)]


def script(text: str) -> str:
    """One bash program of all blocks; it says which line of the README it has come to."""
    parts = [PRELUDE]
    for line, language, body in blocks(text):
        if language in EXECUTED:
            parts.append(f"echo '--- README.md line {line}' >&2\n")
            parts.append(body if language == "bash" else f"python - <<'END_OF_PYTHON'\n{body}END_OF_PYTHON\n")
    return "".join(parts)


def ports(text: str) -> str:
    """The ports that the blocks speak to."""
    bodies = "".join(body for _, _, body in blocks(text))
    return " ".join(sorted(set(re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", bodies))))


def execute(text: str, folder: Path) -> tuple[int, str]:
    """Run the blocks with an empty home; whatever they leave running is ended."""
    home = folder.parent / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "README_PORTS": ports(text),
    }
    with (folder.parent / "output").open("w+", encoding="utf-8") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script(text)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(timeout=250)
        finally:
            end_group(shell.pid)
        output.seek(0)
        return code, output.read()


def end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def checkout(tmp_path):
    """A copy of the tree as it would be cloned and set up."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "jobyard"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)  # as `make setup` would have made it
    return folder


def test_the_readme_does_what_it_says(checkout):
    text = README.read_text(encoding="utf-8")
    assert any(language in EXECUTED for _, language, _ in blocks(text))
    code, output = execute(text, checkout)
    assert code == 0, output


def test_every_block_is_either_executed_or_shown():
    text = README.read_text(encoding="utf-8")
    assert {language for _, language, _ in blocks(text)} <= EXECUTED | SHOWN
    assert text.count("```") == 2 * len(blocks(text)), "a block without a language is not executed"


def test_the_two_commands_come_first():
    first = next(body for _, language, body in blocks(README.read_text(encoding="utf-8")) if language == "bash")
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


@pytest.mark.parametrize(
    "broken",
    [
        "```bash\nfalse\n```\n",
        "```bash\nfalse | cat\n```\n",
        "```bash\nmake nothing-of-that-name\n```\n",
        "```bash\njobyard-of-another-name\n```\n",
        "```python\nraise SystemExit(3)\n```\n",
        "```bash\nx=1\n```\n```bash\ntest $x = 2\n```\n",
    ],
)
def test_a_block_that_fails_is_noticed(broken, checkout):
    code, output = execute(f"```bash\ntrue\n```\n{broken}", checkout)
    assert code != 0
    assert "--- README.md line 4" in output


def test_blocks_share_a_terminal(checkout):
    bash = "```bash\nx=left-by-bash; echo $x >file\n```\n"
    python = '```python\nprint("read", open("file").read())\n```\n'
    code, output = execute(bash + python, checkout)
    assert (code, "read left-by-bash" in output) == (0, True), output
