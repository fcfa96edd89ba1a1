"""What kind of file this is, told from its beginning. Pure functions: bytes and text in, values out."""

import csv
import re
from dataclasses import dataclass
from statistics import mode
from typing import Literal

Kind = Literal["csv", "log", "text"]

SAMPLE = 64 * 1024  # characters: some hundred lines, enough to tell
DELIMITERS = ",;\t|"
LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL"
LEVEL = re.compile(rf'\b({LEVELS})\b|(?:level"?\s?[=:]\s?"?|\[)((?i:{LEVELS}))\b')
TIME = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?\s?(?P<zone>Z\b|[+-]\d\d:?\d\d\b)?"
    r"|(?P<clf>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})"
)
HEAD = 300  # characters of a line in which its time and level stand

SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive, as .xlsx and .docx files are: save it as CSV or text",
    b"\x1f\x8b": "compressed: unpack it first",
    b"BZh91AY": "compressed: unpack it first",
    b"\xfd7zXZ": "compressed: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed: unpack it first",
    b"%PDF-": "a PDF document: save it as text",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF89a": "an image",
    b"\x7fELF": "a program",
}
CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))  # an ESC colours the lines of many logs


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a file."""

    kind: Kind
    encoding: str
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    header: bool = False
    """Whether the first row names the columns."""


def refusal(sample: bytes) -> str | None:
    """Why a file cannot be read as text, to end the sentence "It is …"; None where it can."""
    if not sample:
        return "empty: there is nothing to read"
    for signature, description in SIGNATURES.items():
        if sample.startswith(signature):
            return description
    controls = len(sample) - len(sample.translate(None, CONTROL))
    if not likely_encoding(sample).startswith("utf-16") and controls > len(sample) / 500:
        return "binary, not text"
    return None


def likely_encoding(sample: bytes) -> str:
    """UTF-16 by its byte order mark or the zeros between its letters, else UTF-8."""
    if sample.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if sample.startswith(b"\xfe\xff"):
        return "utf-16-be"
    zeros_first, zeros_second = sample[0:2000:2].count(0), sample[1:2000:2].count(0)
    pairs = max(1, min(len(sample), 2000) // 2)
    if zeros_second > 0.4 * pairs and zeros_first == 0:
        return "utf-16-le"
    if zeros_first > 0.4 * pairs and zeros_second == 0:
        return "utf-16-be"
    return "utf-8"


def look(text: str, *, encoding: str, name: str) -> Format:
    """The format of a file that begins with `text`; its name decides where the text leaves a doubt."""
    sample = text.removeprefix("\ufeff")[:SAMPLE]
    lines = [line for line in sample.splitlines() if line.strip()]
    if len(lines) > 1 and len(text) >= SAMPLE:
        lines.pop()  # it may be cut
    kind = _kind(lines, name.rpartition(".")[2].lower())
    if kind != "csv":
        return Format(kind, encoding)
    delimiter = _delimiter(lines) or max(DELIMITERS, key="".join(lines[:1]).count)
    rows = [row for row in csv.reader(lines[:100], delimiter=delimiter) if row] or [[""]]
    header = _is_header(rows[0])
    columns = rows[0] if header else [f"Column {number}" for number, _ in enumerate(rows[0], 1)]
    return Format("csv", encoding, delimiter, tuple(map(_label, columns)), header)


def _kind(lines: list[str], suffix: str) -> Kind:
    if suffix in {"csv", "tsv"}:
        return "csv"
    times = sum(TIME.search(line[:HEAD]) is not None for line in lines)
    levels = sum(LEVEL.search(line[:HEAD]) is not None for line in lines)
    if suffix == "log" or min(times, levels) > len(lines) / 2:
        return "log"
    if _delimiter(lines):
        return "csv"
    return "log" if times > len(lines) / 2 else "text"


def _delimiter(lines: list[str]) -> str | None:
    """The delimiter that cuts nearly all lines into the same number of cells, at least two.

    csv.Sniffer guesses from the quotes and finds delimiters in prose; counting does not.
    """
    best, most = None, 1
    for delimiter in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        width = mode(widths) if len(widths) > 1 else 0
        if width > most and widths.count(width) >= 0.8 * len(widths):
            best, most = delimiter, width
    return best


def _is_header(row: list[str]) -> bool:
    """Names are there, differ, and begin like no number or date."""
    names = [cell.strip() for cell in row]
    return len(set(names)) == len(names) and all(
        name and re.match(r"[+-]?\.?\d", name) is None for name in names
    )


def _label(name: str) -> str:
    return " ".join(name.replace("\0", " ").split())[:100]
