"""Lines of what a process prints."""

import pytest

from pillars.worker.children.lines import Lines, shown


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    data = b"one\ntwo\r\n\n" + b"x" * 30 + b"\nlast"
    lines = Lines(longest=10)
    found = [
        line
        for start in range(0, len(data), size)
        for line in lines.feed(data[start : start + size])
    ]
    assert [*found, *lines.rest()] == [
        (b"one", 0), (b"two\r", 0), (b"", 0), (b"x" * 10, 20), (b"last", 0),
    ]  # fmt: skip
    assert list(lines.rest()) == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"plain", "plain"),
        ("grün".encode(), "grün"),
        (b"\xff\xfe bytes", "\\xff\\xfe bytes"),
        (b"a\0b", "a\\x00b"),
        (b"10%\r20%\r30%\r", "30%"),
        (b"windows\r", "windows"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b(Bset\x1b7\x1b8", "set"),
        (b"cut \x1b[3", "cut 3"),
        (b"\x1bP" + b"q" * 5000, ""),
    ],
)
def test_a_line_is_told_as_text(line: bytes, text: str) -> None:
    assert shown(line, 0, ansi=False) == text


def test_colours_stay_where_they_are_wanted() -> None:
    assert shown(b"\x1b[31mred\x1b[0m", 0, ansi=True) == "\x1b[31mred\x1b[0m"


def test_a_cut_line_says_how_much_is_left_out() -> None:
    assert shown(b"begun", 1_234_567, ansi=False) == "begun… (1,234,567 more bytes)"
