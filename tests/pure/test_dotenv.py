"""`.env`: no value is changed on the way."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from pillars.errors import ConfigurationError
from pillars.settings import read_dotenv

READ = {
    "a plain value": ("A=1", "1"),
    "a blank within": ("A=hello world", "hello world"),
    "a # without a blank before it": ("A=abc#def", "abc#def"),
    "a # at the front": ("A=#abc", "#abc"),
    "a comment": ("A=abc # def", "abc"),
    "a comment after a tab": ("A=abc\t# def", "abc"),
    "only a comment": ("A= # def", ""),
    "nothing": ("A=", ""),
    "JSON": ('A={"a": 1}', '{"a": 1}'),
    "JSON with a #": ('A={"a": "b #c"} # d', '{"a": "b #c"}'),
    "an apostrophe": ("A=it's # so", "it's"),
    "export": ("export A=1", "1"),
    "blanks around": ("  A  =  1  ", "1"),
    "a second =": ("A=b=c", "b=c"),
    "single quotes": ("A='a # \\n $B'", "a # \\n $B"),
    "double quotes": ('A="a # $B"', "a # $B"),
    "escapes": (r'A="a\nb\t\"c\" \\ \d"', 'a\nb\t"c" \\ \\d'),
    "a comment behind quotes": ('A="a" # b', "a"),
    "quotes over lines": ('A="-----BEGIN\nkey\n"', "-----BEGIN\nkey\n"),
    "single quotes over lines": ("A='a\nb'", "a\nb"),
    "no interpolation": ("A=$HOME ${B}", "$HOME ${B}"),
    "a byte order mark": ("\ufeffA=1", "1"),
    "CRLF": ("A=1\r\nB=2\r\n", "1"),
    "an old Mac's line ends": ("A=1\rB=2", "1"),
    "the last wins": ("A=0\nA=1", "1"),
    "comments and empty lines": ("# x\n\n   \n  # y\nA=1\n", "1"),
    "an umlaut": ("A=Grün", "Grün"),
    "a URL": ("A=postgres://u:p#w@h/db?x=1", "postgres://u:p#w@h/db?x=1"),
}


@pytest.mark.parametrize("case", READ)
def test_a_value_is_read_as_it_stands(case: str) -> None:
    text, expected = READ[case]
    assert read_dotenv(text)["A"] == expected


def test_every_line_counts() -> None:
    assert read_dotenv("A=1\r\n# c\r\nexport B='2'\r\n\r\nC=3") == {"A": "1", "B": "2", "C": "3"}


REFUSED = {
    "no =": ("A=1\nhunter2\n", 2),
    "export of nothing": ("export A\n", 1),
    "a number as a name": ("\n\n1A=2", 3),
    "a dash in a name": ("A-B=2", 1),
    "an open double quote": ('A=1\r\nB="hunter2\r\nC=3', 2),
    "an open single quote": ("A='hunter2", 1),
    "text behind a quote": ('A="a"hunter2', 1),
    "NUL": ("A=hunter2\0", 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_line_is_named_by_its_number_and_not_shown(case: str) -> None:
    text, line = REFUSED[case]
    with pytest.raises(ConfigurationError, match=rf"^\.env line {line}: ") as refusal:
        read_dotenv(text)
    assert "hunter2" not in str(refusal.value)


@given(st.text(alphabet=st.characters(exclude_characters="'\0\r", exclude_categories=["Cs"])))
def test_single_quotes_carry_any_text(value: str) -> None:
    assert read_dotenv(f"A='{value}'\nB=2") == {"A": value, "B": "2"}


@given(st.text(alphabet=st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_double_quotes_carry_any_text(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert read_dotenv(f'A="{escaped}"\nB=2') == {"A": value, "B": "2"}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ConfigurationError):
        read_dotenv(text)
