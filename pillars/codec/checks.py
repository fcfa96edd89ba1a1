"""How a value does not fit a type, so that JSON brings back what was put in.

msgspec checks what it reads, not what it writes: it would write a tuple for a list, null for NaN and "1" for
a key 1. A check looks at the value first. Messages name types, never values: a hostile `__repr__` stays unread.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from pillars.codec.plain import is_model, plain

MAX_DEPTH = 64  # Python's JSON parsers give up near 1,000 levels; real data stays under 20
_WITHOUT_POINT = 1e16  # from here on, a float is written with an exponent instead of a point
INSTEAD = "pass its id, or a dataclass of its fields"


@dataclasses.dataclass(frozen=True, slots=True)
class Misfit:
    """How a value does not fit, and where: `path` is "" or like ".lines[3].price"."""

    reason: str
    path: str = ""
    of_type: bool = False
    """The value is of another type altogether, so that another member of a union may fit."""

    def under(self, step: str) -> "Misfit":
        return Misfit(self.reason, step + self.path)


Check: TypeAlias = Callable[[Any, int], Misfit | None]
"""Of a value and the depth at which it stands; None where it fits."""


def key_step(key: object) -> str:
    """A dict's key as a step of a path: `.name`, or `["any text"]` cut short."""
    if type(key) is not str:
        return "[...]"
    if key.isidentifier() and key.isascii() and len(key) <= 60:
        return f".{key}"
    return f"[{json.dumps(key[:60])}]"


def text(value: str) -> Misfit | None:
    if "\0" in value:
        return Misfit("contains NUL (U+0000), which Postgres cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return Misfit("contains a lone surrogate (half of a character), which is not text")
    return None


def number(value: float) -> Misfit | None:
    if math.isfinite(value):
        return None
    return Misfit("NaN and Infinity are not JSON: use None or a text")


def _as_jsonb(value: float) -> Misfit | None:
    """Find a float that is written as 1e16: jsonb makes it 10000000000000000, which no type calls a float."""
    if abs(value) < _WITHOUT_POINT:
        return None
    return Misfit("is a float that Postgres gives back as an int: annotate it as float")


def too_deep() -> Misfit:
    return Misfit(f"is nested over {MAX_DEPTH} deep")


def anything(value: Any, depth: int) -> Misfit | None:
    kind = type(value)
    if kind is str:
        return text(value)
    if value is None or kind is int or kind is bool:
        return None
    if kind is float:
        return number(value) or _as_jsonb(value)
    if kind is list:
        return items(value, anything, depth)
    if kind is dict:
        return _plain_dict(value, depth)
    return Misfit(_advice(kind))


def items(values: Iterable[Any], check: Check, depth: int) -> Misfit | None:
    if depth > MAX_DEPTH:
        return too_deep()
    for index, item in enumerate(values):
        misfit = check(item, depth + 1)
        if misfit is not None:
            return misfit.under(f"[{index}]")
    return None


def _plain_dict(value: dict[Any, Any], depth: int) -> Misfit | None:
    if depth > MAX_DEPTH:
        return too_deep()
    for key, item in value.items():
        if type(key) is not str:
            name = type(key).__name__
            return Misfit(
                f"the keys of JSON are text, got {name}: annotate it as dict[{name}, ...]"
            )
        misfit = text(key) or anything(item, depth + 1)
        if misfit is not None:
            return misfit.under(key_step(key))
    return None


_WITH_A_TYPE = (
    dt.date,
    dt.time,
    dt.timedelta,
    uuid.UUID,
    decimal.Decimal,
    enum.Enum,
    msgspec.Struct,
)
_WITH_A_TYPE_TOO = (bytes, bytearray, set, frozenset, tuple, str, int, float, list, dict)


def _advice(kind: type) -> str:
    known = issubclass(kind, _WITH_A_TYPE + _WITH_A_TYPE_TOO) or dataclasses.is_dataclass(kind)
    if known or is_model(kind):
        return f"JSON has no {kind.__name__}: annotate it as {kind.__name__}"
    return f"JSON cannot carry {kind.__name__}: {INSTEAD}"


def wrong(expected: str, value: object) -> Misfit:
    return Misfit(f"expected {expected}, got {type(value).__name__}", of_type=True)


def exactly(kind: type, name: str) -> Check:
    def check(value: Any, _depth: int) -> Misfit | None:
        return None if type(value) is kind else wrong(name, value)

    return check


def a_str(value: Any, _depth: int) -> Misfit | None:
    if type(value) is str:
        return text(value)
    return text(str.__str__(value)) if _is_kind_of(value, str) else wrong("str", value)


def a_int(value: Any, _depth: int) -> Misfit | None:
    if type(value) is int or (type(value) is not bool and _is_kind_of(value, int)):
        return None
    return wrong("int", value)


def a_float(value: Any, _depth: int) -> Misfit | None:
    if _is_kind_of(value, float):
        return number(value)
    if type(value) is not int:
        return wrong("float", value)
    try:
        exact = float(value) == value
    except OverflowError:
        exact = False
    return None if exact else Misfit("is an int that no float equals: annotate it as int")


def _is_kind_of(value: Any, kind: type) -> bool:
    """A subclass says no more than `kind` does; an enum's member is written as its value."""
    if issubclass(type(value), enum.Enum):
        return type(value.value) is kind
    return issubclass(type(value), kind)


def a_uuid(value: Any, _depth: int) -> Misfit | None:
    # asyncpg gives a subclass of its own.
    return None if issubclass(type(value), uuid.UUID) else wrong("UUID", value)


def a_decimal(value: Any, _depth: int) -> Misfit | None:
    return None if issubclass(type(value), decimal.Decimal) else wrong("Decimal", value)


def a_date(value: Any, _depth: int) -> Misfit | None:
    fits = issubclass(type(value), dt.date) and not issubclass(type(value), dt.datetime)
    return None if fits else wrong("date", value)


def a_datetime(value: Any, _depth: int) -> Misfit | None:
    if not issubclass(type(value), dt.datetime):
        return wrong("datetime", value)
    same = type(value) is dt.datetime or plain(value) == value
    return _offset(value) if same else Misfit("is finer than a microsecond: round it")


def a_time(value: Any, _depth: int) -> Misfit | None:
    return _offset(value) if type(value) is dt.time else wrong("time", value)


def _offset(value: dt.datetime | dt.time) -> Misfit | None:
    offset = value.utcoffset()
    if offset is not None and offset % dt.timedelta(minutes=1):
        return Misfit("has a UTC offset with seconds, which JSON's dates do not: use UTC")
    return None
