"""Aligned columns of plain text."""

from collections.abc import Sequence
from dataclasses import dataclass

import click

from pillars.cli.words import cut, visible, width

GAP = "  "
WIDEST = 200  # columns of a cell where nothing else limits it


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's heading, and what may be done to it where the terminal is narrow."""

    title: str
    least: int | None = None
    """It may be cut to so many columns; None: it is shown whole."""
    optional: bool = False
    """It is left out before anything is cut below its least."""
    right: bool = False
    keep_end: bool = False
    """Of a text that is cut its end stays: dotted names begin alike."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of whatever origin, and its colour."""

    text: str
    colour: str | None = None


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, room: int | None, colours: bool
) -> list[str]:
    """The lines of a table, headings first; where `room` is given, no line is wider unless its uncut columns are."""
    shown = [[Cell(visible(cell.text), cell.colour) for cell in row] for row in rows]
    kept = list(range(len(columns)))
    while True:
        widths = _widths(
            [columns[at] for at in kept], [[row[at] for at in kept] for row in shown], room
        )
        dropped = [at for at in kept if columns[at].optional]
        if room is None or not dropped or _total(widths) <= room:
            break
        kept.remove(dropped[-1])
    heading = [Cell(column.title, "bold") for column in columns]
    return [
        GAP.join(
            _painted(row[at], columns[at], size, colours=colours)
            for at, size in zip(kept, widths, strict=True)
        ).rstrip()
        for row in [heading, *shown]
    ]


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int | None
) -> list[int]:
    """What each column takes; while that is too much, the widest that may be cut is cut."""
    widths = [
        min(max([len(column.title), *(width(row[at].text) for row in rows)]), WIDEST)
        for at, column in enumerate(columns)
    ]
    least = [
        size if column.least is None else min(size, max(column.least, len(column.title)))
        for column, size in zip(columns, widths, strict=True)
    ]
    while room is not None and _total(widths) > room:
        spare = [size - small for size, small in zip(widths, least, strict=True)]
        if not any(spare):
            break
        widths[max(range(len(widths)), key=lambda at: (spare[at] > 0, widths[at]))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _painted(cell: Cell, column: Column, size: int, *, colours: bool) -> str:
    text = cut(cell.text, size, keep_end=column.keep_end)
    padding = " " * (size - width(text))
    painted = paint(text, cell.colour, colours=colours)
    return padding + painted if column.right else painted + padding


def paint(text: str, colour: str | None, *, colours: bool) -> str:
    """Text in a colour, in "bold" or "dim", where colours are wanted."""
    if colour is None or not colours or not text:
        return text
    if colour in {"bold", "dim"}:
        return click.style(text, **{colour: True})
    return click.style(text, fg=colour)
