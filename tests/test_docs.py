"""README and docs: links lead somewhere, commands exist, what is named is there, examples are Python."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from cli.known import COMMANDS, options
from pillars.store.states import STATES
from transitions import NOTHING, TRANSITIONS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]  # fmt: skip
INDEX = DOCS / "index.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[(?P<text>(?:`[^`]*`|[^\][])*)\]\((?P<target>[^)\s]+)\)")
SOURCE = re.compile(r'\b(?:src|srcset)="(?P<target>[^"]+)"')
SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(
    r"""(?<![\w./:-])(?<!-t )app(?: [^|;&)\]>#`"\n$]+)"""
)  # an image's name is none
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
OF_APP = {"-h", "--help", "--version"}
WALK = 6  # Python files: more than that, nobody keeps in mind


def called(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


@cache
def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each code block."""
    return [(found[1], found[2]) for found in FENCE.finditer(page.read_text("utf-8"))]


@cache
def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page))]
    return {heading.replace(" ", "-") for heading in kept}


def targets(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Every link within the repository: its text, the file and the anchor that it leads to."""
    links = [(found["text"], found["target"]) for found in LINK.finditer(prose(page))]
    links += [("", found["target"]) for found in SOURCE.finditer(prose(page))]
    for text, target in links:
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield text, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_link_leads_somewhere(page: Path) -> None:
    for text, path, anchor in targets(page):
        assert path.exists(), f"[{text}] leads to nothing: {path}"
        if anchor and path.exists():
            assert anchor in anchors(path), f"[{text}] has no anchor #{anchor} in {called(path)}"


@pytest.mark.parametrize("first", [ROOT / "README.md", INDEX], ids=called)
def test_every_page_is_reached_from(first: Path) -> None:
    reached, ahead = set[Path](), [first]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            ahead += [path for _, path, _ in targets(page)]
    assert {called(page) for page in DOCS.rglob("*.md")} <= {called(page) for page in reached}


def test_the_index_leads_to_every_page_itself() -> None:
    led = {path for _, path, _ in targets(INDEX)}
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "deploy"}
    assert pages - led <= {INDEX}


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_python_example_is_python(page: Path) -> None:
    for language, text in blocks(page):
        if language == "python":
            compile(text, called(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def mentioned(page: Path) -> Iterator[str]:
    """What the page has a reader type that begins with `app`."""
    typed = [text for language, text in blocks(page) if language in {"", "sh", "console"}]
    typed += re.findall(r"^    .+$", prose(page), re.MULTILINE)
    typed += SPAN.findall(prose(page))
    for text in typed:
        for line in text.replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith("#"):
                yield from COMMAND.findall(line)


def known(words: str) -> tuple[str, click.Command | None]:
    """The longest path of commands that a line begins with."""
    path, found = "app", None
    for word in words.split()[1:]:
        if f"{path} {word}" not in COMMANDS:
            break
        path = f"{path} {word}"
        found = COMMANDS[path]
    return path, found


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in mentioned(page):
        path, command = known(line)
        rest = line.removeprefix(path)
        if command is None:
            assert set(OPTION.findall(rest)) & OF_APP or "COMMAND" in rest, f"no command: {line}"
        elif not command.context_settings.get("ignore_unknown_options"):
            said = set(OPTION.findall(re.sub(r"'[^']*'|\"[^\"]*\"", "", rest)))
            assert said <= options(command) | OF_APP, f"not an option of {path}: {line}"


def named_in(path: Path) -> set[str]:
    """What a file defines, by qualified name; a statement by the end of its path, SQL functions with their schema."""
    if path.suffix == ".sql":
        created = re.findall(r"create (?:function|table|view) ([\w.]+)", path.read_text("utf-8"))
        return {*created, f"{path.parent.name}/{path.stem}"}
    return set(defined(ast.parse(path.read_text("utf-8"))))


def defined(node: ast.Module | ast.ClassDef, before: str = "") -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield before + one.name
        if isinstance(one, ast.ClassDef):
            yield from defined(one, f"{before}{one.name}.")


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_what_a_link_names_in_a_file_of_code_is_there(page: Path) -> None:
    for text, path, _ in targets(page):
        name = text.strip("`")
        if path.suffix not in {".py", ".sql"} or text != f"`{name}`" or "`" in name:
            continue
        names = {*named_in(path), called(path)}
        names |= {one.rpartition(".")[2] for one in names if one.rpartition(".")[2].startswith("test_")}  # fmt: skip
        assert name in names, f"{called(path)} has no {name}"


def test_every_promise_of_concepts_names_a_test() -> None:
    parts = re.split(r"^## (.+)$", prose(DOCS / "concepts.md"), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        _, held, tests = text.partition("*Held by*")
        assert held, f"nothing holds: {heading}"
        assert re.search(r"\[`test_\w+`\]\(\.\./tests/", tests), heading


def test_a_walk_of_the_tour_goes_through_six_files_at_most() -> None:
    parts = re.split(r"^## (.+)$", prose(DOCS / "tour.md"), flags=re.MULTILINE)
    walks = {
        heading: re.findall(r"^\| (\[.*?) \|", text, re.MULTILINE)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        if heading.startswith("From ")
    }
    assert len(walks) == 5
    for heading, steps in walks.items():
        files = {path for step in steps for path in re.findall(r"\((\S+\.py)\)", step)}
        assert 0 < len(files) <= WALK, (heading, files)


def test_the_diagram_of_states_is_the_table_of_transitions() -> None:
    [diagram] = [text for language, text in blocks(DOCS / "concepts.md") if language == "mermaid"]
    drawn = re.findall(r"^    (\S+) --> (\S+): (.+)$", diagram, re.MULTILINE)
    assert drawn == [(one.before, one.after, one.happens) for one in TRANSITIONS]


def test_the_states_in_words_are_the_table_of_transitions() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| (.*?) ?\|$", prose(DOCS / "concepts.md"), re.MULTILINE
    )
    told = {
        (before, event, after)
        for before, cell in rows
        if before in STATES
        for after, events in re.findall(r"`(\w+)` \((.+?)\)", cell)
        for event in _events(events)
    }
    assert [before for before, _ in rows if before in STATES] == list(STATES)
    assert told == {
        (one.before, one.happens, one.after) for one in TRANSITIONS if one.before != NOTHING
    }


def _events(said: str) -> list[str]:
    """The events in a cell; some have a comma of their own, and then all are parted by semicolons."""
    whole = {one.happens for one in TRANSITIONS}
    return [said] if said in whole else re.split(r"; " if ";" in said else r", ", said)


def test_the_readme_begins_with_the_two_commands() -> None:
    shown = [text for language, text in blocks(ROOT / "README.md") if language == "sh"]
    make = "python3 -m venv .venv && .venv/bin/pip install uv && .venv/bin/uv run "
    assert shown[:2] == [f"{make}app dev\n", f"{make}pytest\n"]
