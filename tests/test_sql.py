"""Every statement file is valid on the migrated schema and fills its dataclass."""

import dataclasses
import re
import typing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from declared import declared

import pillars.store
from pillars.store import statements
from support import asking

FILES = sorted(
    str(path.relative_to(statements.folder()).with_suffix(""))
    for path in statements.folder().glob("*/*.sql")
    if path.parent.name != "migrations"
)
SCRIPTS = {
    "ledger/prepare",
    "testing/clock",
}  # several statements, run once by whoever makes a database

KINDS = {
    "uuid": "UUID", "text": "str", "int4": "int", "int8": "int", "bool": "bool", "timestamptz": "datetime",
    "interval": "timedelta", "jsonb": "str", "bytea": "bytes", "float8": "float", "numeric": "Decimal",
    "_uuid": "list[UUID]", "_int8": "list[int]", "_text": "list[str]",
}  # fmt: skip


def numbered(text: str) -> tuple[str, list[str]]:
    """A statement with named parameters as asyncpg takes it, and how its contract must name each."""
    code = text[text.index(_first_code_line(text)) :]
    names = list(dict.fromkeys(re.findall(r"(?<![:\w]):([a-z_]+)", code)))
    for number, name in enumerate(names, start=1):
        code = re.sub(rf"(?<!:):{name}\b", f"${number}", code)
    return code, [f":{name}" for name in names]


def kind_of(annotation: Any) -> str:
    """A field's type without its None, as a word."""
    arguments = [one for one in typing.get_args(annotation) if one is not type(None)]
    if typing.get_origin(annotation) in {list, None} or not arguments:
        text = str(annotation)
    else:
        text = str(arguments[0])
    return (
        re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
        .replace("uuid.", "")
        .replace("datetime.", "")
    )


@pytest.mark.parametrize("name", FILES)
async def test_a_statement_is_valid_and_opens_with_its_contract(db: str, name: str) -> None:
    text = statements.text(name)
    assert text.startswith("-- "), "a statement file opens with its contract"
    if name in SCRIPTS:
        return
    documented = text.partition("\n" + _first_code_line(text))[0]
    async with asking(db) as connection:
        if name.endswith("_named"):
            code, names = numbered(text)
            prepared = await connection.prepare(code)
            assert len(names) == len(prepared.get_parameters()) > 0
            assert not [
                one for one in names if f"{one} " not in documented and f"{one}," not in documented
            ]
            return
        prepared = await connection.prepare(text)
        for number in range(1, len(prepared.get_parameters()) + 1):
            assert f"${number} " in documented or _in_a_range(number, documented), (
                f"${number} is not named"
            )


@pytest.mark.parametrize("name", sorted(declared()))
async def test_a_statement_fills_its_dataclass(db: str, name: str) -> None:
    statement = declared()[name]
    text = numbered(statement.text)[0] if name.endswith("_named") else statement.text
    async with asking(db) as connection:
        prepared = await connection.prepare(text)
        columns = [(column.name, _kind(column)) for column in prepared.get_attributes()]
    hints = typing.get_type_hints(statement.row)
    assert columns == [(field, kind_of(hints[field])) for field in fields_of(statement.row)]


def fields_of(row: Any) -> list[str]:
    """Of a dataclass, or of a struct where rows are many."""
    if issubclass(row, msgspec.Struct):
        return list(row.__struct_fields__)
    return [field.name for field in dataclasses.fields(row)]


def test_every_statement_file_has_a_reader() -> None:
    unread = set(FILES) - set(declared()) - SCRIPTS
    assert not unread


def test_sql_is_never_assembled_in_python() -> None:
    root = Path(pillars.store.__file__).parent.parent
    built = re.compile(
        r"""f["']{1,3}[^"']*\b(select|insert into|update|delete from)\b""", re.IGNORECASE
    )
    found = [str(path) for path in root.rglob("*.py") if built.search(path.read_text())]
    assert not found


def _kind(column: "asyncpg.Attribute") -> str:
    name = column.type.name
    return KINDS.get(
        name, KINDS.get(f"_{name.removesuffix('[]')}", name) if name.endswith("[]") else name
    )


def _first_code_line(text: str) -> str:
    return next(line for line in text.splitlines() if not line.startswith("--"))


def _in_a_range(number: int, documented: str) -> bool:
    """ "$7 to $10" or "Parameters as enqueue.sql" names them too."""
    if re.search(r"Parameters( and answer)? as \w+\.sql", documented):
        return True
    return any(
        int(low) <= number <= int(high)
        for low, high in re.findall(r"\$(\d+) to \$(\d+)", documented)
    )
