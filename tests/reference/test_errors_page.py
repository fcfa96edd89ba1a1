"""docs/reference/errors.md and pillars.errors say the same."""

import re

import pytest

import pillars
from docs_pages import REFERENCE, blocks, code, section, table
from pillars import errors
from pillars.errors import PillarsError, Trouble

PAGE = (REFERENCE / "errors.md").read_text("utf-8")
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, PillarsError)
}
TREE = re.compile(r"^((?:[ |]   )*)(?:[|`]-- )?(\w+)", re.MULTILINE)


def tree(text: str) -> list[tuple[str, str]]:
    """Each class of a drawn tree with the one above it."""
    above: list[str] = []
    found: list[tuple[str, str]] = []
    for indent, name in TREE.findall(text):
        depth = 0 if name == "PillarsError" else len(indent) // 4 + 1
        found.append((name, above[depth - 1] if depth else "Exception"))
        above[depth:] = [name]
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    [drawn] = blocks(PAGE, "")
    meant = [(name, kind.__bases__[0].__name__) for name, kind in CLASSES.items()]
    assert sorted(tree(drawn)) == sorted(meant)


def test_the_tree_of_the_docstring_is_the_same() -> None:
    [drawn] = blocks(PAGE, "")
    told = [line[4:] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    assert tree("\n".join(told)) == tree(drawn)


def test_every_public_error_has_a_row_and_every_row_an_error() -> None:
    rows = [code(cells[0])[0] for cells in table(PAGE.partition("\n## ")[0], "error")]
    assert rows == [name for name, _ in tree(blocks(PAGE, "")[0])]
    assert {*rows, "Trouble"} == set(errors.__all__)


def test_the_errors_of_the_package_are_those_of_the_page() -> None:
    offered = {name for name, home in pillars.HOMES.items() if home == "pillars.errors"}
    assert offered <= set(CLASSES)


CARRIED = {
    "DatabaseTrouble": errors.DatabaseTrouble(Trouble.LOST, "it"),
    "JobEnded": errors.JobFailed("it", job_id="it"),
    "Retry": errors.Retry(),
    "Snooze": errors.Snooze(1),
}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_what_it_carries_is_told(name: str) -> None:
    text = section(PAGE, "What they carry")
    told = {code(cells[1])[0] for cells in table(text, "error") if code(cells[0]) == [name]}
    own = {one for one, value in vars(CLASSES[name]).items() if isinstance(value, property)}
    instance = CARRIED.get(name)
    assert told == own | set(vars(instance) if instance else ())
    if instance is None and "__init__" in vars(CLASSES[name]) and name != "PillarsError":
        pytest.fail("it takes arguments: say what it carries")


def test_every_kind_of_trouble_is_told() -> None:
    told = [code(cells[0])[0] for cells in table(section(PAGE, "Trouble"), "kind")]
    assert told == [kind.value for kind in Trouble]
