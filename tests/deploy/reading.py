"""The files of a deployment, read as their platforms read them."""

import configparser
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import click
from packaging.requirements import Requirement

from pillars.cli import main
from pillars.settings.specs import ENV, PROJECT, SPECS

ROOT = Path(__file__).parent.parent.parent
SYSTEMD = ROOT / "deploy" / "systemd"
DROP_IN = SYSTEMD / "pillars-.service.d" / "pillars.conf"

LEEWAY = timedelta(
    seconds=5
)  # what a process may take after its drain, and a second for the platform to notice
VARIABLES = {spec.called for spec in (PROJECT, ENV, *SPECS)}
ASSIGNED = re.compile(r"[A-Z][A-Z0-9_]*=.*", re.DOTALL)


# A package of requirements.lock: its pin, its hashes, and who asked for it.
PIN = re.compile(
    r"^(?P<pin>[a-z0-9-]+==\S+(?: ; [^\\]+?)?)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n(?P<via>(?:    #.*\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A command line that starts `app`."""

    environ: dict[str, str]
    words: list[str]
    command: click.Command


def said(line: str | list[str]) -> Said:
    """Read a command line as Procfiles and platforms write it, without a shell; it must name a command that there is."""
    words = shlex.split(line) if isinstance(line, str) else list(line)
    environ: dict[str, str] = {}
    while words and (words[0] == "env" or ASSIGNED.fullmatch(words[0])):
        name, separator, value = words.pop(0).partition("=")
        environ |= {name: value} if separator else {}
    program, *rest = words
    assert Path(program).name == "app", line
    context = main.make_context("app", rest, resilient_parsing=True)
    command: click.Command = main
    while isinstance(command, click.Group):
        called, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"{line}: app has no such command"
        command, context = found, click.Context(found, context, called)
    command.make_context("app", list(rest), parent=context.parent)
    return Said(environ, words[1:], command)


def processes(text: str) -> dict[str, str]:
    """The processes of a Procfile."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {name: line.strip() for name, _, line in (one.partition(":") for one in lines)}


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM of a Dockerfile begins."""

    image: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def arguments(self, instruction: str) -> list[str]:
        return [told for word, told in self.steps if word == instruction]

    @property
    def environ(self) -> dict[str, str]:
        """What ENV sets, with what it takes from earlier lines left as it stands."""
        words = [word for told in self.arguments("ENV") for word in shlex.split(told)]
        return dict(word.split("=", 1) for word in words)


def stages(dockerfile: str) -> list[Stage]:
    """The stages of a Dockerfile; knows what ours uses: comments, and lines that go on."""
    text = re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, told = line.split(maxsplit=1)
        if instruction == "FROM":
            image, *rest = told.split()
            found.append(Stage(image, rest[1] if rest else None))
        else:
            found[-1].steps.append((instruction, told.strip()))
    return found


def unit(*paths: Path) -> configparser.ConfigParser:
    """A systemd unit with its drop-ins, later ones over earlier ones."""
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign] # its keys are told apart by case
    parser.read(paths, "utf-8")
    return parser


def text(file: str) -> str:
    """A file of the repository."""
    return (ROOT / file).read_text("utf-8")


def pins() -> dict[str, re.Match[str]]:
    """The packages of requirements.lock by name."""
    return {Requirement(one["pin"]).name: one for one in PIN.finditer(text("requirements.lock"))}


def application() -> list[str]:
    """What deploy/build.sh takes for the application."""
    found = re.search(r'^application="(.*)"$', text("deploy/build.sh"), re.MULTILINE)
    assert found is not None
    return found[1].split()


def variables(text: str) -> Iterator[str]:
    """Every name in a text that looks like a setting of ours."""
    yield from re.findall(r"\bPILLARS_[A-Z_]+\b", text)
