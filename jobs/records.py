"""Rows out of a stretch of a file. Pure functions: bytes in, rows out, and never more memory than a stretch needs.

A character, a line or a quoted CSV cell may go on behind the end of the stretch. What is unfinished is left for the next
stretch: `taken` says where that begins.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from jobs.detection import HEAD, LEVEL, TIME, Format

LONGEST = 131_072  # characters of a line or a CSV row; the csv module's own limit for a cell
MOST_ROWS = 100_000  # of one stretch; there may be millions of empty lines
BOM = "\ufeff"


class Row(NamedTuple):
    """One row, as it is stored."""

    cells: list[str]
    level: str | None = None
    logged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a stretch of a file holds."""

    rows: list[Row]
    taken: int
    """Bytes that are done with."""
    cut_lines: int
    inside_line: bool
    """Whether it ends within a line that was cut: the rest of that line is still to be skipped."""


def read_stretch(
    block: bytes, shape: Format, *, first: bool, last: bool, inside_line: bool = False
) -> Stretch:
    """The rows of one stretch. `first` and `last` say whether the file begins and ends with it."""
    text = codecs.getincrementaldecoder(shape.encoding)().decode(block, last)
    if not last:
        text = text.removesuffix("\r")  # it may be half of a line end
    mark = BOM if first and text.startswith(BOM) else ""
    lines = Lines(text.removeprefix(mark), last=last, inside_line=inside_line)
    rows = list(islice(_rows(lines, shape), MOST_ROWS))
    if first and shape.header:
        del rows[:1]
    done = len(mark) + lines.done.at
    return Stretch(
        rows=rows,
        taken=len(text[:done].encode(shape.encoding)),
        cut_lines=lines.done.cut_lines,
        inside_line=done == len(text) and lines.last_is_open,
    )


class Place(NamedTuple):
    """A place between two lines."""

    at: int
    """Characters before it."""
    cut_lines: int
    """Lines before it that were cut."""


class Lines:
    """The lines of a text, one by one, cut at `LONGEST` characters. A last one that may go on is not given out, unless it is cut."""

    def __init__(self, text: str, *, last: bool, inside_line: bool = False) -> None:
        self.last = last
        self.last_is_open = not last and not text.endswith(("\n", "\r"))
        self._length = len(text)
        # Lines end with "\n", "\r\n" or "\r". Postgres stores no NUL.
        self._text = io.StringIO(text.replace("\0", "\ufffd"), newline="")
        skipped = len(self._text.readline()) if inside_line else 0
        self.place = self.done = Place(skipped, 0)
        """Where reading is; where the last complete row ended."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline()
        at, cut_lines = self.place
        at += len(line)
        if len(line) > LONGEST:
            self.place = Place(at, cut_lines + 1)
            return line[:LONGEST]
        if not line or (self.last_is_open and at == self._length):
            raise StopIteration
        self.place = Place(at, cut_lines)
        return line


def _rows(lines: Lines, shape: Format) -> Iterator[Row]:
    match shape.kind:
        case "csv":
            return _csv_rows(lines, shape.delimiter or ",")
        case "log":
            return _line_rows(lines, log_row)
        case "text":
            return _line_rows(lines, text_row)


def _line_rows(lines: Lines, read: Callable[[str], Row]) -> Iterator[Row]:
    for line in lines:
        lines.done = lines.place
        yield read(line.rstrip("\r\n"))


def text_row(line: str) -> Row:
    """A line of prose."""
    return Row([line])


def log_row(line: str) -> Row:
    """A line of a log, with the level and the time that it names near its beginning."""
    head = line[:HEAD]
    level = LEVEL.search(head)
    name = (level[1] or level[2]).upper() if level else None
    return Row([line], "WARNING" if name == "WARN" else name, _time(head))


def _time(head: str) -> datetime | None:
    found = TIME.search(head)
    if found is None:
        return None
    try:
        if found["clf"]:
            time = datetime.strptime(found["clf"], "%d/%b/%Y:%H:%M:%S %z")
        else:
            part = (found["part"] or "0").ljust(6, "0")[:6]
            time = datetime.fromisoformat(f"{found['iso']}.{part}{found['zone'] or 'Z'}")
    except ValueError:  # 30 February
        return None
    return time.astimezone(UTC) if 1900 < time.year < 2200 else None


class _OpenQuote(Exception):  # noqa: N818
    """A quoted cell does not end where it should."""


class _CsvLines:
    """The lines of one CSV row; csv.reader asks for another while a quoted cell is open."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.begin()

    def begin(self) -> None:
        """Expect the first line of a row."""
        self.first: str | None = None
        self.behind_first = self.start = self.lines.place

    @property
    def too_long(self) -> bool:
        return self.lines.place.at - self.start.at > LONGEST

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.lines, None)
        if self.first is None:
            if line is None:
                raise StopIteration
            self.first, self.behind_first = line, self.lines.place
        elif line is None or self.too_long:
            raise _OpenQuote
        return line


def _csv_rows(lines: Lines, delimiter: str) -> Iterator[Row]:
    """Rows of CSV. A quote that nothing closes costs its own line, not the rest of the file."""
    source = _CsvLines(lines)
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _OpenQuote:
            break
        lines.done = lines.place
        if cells:
            yield Row(cells)
    if source.first is not None and (lines.last or source.too_long):
        lines.done = source.behind_first  # the next stretch begins at the line behind it
        yield Row(source.first.rstrip("\r\n").split(delimiter))
