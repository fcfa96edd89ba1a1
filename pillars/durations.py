"""Spans of time, as people write them."""

import re
from datetime import timedelta
from typing import TypeAlias

from pillars.errors import UsageError

__all__ = ["LONGEST", "Duration", "duration", "words"]

Duration: TypeAlias = timedelta | float | int | str
"""A timedelta, seconds, or words: "250ms", "90s", "5m", "2h", "1d", "1h30m"."""

LONGEST = timedelta(days=3650)  # ten years: beyond it is a slip of the unit, and dates overflow

_GRAMMAR = 'seconds, a timedelta, or words such as "250ms", "90s", "5m", "2h", "1d", "1h30m"'
_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"  # bounded, so that no text is too long to convert
_WORDS = re.compile(
    r"\s*".join(rf"(?:{_NUMBER}\s*{unit})?" for unit in ("d", "h", "m(?!s)", "s", "ms")),
    re.ASCII,
)
_SECONDS = re.compile(_NUMBER, re.ASCII)
_UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")


def duration(value: Duration, *, what: str = "duration") -> timedelta:
    """Read a duration; zero is one, and the caller forbids it where it must not be.

    A text that is only a number is seconds, as `--timeout 30` means it. UsageError names `what`.
    """
    if isinstance(value, timedelta):
        return _within(value, what)
    if isinstance(value, str):
        return _within(_read(value, what), what)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{what}: expected {_GRAMMAR}; got {_shown(value)}")
    # Compared as a number first: a timedelta of NaN or 10**400 seconds cannot even be made.
    if not 0 <= value <= LONGEST.total_seconds():
        raise UsageError(f"{what}: expected {_range()}, got {_shown(value)}")
    return timedelta(seconds=value)


def words(value: timedelta) -> str:
    """Say a duration in words that `duration` reads back, to the millisecond: "1h30m", "250ms"."""
    milliseconds = round(value / timedelta(milliseconds=1))
    if milliseconds < 0:
        return "-" + words(-value)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [
        f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count
    ]
    if rest:
        parts.append(f"{rest / 1000:g}s")
    return "".join(parts) or "0s"


def _read(text: str, what: str) -> timedelta:
    stripped = text.strip()
    if _SECONDS.fullmatch(stripped):
        return timedelta(seconds=_number(stripped))
    match = _WORDS.fullmatch(stripped)
    if not stripped or match is None:
        raise UsageError(f"{what}: expected {_GRAMMAR}; got {_shown(text)}")
    found = {unit: _number(part) for unit, part in zip(_UNITS, match.groups(), strict=True) if part}
    try:
        return timedelta(**found)
    except OverflowError:
        raise UsageError(f"{what}: expected {_range()}, got {_shown(text)}") from None


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _within(value: timedelta, what: str) -> timedelta:
    if timedelta(0) <= value <= LONGEST:
        return value
    raise UsageError(f"{what}: expected {_range()}, got {words(value)}")


def _range() -> str:
    return f"a duration from 0s to {words(LONGEST)}"


def _shown(value: object) -> str:
    """What was got: a text or a plain number as it is, of anything else only the type's name."""
    if isinstance(value, str):
        return '"' + ascii(value[:40])[1:-1] + ("…" if len(value) > 40 else "") + '"'
    if type(value) in (bool, float) or (type(value) is int and value.bit_length() < 100):
        return repr(value)
    return type(value).__name__
