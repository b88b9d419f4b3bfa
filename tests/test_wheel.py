"""The wheel holds both source roots and the data beside them, and works where no checkout is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_every_file_of_both_roots_and_what_is_compiled_of_them(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"buf", "jobyard", "jobyard_server"}
    made = {name for name in names if name.endswith(".so")}
    assert names - made == {moved(path) for path in tracked("generated", "server")}
    assert {f"{name.split('.')[0]}.py" for name in made} <= names | {"jobyard_server/transcoding/native__mypyc.py"}


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


def moved(path: str) -> str:
    """Where a file of the checkout lies in the wheel."""
    root, rest = path.split("/", 1)
    is_data = root == "generated" and not rest.startswith(("jobyard/", "buf/"))
    return f"jobyard_server/_data/{rest}" if is_data else rest


def test_installed_it_finds_its_own_descriptors(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        "import jobyard_server, sys; from jobyard_server import contract;"
        "print(jobyard_server.__file__, flush=True); sys.stdout.buffer.write(contract.descriptors())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    origin, found = ran.stdout.split(b"\n", 1)
    assert Path(origin.decode()).is_relative_to(tmp_path)
    assert found == (ROOT / "generated" / "descriptors.binpb").read_bytes()


def test_the_command_is_declared(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "jobyard = jobyard_server.cli.app:main" in archive.read(name).decode()
