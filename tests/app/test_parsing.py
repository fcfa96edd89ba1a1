"""The starter's pure functions: what a file is, its rows, its XML, its name."""

import csv
import io
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st

from jobs import records
from jobs.detection import Format, likely_encoding, look, refusal
from jobs.exports import Document
from jobs.records import Row, Stretch, log_row, read_stretch
from page.receiving import clean_name

CSV = Format("csv", "utf-8", ",")
TEXT = Format("text", "utf-8")
LONGEST = 40  # characters in these tests, so that short texts have long lines
PIECES = ["a", "b", "é", "😀", '"', '""', ",", "\n", "\r", "\r\n", '"x\n",', "x" * 12]


def read_all(content: bytes, shape: Format, *, stretch: int) -> tuple[list[Row], int]:
    """All rows of a file that is read in stretches of so many bytes, and how many lines were cut."""
    rows: list[Row] = []
    start, cut_lines, inside_line = 0, 0, False
    while start < len(content):
        block = content[start : start + stretch]
        last = start + len(block) == len(content)
        found = read_stretch(block, shape, first=start == 0, last=last, inside_line=inside_line)
        assert found.taken > 0
        rows += found.rows
        cut_lines += found.cut_lines
        start, inside_line = start + found.taken, found.inside_line
    return rows, cut_lines


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST", LONGEST)


@given(
    text=st.lists(st.sampled_from(PIECES), min_size=100, max_size=400).map("".join),
    encoding=st.sampled_from(["utf-8", "utf-16-le"]),
    kind=st.sampled_from(["csv", "text", "log"]),
    stretch=st.integers(330, 600),  # more than two of the longest lines
)
def test_rows_do_not_depend_on_where_a_stretch_ends(
    text: str, encoding: str, kind: str, stretch: int
) -> None:
    shape = Format(kind, encoding, "," if kind == "csv" else None)  # type: ignore[arg-type]
    content = text.encode(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "LONGEST", LONGEST)
        whole = read_all(content, shape, stretch=len(content))
        assert read_all(content, shape, stretch=stretch) == whole


@given(
    table=st.lists(
        st.lists(
            st.text(alphabet='ab"é,;\n\r ', max_size=4), min_size=2, max_size=4
        ),  # two cells: a row of one empty cell is written as an empty line
        min_size=40,
        max_size=80,
    )
)
def test_quotes_commas_and_line_ends_within_cells_come_back(table: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "LONGEST", 100)
        rows, cut_lines = read_all(file.getvalue().encode(), CSV, stretch=820)
    assert [row.cells for row in rows] == table
    assert cut_lines == 0


def test_a_line_without_end_is_cut_once_and_the_next_line_is_whole(short: None) -> None:
    content = b"first\n" + b"x" * 5000 + b"\nlast"
    rows, cut_lines = read_all(content, TEXT, stretch=400)
    assert [row.cells for row in rows] == [["first"], ["x" * LONGEST], ["last"]]
    assert cut_lines == 1


def test_a_quote_that_nothing_closes_costs_only_its_own_line(short: None) -> None:
    content = b'1,"open\n' + b"2,b\n" * 100
    rows, _ = read_all(content, CSV, stretch=400)
    assert [row.cells for row in rows] == [["1", '"open'], *[["2", "b"]] * 100]


def test_a_stretch_has_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_ROWS", 10)
    found = read_stretch(b"\n" * 100, TEXT, first=True, last=True)
    assert found == Stretch([Row([""])] * 10, taken=10, cut_lines=0, inside_line=False)


def test_a_byte_order_mark_is_no_part_of_the_first_cell() -> None:
    shape = Format("csv", "utf-8", ",", ("name", "age"), header=True)
    content = '\ufeff"name",age\nZoë,7\n'.encode()
    found = read_stretch(content, shape, first=True, last=True)
    assert found.rows == [Row(["Zoë", "7"])]
    assert found.taken == len(content)


def test_nul_is_replaced_for_postgres_has_none() -> None:
    found = read_stretch(b"a\0b", TEXT, first=True, last=True)
    assert found.rows == [Row(["a\ufffdb"])]


LOG = "2024-05-01 12:00:00,123 INFO app one\n2024-05-01 12:00:01,456 ERROR app two\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "id,name\n1,x\n2,y\n", ("csv", ",", ("id", "name"), True)),
        ("a.txt", "id;name\n1;x\n2;y\n", ("csv", ";", ("id", "name"), True)),
        ("a.tsv", "id\tname\n1\tx\n", ("csv", "\t", ("id", "name"), True)),
        ("a.csv", "1,x\n2,y\n", ("csv", ",", ("Column 1", "Column 2"), False)),
        ("a.csv", "x,x\n2,y\n", ("csv", ",", ("Column 1", "Column 2"), False)),
        ("a.csv", "one\ntwo\n", ("csv", ",", ("one",), True)),
        ("a.csv", " \n", ("csv", ",", ("Column 1",), False)),
        ("a", LOG, ("log", None, (), False)),
        ("a.csv", "day,n\n2024-05-01 12:00:00,7\n", ("csv", ",", ("day", "n"), True)),
        ("a.log", "hello\n", ("log", None, (), False)),
        ("a.txt", "It was dark, and stormy.\nThe rain fell.\n", ("text", None, (), False)),
    ],
)
def test_a_file_is_known_by_its_text_and_then_its_name(
    name: str, text: str, expected: tuple[object, ...]
) -> None:
    shape = look(text, encoding="utf-8", name=name)
    assert (shape.kind, shape.delimiter, shape.columns, shape.header) == expected


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("\ufeffmarked".encode("utf-16-le"), "utf-16-le"),
        ("\ufeffmarked".encode("utf-16-be"), "utf-16-be"),
        ("no mark at all".encode("utf-16-le"), "utf-16-le"),
        ("no mark at all".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_utf_16_is_known_with_and_without_its_mark(content: bytes, encoding: str) -> None:
    assert likely_encoding(content) == encoding
    assert refusal(content) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"%PDF-1.7\nall of it is text\n", "PDF"),
        (b"\x89PNG\r\n", "image"),
        (bytes(range(256)) * 10, "binary"),
        (b"text \x1b[31mred\x1b[0m text", None),
        ("Größe".encode("latin-1"), None),
    ],
)
def test_what_is_no_text_is_refused_with_a_reason(content: bytes, reason: str | None) -> None:
    refused = refusal(content)
    assert (reason is None and refused is None) or (reason or "") in (refused or "")


@pytest.mark.parametrize(
    ("line", "level", "time"),
    [
        ("2024-05-01T12:00:00Z INFO x", "INFO", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01 12:00:00,5 WARN x", "WARNING", datetime(2024, 5, 1, 12, 0, 0, 500_000, UTC)),
        ("2024-05-01 12:00:00+0200 x", None, datetime(2024, 5, 1, 10, tzinfo=UTC)),
        (
            '::1 - - [01/May/2024:12:00:00 +0000] "GET /"',
            None,
            datetime(2024, 5, 1, 12, tzinfo=UTC),
        ),
        ("2024-02-30 12:00:00 [error] no such day", "ERROR", None),
        ('{"level": "debug"}', "DEBUG", None),
        ("    at some.place (a stack trace)", None, None),
        ("information about errors", None, None),
    ],
)
def test_a_log_line_tells_its_level_and_time(
    line: str, level: str | None, time: datetime | None
) -> None:
    assert log_row(line) == Row([line], level, time)


def test_xml_is_well_formed_whatever_the_cells_hold() -> None:
    hostile = "".join(map(chr, [*range(1, 0x20), 0xFFFE, 0xFFFF])) + "<&\"'>]]>😀"
    row = {"number": 1, "cells": [hostile, "more"], "level": None, "logged_at": None}
    document = Document("a<b>\x01.csv", ["x<y"])
    xml = document.write([row]) + document.end()
    root = ET.fromstring(xml)
    assert root.attrib == {"file": "a<b>\ufffd.csv"}
    first, second = root.iter("cell")
    assert first.attrib == {"column": "x<y"}
    assert second.attrib == {}
    assert (first.text or "").endswith("<&\"'>]]>😀")
    assert (first.text or "").count("\ufffd") == 30


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("sales.csv", "sales.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\sales.csv", "sales.csv"),
        ("a\0b\n\u202ec.csv", "abc.csv"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_file_name_is_only_a_name(sent: str, shown: str) -> None:
    assert clean_name(sent) == shown
