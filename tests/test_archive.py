"""Packages: what they may hold, and that nothing gets out of the folder they are unpacked into."""

import io
import stat
import zipfile

import pytest

from jobyard_server import archive


def packed(*files, method=zipfile.ZIP_DEFLATED):
    """A zip file of (name or ZipInfo, content)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as package:
        for name, content in files:
            package.writestr(name, content)
    return target.getvalue()


def special(name, kind):
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    return entry


def test_files_and_folders_are_unpacked(tmp_path):
    data = packed(("main.py", "x = 1\n"), ("lib/", ""), ("lib/deep/one.py", "y"), ("empty/", ""))
    archive.check(data)
    archive.unpack(data, tmp_path)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert found == ["empty", "lib", "lib/deep", "lib/deep/one.py", "main.py"]
    assert (tmp_path / "main.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    "entry",
    [
        "../evil.py",
        "lib/../../evil.py",
        "/etc/evil",
        "//evil",
        "..",
        "C:/evil.py",
        "lib\\..\\evil.py",
        "a" * 300,
        "/".join("a" * 30),
        special("link", stat.S_IFLNK),
        special("device", stat.S_IFCHR),
        special("pipe", stat.S_IFIFO),
    ],
    ids=str,
)
def test_what_would_get_out_is_refused(tmp_path, entry):
    data = packed(("main.py", ""), (entry, "../../outside"))
    inside = tmp_path / "inside"
    inside.mkdir()
    for take in (archive.check, lambda data: archive.unpack(data, inside)):
        with pytest.raises(archive.ArchiveError):
            take(data)
    assert list(tmp_path.rglob("*")) == [inside]


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"not a zip", packed(("a", "b"))[:-10], b"x" * (archive.MOST_BYTES + 1)],
    ids=["nothing", "its beginning", "words", "cut short", "too long"],
)
def test_what_is_no_zip_file_is_refused(data):
    with pytest.raises(archive.ArchiveError):
        archive.check(data)


def test_a_file_twice_or_under_a_file_is_refused(recwarn):
    for files in ([("a", "1"), ("a", "2")], [("a", "1"), ("a/b", "2")]):
        with pytest.raises(archive.ArchiveError):
            archive.check(packed(*files))
    recwarn.clear()


def test_too_many_files_are_refused():
    with pytest.raises(archive.ArchiveError, match="files"):
        archive.check(packed(*((f"f{number}", "") for number in range(archive.MOST_FILES + 1))))


def test_a_bomb_is_refused_whatever_it_says_of_its_size(tmp_path, monkeypatch):
    data = packed(("zeros", b"\0" * (archive.MOST_UNPACKED + 1)))
    with pytest.raises(archive.ArchiveError, match="unpacks"):
        archive.check(data)
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1000)
    small = packed(("zeros", b"\0" * 5000))
    # The directory lies: the size stands there in four bytes.
    lying = small.replace((5000).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    with pytest.raises(archive.ArchiveError):
        archive.unpack(lying, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1000


def test_damaged_content_is_refused(tmp_path):
    data = bytearray(packed(("main.py", "a" * 100), method=zipfile.ZIP_STORED))
    data[data.index(b"aaaa")] ^= 1
    with pytest.raises(archive.ArchiveError):
        archive.unpack(bytes(data), tmp_path)
