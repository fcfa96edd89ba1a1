from datetime import UTC, datetime, timedelta

import pytest

from pillars.cli.tables import Cell, Column, table
from pillars.cli.words import cut, visible, width
from pillars.moments import age

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def lines(
    *rows: tuple[str, ...], columns: tuple[Column, ...], room: int | None = None
) -> list[str]:
    cells = [[Cell(text) for text in row] for row in rows]
    return table(columns, cells, room=room, colours=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("two\r\nlines\tand a tab", r"two\r\nlines\tand a tab"),
        ("\x9b31m and \x7f", r"\x9b31m and \x7f"),
        ("fake\u202egnp.exe", r"fake\u202egnp.exe"),
        ("line\u2028separator", r"line\u2028separator"),
        ("\udcff", r"\udcff"),
        ("žluťoučký 日本語\u3000שם", "žluťoučký 日本語\u3000שם"),
    ],
)
def test_control_characters_are_shown_escaped_and_other_text_as_it_is(
    text: str, shown: str
) -> None:
    assert visible(text) == shown


def test_columns_are_aligned_by_what_a_terminal_takes() -> None:
    columns = (Column(title="NAME"), Column(title="N", right=True), Column(title="LAST"))
    assert lines(("日本", "7", "x"), ("e\u0301a", "12", "y"), columns=columns) == [
        "NAME   N  LAST",
        "日本   7  x",
        "e\u0301a    12  y",
    ]


def test_a_narrow_terminal_cuts_what_may_be_cut_and_no_id() -> None:
    columns = (Column(title="ID"), Column(title="NAME", least=6))
    shown = lines(("0" * 20, "jobs.mail.send_receipt"), columns=columns, room=34)
    assert shown[1] == "0" * 20 + "  jobs.mail.s…"
    assert max(map(width, shown)) == 34


def test_a_narrow_terminal_leaves_out_columns_before_names_become_unreadable() -> None:
    columns = (Column(title="ID"), Column(title="NAME", least=12), Column(title="Q", optional=True))
    shown = lines(("0" * 10, "jobs.mail.send", "some_queue"), columns=columns, room=28)
    assert shown == ["ID          NAME", "0" * 10 + "  jobs.mail.send"]


def test_of_a_dotted_name_the_end_stays() -> None:
    columns = (Column(title="NAME", least=8, keep_end=True),)
    assert lines(("jobs.mail.send_receipt",), columns=columns, room=13)[1] == "…send_receipt"


def test_without_a_terminal_nothing_is_cut() -> None:
    columns = (Column(title="NAME", least=4, optional=True),)
    assert lines(("n" * 100,), columns=columns)[1] == "n" * 100


def test_no_text_is_too_long_or_too_wide_to_be_cut() -> None:
    assert cut("日" * 10, 6) == "日日…"
    assert len(cut("e" + "\u0301" * 1_000_000, 10)) <= 1001
    columns = (Column(title="ID"), Column(title="NAME", least=8))
    assert width(lines(("1", "x" * 1_000_000), columns=columns, room=80)[1]) == 80


def test_an_escape_in_a_cell_is_counted_as_it_is_shown() -> None:
    shown = lines(("\x1b[31m", "b"), columns=(Column(title="A"), Column(title="B")))
    assert shown == ["A         B", r"\x1b[31m  b"]


def test_colours_do_not_move_columns() -> None:
    columns = (Column(title="STATE"), Column(title="B"))
    painted = table(columns, [[Cell("failed", "red"), Cell("b")]], room=None, colours=True)
    assert painted[1] == "\x1b[31mfailed\x1b[0m  b"


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(milliseconds=300), "now"),
        (timedelta(seconds=-12.2), "12 s ago"),
        (timedelta(minutes=-3), "3 m ago"),
        (timedelta(hours=2) - timedelta(seconds=1), "in 2 h"),
        (timedelta(days=400), "in 400 d"),
    ],
)
def test_moments_are_said_in_words(ahead: timedelta, said: str) -> None:
    assert age(NOW + ahead, NOW) == said
