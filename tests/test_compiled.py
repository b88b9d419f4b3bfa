"""The way of a request is compiled where it can be; what mypyc takes otherwise than Python is not written in it."""

import ast
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from jobyard_server.transcoding import app
from jobyard_server.transcoding.codec.wire import COMPILED

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("compiling", ROOT / "scripts" / "compile.py")
compiling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compiling)

MODULES = [compiling.SERVER / module for module in compiling.MODULES]


@pytest.mark.skipif(
    os.environ.get("JOBYARD_COMPILED") == "no" or not compiling.can_compile(), reason="nothing is compiled here"
)
def test_what_runs_is_compiled_of_these_sources():
    assert COMPILED
    assert app.__file__.endswith(".so")
    assert compiling.is_fresh(), "make setup compiles what has changed"


def test_without_a_compiler_nothing_is_compiled(monkeypatch, capsys):
    monkeypatch.delenv("JOBYARD_COMPILED", raising=False)
    monkeypatch.setenv("PATH", "")
    assert not compiling.is_wanted()
    assert "slower" in capsys.readouterr().err
    monkeypatch.setenv("JOBYARD_COMPILED", "yes")
    with pytest.raises(SystemExit, match="no C compiler"):
        compiling.is_wanted()


def test_old_code_is_not_taken_for_new(monkeypatch, tmp_path):
    (tmp_path / compiling.STAMP).parent.mkdir(parents=True)
    (tmp_path / compiling.STAMP).write_text(compiling.digest())
    (tmp_path / compiling.ROOM / "app.so").touch()
    assert compiling.is_fresh(tmp_path)
    monkeypatch.setattr(sys, "version", "another Python")
    assert not compiling.is_fresh(tmp_path)


def test_a_stamp_without_what_it_stands_for_is_not_believed(tmp_path):
    (tmp_path / compiling.STAMP).parent.mkdir(parents=True)
    (tmp_path / compiling.STAMP).write_text(compiling.digest())
    assert not compiling.is_fresh(tmp_path)
    (tmp_path / compiling.ROOM / "app.so").touch()
    compiling.clear(tmp_path)
    assert list((tmp_path / compiling.ROOM).iterdir()) == []


# mypyc's classes have slots by themselves, and cannot take others.
def test_no_dataclass_asks_for_slots():
    asking = [
        f"{path.name}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "slots"
    ]
    assert asking == []


# mypyc gives a name one type in all of a function, although Python forgets it behind each `except`.
def test_one_name_stands_for_errors_of_one_type():
    shared = [
        f"{path.name}:{function.lineno} {name}"
        for path in MODULES
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for caught in [{(node.name, ast.unparse(node.type)) for node in handlers(function) if node.name}]
        for name in {name for name, _ in caught}
        if sum(name == each for each, _ in caught) > 1
    ]
    assert shared == []


def handlers(function: ast.AST) -> list[ast.ExceptHandler]:
    return [node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)]


# A class that is compiled cannot be inherited from by one that is not, unless it says so.
def test_only_classes_that_say_so_are_inherited_from():
    closed = {
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and "allow_interpreted_subclasses" not in ast.unparse(node)
    }
    heirs = [
        f"{path.name}: {node.name}({base.id})"
        for path in compiling.SERVER.rglob("*.py")
        if path not in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and base.id in closed
    ]
    assert heirs == []
