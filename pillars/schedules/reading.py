"""Reading a cron expression: macros, and errors that name the field."""

from functools import lru_cache

from cronsim import CronSim, CronSimError

from pillars.errors import DefinitionError
from pillars.schedules.rules import START, Crontab

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L (the last), LW (the last weekday)"),
    ("month", "1 to 12, JAN to DEC"),
    (
        "day of the week",
        "0 to 7 (0 and 7 are Sunday), SUN to SAT, MON#2 (the second Monday), 5L (the last Friday)",
    ),
)
LONGEST = 200  # characters; a list of every minute of an hour has 168
REFUSALS = (CronSimError, AssertionError, ValueError)  # cronsim asserts what it does not parse


@lru_cache(maxsize=1000)
def read(expression: str, timezone: str) -> Crontab:
    """The rule of an expression with five fields, or of a macro.

    Raises `DefinitionError`, which says the field, what it takes and what it got.
    """
    text = _expanded(expression)
    for position, field in enumerate(text.split(" "), start=1):
        _check(text, position, field)
    try:
        rule = Crontab(text, timezone)
    except REFUSALS:
        raise _never(text) from None
    if rule.after(START) is None:
        raise _never(text)
    return rule


def _expanded(expression: str) -> str:
    """The expression with one space between its five fields."""
    if len(expression) > LONGEST:
        raise DefinitionError(
            f"crontab: expected at most {LONGEST} characters, got {len(expression)}"
        )
    text = " ".join(expression.split())
    if text.startswith("@"):
        return _macro(text)
    fields = text.split(" ") if text else []
    if len(fields) == len(FIELDS):
        return text
    named = ", ".join(name for name, _ in FIELDS)
    hint = '; seconds are for every("10s", ...)' if len(fields) > len(FIELDS) else ""
    raise DefinitionError(
        f"crontab {_shown(text)}: expected 5 fields ({named}), got {len(fields)}{hint}"
    )


def _macro(text: str) -> str:
    try:
        return MACROS[text.lower()]
    except KeyError:
        raise DefinitionError(
            f"crontab {_shown(text)}: expected five fields or one of {', '.join(MACROS)}"
        ) from None


def _check(text: str, position: int, field: str) -> None:
    alone = ["*"] * len(FIELDS)
    alone[position - 1] = field
    try:
        CronSim(" ".join(alone), START)
    except REFUSALS:
        name, values = FIELDS[position - 1]
        raise DefinitionError(
            f"crontab {_shown(text)}, field {position} ({name}): expected {values}, a list 1,2, a range 1-5, "
            f"* or a step */5, got {_shown(field)}"
        ) from None


def _never(text: str) -> DefinitionError:
    return DefinitionError(f"crontab {_shown(text)}: never comes; no such month has that day")


def _shown(text: str) -> str:
    return '"' + ascii(text)[1:-1] + '"'
