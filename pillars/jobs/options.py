"""What can be said of one enqueue, or of all enqueues of a job; checked where it is said."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pillars.durations import Duration, duration
from pillars.errors import DefinitionError, UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)
EARLIEST, LATEST = 2000, 2200  # years; the schema holds them too
NO_TIMEOUT = timedelta(0)  # how the table says "none"
MOST_ATTEMPTS = 1000
LOWEST, HIGHEST = -(2**31), 2**31 - 1  # of a priority: int4
LONGEST_TEXT = 10_000  # bytes
LONGEST_TAG = 200  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of one enqueue. None: as the job's definition says."""

    queue: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    run_in: timedelta | None = None
    expires_in: timedelta | None = None
    max_attempts: int | None = None
    timeout: timedelta | None = None
    unique_key: str | None = None
    context: str | None = None
    tags: tuple[str, ...] | None = None


AS_DEFINED = Options()


@contextmanager
def declaring() -> Iterator[None]:
    """What is wrong within a declaration is a `DefinitionError`."""
    try:
        yield
    except DefinitionError:
        raise
    except UsageError as error:
        raise DefinitionError(str(error)) from None


def checked_name(value: object, what: str) -> str:
    """A job's, queue's or schedule's name, or an error that says what one looks like."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    got = shown(value) if isinstance(value, str) else type(value).__name__
    raise UsageError(
        f"{what}: expected 1 to 100 of A-Z a-z 0-9 . _ : / - (the first a letter or digit), got {got}"
    )


def checked_whole(value: object, what: str, lowest: int, highest: int) -> int:
    """A whole number in a range; True is none."""
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return value
    got = value if isinstance(value, int | float) else type(value).__name__
    raise UsageError(f"{what}: expected a whole number from {lowest} to {highest}, got {got}")


def checked_priority(value: object) -> int:
    return checked_whole(value, "priority", LOWEST, HIGHEST)


def checked_attempts(value: object) -> int:
    return checked_whole(value, "max_attempts", 1, MOST_ATTEMPTS)


def checked_timeout(value: Duration | None) -> timedelta:
    """The stored form of a timeout: zero for None, and more than zero otherwise."""
    if value is None:
        return NO_TIMEOUT
    length = duration(value, what="timeout")
    if length <= NO_TIMEOUT:
        raise UsageError(f'timeout: expected more than zero, or None for no limit, got "{value}"')
    return length


def checked_time(value: object, what: str = "run_at") -> datetime:
    """An aware datetime that the schema takes."""
    if not isinstance(value, datetime):
        raise UsageError(f"{what}: expected a datetime, got {type(value).__name__}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise UsageError(
            f"{what}: expected a datetime with a time zone, got {value.isoformat()}; add tzinfo=UTC"
        )
    if not EARLIEST <= value.year < LATEST:
        raise UsageError(
            f"{what}: expected a time from {EARLIEST} to {LATEST}, got {value.isoformat()}"
        )
    return value


def checked_text(value: object, what: str, *, longest: int = LONGEST_TEXT) -> str:
    """Text that Postgres can store."""
    if not isinstance(value, str):
        raise UsageError(f"{what}: expected text, got {type(value).__name__}")
    if "\0" in value:
        raise UsageError(f"{what} contains NUL (U+0000), which Postgres cannot store")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what} contains a lone surrogate, which is not text") from None
    if not 1 <= size <= longest:
        raise UsageError(f"{what}: expected 1 to {longest} bytes, got {size}")
    return value


def checked_tags(value: Iterable[str]) -> tuple[str, ...]:
    """Up to 20 short texts."""
    if isinstance(value, str):
        raise UsageError(
            f'tags: expected a list of texts, got the text "{value[:40]}"; write [{value[:40]!r}]'
        )
    tags = tuple(checked_text(tag, "tags", longest=LONGEST_TAG) for tag in value)
    if len(tags) > 20:
        raise UsageError(f"tags: expected at most 20, got {len(tags)}")
    return tags


def shown(text: str) -> str:
    """What was got, short and in ASCII: a letter that only looks like another is told from it."""
    return '"' + ascii(text[:60])[1:-1] + ("…" if len(text) > 60 else "") + '"'
