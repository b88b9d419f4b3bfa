"""The laws of the house: who imports whom, how big a room may be, what is said where."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "server" / "jobyard_server"
BANNED_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "base", "misc"}
# Written once by Alembic and never again; a table each makes them as long as the schema is.
MIGRATIONS = SERVER / "store" / "migrations" / "versions"


@cache
def tracked(*patterns: str) -> list[Path]:
    """Files of the tree that are, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def python_files(*folders: str) -> list[Path]:
    found = tracked(
        *(f"{folder}/**.py" for folder in folders or ("server", "tests", "scripts", "examples", "benchmarks"))
    )
    assert found
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def here(path: Path, node: ast.AST | None = None) -> str:
    line = getattr(node, "lineno", None)
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_import_laws_hold():
    linter = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_transcoder_sees_nothing_of_the_contract_but_its_own_options():
    seen = {
        (here(path), name)
        for path in python_files("server/jobyard_server/transcoding")
        for name in imported(tree(path))
        if re.match(r"jobyard\.(?!rest\b)", name)
    }
    assert seen == set()


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    ("pattern", "most"),
    [("server/**.py", 400), ("scripts/**.py", 400), ("examples/**.py", 400), ("benchmarks/**.py", 400),
     ("tests/**.py", 600), ("protos/jobyard/**.proto", 250), ("README.md", 150)],
)  # fmt: skip
def test_rooms_are_small(pattern, most):
    assert [f"{here(path)} has {lines(path)} lines" for path in tracked(pattern) if lines(path) > most] == []


def test_functions_are_short():
    long = [
        f"{here(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in python_files()
        if not path.is_relative_to(MIGRATIONS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 40
    ]
    assert long == []


def test_every_module_opens_with_what_it_is_for():
    silent = [here(path) for path in python_files() if not re.match(r"\S.*[.?!]$", first_line(path))]
    assert silent == []


def first_line(path: Path) -> str:
    return (ast.get_docstring(tree(path)) or "").partition("\n")[0]


def test_what_a_checker_is_told_to_pass_over_has_a_reason():
    bare = re.compile(r"# (noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z, -]+\])?)$")
    found = [
        f"{here(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_names_say_what_is_inside():
    parts = {
        (here(path), word)
        for path in [*python_files(), *tracked("protos/jobyard/**.proto")]
        for word in re.split(r"[_/.]", str(path.relative_to(ROOT)))
    }
    assert [place for place, word in parts if word in BANNED_NAMES] == []


# What is answered over HTTP is declared in the protos. The transcoder carries it out, and the
# outbound client reads other people's answers.
HTTP_ROOMS = ("transcoding", "outbound")
MEDIA_TYPE = re.compile(r"(application|audio|font|image|multipart|text|video)/[\w.+*-]+(;.*)?")


def test_http_is_spoken_in_its_rooms_only():
    spoken = [
        f"{here(path, node)}: {word}"
        for path in python_files("server")
        if path.relative_to(SERVER).parts[0] not in HTTP_ROOMS
        for node, word in http_words(tree(path))
    ]
    assert spoken == []


def http_words(module: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Media types, ASGI's answer, statuses under their name, and the modules that list statuses."""
    for node in ast.walk(module):
        match node:
            case ast.Constant(value=str(text)) if MEDIA_TYPE.fullmatch(text) or text == "http.response.start":
                yield node, text
            case ast.keyword(arg="status" | "status_code", value=ast.Constant(value=int(number))) if is_status(number):
                yield node.value, str(number)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    match key, value:
                        case ast.Constant(value="status"), ast.Constant(value=int(number)) if is_status(number):
                            yield value, str(number)
            case ast.Import() | ast.ImportFrom() if {"http", "http.HTTPStatus"} & set(imported_by(node)):
                yield node, "http"


def imported_by(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    return imported(ast.Module(body=[node], type_ignores=[]))


def is_status(number: int) -> bool:
    return 100 <= number <= 599


@pytest.mark.parametrize(
    "code",
    [
        'x = "application/json"',
        'send({"type": "http.response.start"})',
        "answer(status=404)",
        'x = {"status": 201}',
        "import http",
        "from http import HTTPStatus",
    ],
)
def test_the_search_for_http_finds_it(code):
    assert list(http_words(ast.parse(code)))


# Where the tree was written, and by whom, is nobody's business; written so that they do not find themselves.
PRIVATE = {
    "a path of one machine": r"(?<![\w.:/-])/(?:root|work|home/\w+)/[\w.]",
    "a package registry's host": r"\b(?:pypi|npmjs|pythonhosted|crates)\.(?:org|com|io)\b",
    "a number of a tracker": r"(?i)\bissues? #?\d+\b",
    "work not done": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
}
SWAGGER_UI = "server/jobyard_server/console/assets/swagger-ui/"
VENDORED = ("protos/google/", "protos/buf/", "generated/buf/", "LICENSE", SWAGGER_UI)


@pytest.mark.parametrize("what", PRIVATE)
def test_the_tree_speaks_of_itself_alone(what):
    found = [
        f"{here(path)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        if not str(path.relative_to(ROOT)).startswith(VENDORED)
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if re.search(PRIVATE[what], line)
    ]
    assert found == []
