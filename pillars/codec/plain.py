"""JSON and text without a declared type."""

import datetime as dt
import decimal
import re
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from pillars.errors import PayloadError

__all__ = ["clean_text", "from_json", "is_model", "one_line", "plain", "to_json", "unplain"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BEYOND = 2_000  # characters behind a cut that tell what stands before it: no secret that we know is longer
_ONE_LINE = 300  # characters of a foreign error's message: enough to act on, short enough for a log


def clean_text(text: str, *, limit: int = 64_000, hide: Callable[[str], str] | None = None) -> str:
    """Make any text storable: NUL and lone surrogates become U+FFFD; past `limit` characters it is cut.

    What is returned is never longer than `limit`, the note about the cut included. `hide` takes secrets out before the cut may
    leave half of one.
    """
    kept = text[:limit] if hide is None else hide(text[: limit + _BEYOND])[:limit]
    if len(text) > limit:
        note = f"… [cut, {len(text):,} characters in all]"
        kept = kept[: max(limit - len(note), 0)] + note[:limit]
    return _UNSTORABLE.sub("\ufffd", kept)


def one_line(text: str) -> str:
    return " ".join(clean_text(text, limit=10 * _ONE_LINE).split())[:_ONE_LINE]


def to_json(value: object) -> bytes:
    """Write what the runtime itself made: plain data, dates, UUIDs, dataclasses. NaN becomes null."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"not JSON: {one_line(str(error))}") from None


def from_json(text: bytes | str) -> Any:
    """Read any JSON; PayloadError where it is none."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise PayloadError("not JSON that can be read: nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise PayloadError(f"not JSON: {one_line(str(error))}") from None


def is_model(kind: type) -> bool:
    """Whether this is a pydantic (2) model; pydantic is never imported for it."""
    pydantic = sys.modules.get("pydantic")
    base = getattr(pydantic, "BaseModel", None)
    return (
        isinstance(base, type) and issubclass(kind, base) and hasattr(kind, "model_validate_json")
    )


def plain(value: Any) -> object:
    """What msgspec writes in place of a value it does not know: the built-in that it is a kind of.

    (It writes by itself what is a kind of list, tuple, set, dict or UUID.)
    """
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, dt.datetime):
        parts = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
        return dt.datetime(value.year, value.month, value.day, *parts, fold=value.fold)  # noqa: DTZ001
    if issubclass(kind, dt.date):
        return dt.date(value.year, value.month, value.day)
    if issubclass(kind, decimal.Decimal):
        return decimal.Decimal(value)
    if is_model(kind):
        # By alias, because that is how the model reads itself back.
        return value.model_dump(mode="json", by_alias=True, warnings=False)
    raise TypeError(f"JSON cannot carry {kind.__name__}")


def unplain(kind: Any, value: object) -> object:
    """Build what msgspec does not know: a pydantic model. For `object`, JSON is as good as anything."""
    if kind is object:
        return value
    try:
        return kind.model_validate_json(msgspec.json.encode(value))
    except ValueError as error:
        details = getattr(error, "errors", None)
        if details is None:
            raise
        first = details(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


_encoder = msgspec.json.Encoder(enc_hook=plain)
