"""Where commands write: what was asked for goes to stdout, words about it to stderr."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from pillars.cli.tables import Cell, Column, paint, table
from pillars.cli.words import pretty, visible
from pillars.settings.redaction import masked

OF_STATES = {
    "completed": "green", "running": "cyan", "failed": "red", "expired": "red", "cancelled": "dim",
    "scheduled": "yellow", "waiting": "yellow", "paused": "yellow",
}  # fmt: skip


def put(text: str | bytes, *, err: bool = False, color: bool | None = None) -> None:
    """Write a text as it is. Where its reader had enough and went, the rest goes nowhere, and the command to its own end."""
    try:
        click.echo(text, err=err, color=color)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)


def document(content: object) -> None:
    """One JSON document on stdout, by itself; indented for eyes, on one line for programs."""
    from pillars.codec import to_json

    written = to_json(content)
    if sys.stdout.isatty():
        put("\n".join(map(visible, pretty(written.decode()).split("\n"))))
    else:
        put(written)


def items(content: Iterable[Any]) -> None:
    """A whole list, in the form of a page: what is listed at once, and the answer of a command that takes several."""
    document({"items": list(content)})


def lines(written: Iterable[str]) -> None:
    """Lines that are harmless already, on stdout."""
    _never_fail(sys.stdout)
    for line in written:
        put(line, color=coloured())


def rows(columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> None:
    """A table on stdout; only a terminal has a width that anything must be cut to."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines(table(columns, cells, room=room, colours=coloured()))


def tell(text: str) -> None:
    """A line for people, on stderr."""
    _never_fail(sys.stderr)
    put(harmless(text), err=True)


def harmless(text: str) -> str:
    """A text that others had a part in, fit for a terminal and for eyes."""
    return visible(masked(text))


def coloured() -> bool:
    """Whether stdout is for eyes that want colours: a terminal, or FORCE_COLOR, never with NO_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    able = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return able or bool(os.environ.get("FORCE_COLOR"))


def of_state(state: str) -> Cell:
    """A state in its colour."""
    return Cell(state, OF_STATES.get(state))


def title(text: str) -> str:
    """A heading within a text."""
    return paint(text, "bold", colours=coloured())


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 job", "3 jobs"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _never_fail(stream: Any) -> None:
    """A terminal that cannot show a character shows its escape instead."""
    if hasattr(stream, "reconfigure") and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
