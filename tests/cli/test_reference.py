"""docs/reference/commands.md and `app` say the same."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.known import COMMANDS, options
from pillars.cli import main

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "commands.md"
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def sections() -> dict[str, str]:
    """The page's sections about commands, by their headings."""
    parts = re.split(r"^#{2,4} (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {
        heading: text
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        if heading.startswith("app ")
    }


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_a_section_tells_every_option_and_no_other(path: str) -> None:
    section, has = sections()[path], options(COMMANDS[path])
    table = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
    told = {
        name
        for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
        for name in OPTION.findall(cell)
    }
    assert told == has
    if not isinstance(COMMANDS[path], click.Group):
        assert re.search(rf"^    {path}\b", section, re.MULTILINE), "it has a synopsis"


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_help_says_what_a_command_does_and_every_option(path: str) -> None:
    said = CliRunner().invoke(main, [*path.split()[1:], "-h"])
    assert said.exit_code == 0
    assert COMMANDS[path].help
    for one in COMMANDS[path].params:
        if isinstance(one, click.Option) and not one.hidden:
            assert one.help, f"{path} {one.opts}"


def test_anchors_lead_to_headings() -> None:
    text = PAGE.read_text("utf-8")
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
