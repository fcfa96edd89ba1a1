"""Reading the pages of docs, so that tests can hold them to the code."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = DOCS / "reference"
CELLS = re.compile(r"(?<!\\)\|")
CODE = re.compile(r"`([^`]+)`")


def table(text: str, opening: str) -> list[list[str]]:
    """The cells of every table whose first column is so called."""
    tables = re.findall(rf"^\| {opening} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [_cells(row) for one in tables for row in one.splitlines()]


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in CELLS.split(row)[1:-1]]


def code(cell: str) -> list[str]:
    """What stands in backticks, in order."""
    return CODE.findall(cell)


def blocks(text: str, language: str) -> list[str]:
    """The page's code in that language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    found = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,6}} |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"no heading {heading!r}"
    level = len(found[1])
    rest = text[found.start(2) :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest
