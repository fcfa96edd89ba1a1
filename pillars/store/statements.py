"""The runtime's SQL, read from files: one statement each, named like the function that runs it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


@cache
def folder() -> Path:
    """The folder of the runtime's SQL: in a wheel inside the package, in a checkout beside it."""
    shipped = Path(__file__).parent.parent / "sql"
    return shipped if shipped.is_dir() else shipped.parent.parent / "sql" / "pillars"


@cache
def text(name: str) -> str:
    """The SQL of `name`, for example "jobs/claim"."""
    return (folder() / f"{name}.sql").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Statement(Generic[Row]):
    """A statement by its file name and the dataclass or struct that one of its rows fills, in column order."""

    name: str
    row: type[Row]

    @property
    def text(self) -> str:
        return text(self.name)

    def fill(self, values: Iterable[Any]) -> Row:
        return self.row(*values)


@dataclass(frozen=True, slots=True)
class Portable(Generic[Row]):
    """A statement for drivers of any placeholder style: one file counts its arguments ($1), its twin names them (:word)."""

    name: str
    row: type[Row]

    @property
    def numbered(self) -> Statement[Row]:
        return Statement(self.name, self.row)

    @property
    def named(self) -> Statement[Row]:
        return Statement(f"{self.name}_named", self.row)

    def fill(self, values: Iterable[Any]) -> Row:
        return self.row(*values)


@dataclass(frozen=True, slots=True)
class Nothing:
    """The row of a statement that returns none."""
