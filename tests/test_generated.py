"""generated/ is what the protos say, byte for byte, and the protos are clean."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from jobyard_server import contract

ROOT = Path(__file__).parent.parent
BUF = Path(sys.executable).parent / "buf"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False)


def generate(target: Path) -> None:
    ran = run(sys.executable, "scripts/generate.py", target)
    assert ran.returncode == 0, ran.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Path:
    """What was generated anew."""
    target: Path = tmp_path_factory.mktemp("generated")
    generate(target)
    return target


def test_generated_is_in_step_with_the_protos(target):
    fresh, committed = contents(target), contents(ROOT / "generated")
    assert sorted(committed) == sorted(fresh), "run `make generate`"
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run `make generate`"


def test_generating_again_changes_nothing_and_removes_what_is_stale(target):
    once = contents(target)
    stale = target / "jobyard" / "gone" / "v1" / "gone_pb2.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    generate(target)
    assert contents(target) == once
    assert not (target / "jobyard" / "gone").exists()


@pytest.mark.parametrize("check", [["lint"], ["format", "--diff", "--exit-code"]], ids=" ".join)
def test_the_protos_are_clean(check):
    ran = run(BUF, *check)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_services_live_in_files_named_for_them():
    """Only those files get gRPC stubs."""
    files = descriptor_pb2.FileDescriptorSet.FromString(contract.descriptors()).file
    with_services = {file.name for file in files if file.service}
    assert with_services
    assert [name for name in with_services if not name.endswith("_service.proto")] == []


def test_the_descriptors_carry_our_comments_and_everything_we_import():
    files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(contract.descriptors()).file}
    for file in files.values():
        assert set(file.dependency) <= set(files)
    ours = [file for file in files.values() if file.package.startswith("jobyard.")]
    assert ours
    for file in ours:
        assert any(location.leading_comments for location in file.source_code_info.location), file.name
