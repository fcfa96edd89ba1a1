"""Lines of a job's log, as what is said of them is stored: cut, without secrets, and whatever they hold."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pillars.codec import clean_text
from pillars.settings.redaction import REDACTED, is_secret

LONGEST = 8_192  # bytes of one text, and of all fields of a line: what a person reads at once
BEYOND = 2_000  # characters behind a cut that tell what stands before it, as in clean_text
DEEP = 5  # levels, as in the process's log
STREAM = "log"
UNSAYABLE = "a line of which nothing can be told"

Hide = Callable[[str], str]


def cut(text: str, hide: Hide) -> str:
    """A text that can be stored, without secrets, of at most 8 KiB and a note of how much more there was."""
    hidden = hide(text[: LONGEST + BEYOND])
    kept = clean_text(hidden, limit=len(hidden))
    written = kept.encode()
    whole = len(written)
    if len(text) > LONGEST + BEYOND:
        whole = len(text.encode(errors="replace"))
    elif whole <= LONGEST:
        return kept
    begun = written[:LONGEST].decode(errors="ignore")
    return f"{begun}… ({whole - len(begun.encode()):,} more bytes)"


def logged(level: str, event: object, fields: Mapping[str, Any], hide: Hide) -> bytes:
    """The body of a line of `ctx.log`; never raises, whatever its values do when they are looked at."""
    try:
        shown = {_key(name): _plain(name, value, hide, 0) for name, value in fields.items()}
        body = {"level": level, "event": cut(_text(event), hide), "fields": shown, "stream": STREAM}
        written = _encode(body)
        if len(written) > 2 * LONGEST:
            body["fields"] = {"cut": cut(_encode(shown).decode(), hide)}
            written = _encode(body)
    except Exception:  # noqa: BLE001 - a log line fails no job
        return remark("warning", UNSAYABLE)
    return written


def remark(level: str, event: str, **fields: int) -> bytes:
    """A line of the worker's own among those of the job."""
    return _encode({"level": level, "event": event, "fields": fields, "stream": STREAM})


def printed(stream: str, line: str, hide: Hide) -> bytes:
    """The body of a line that was written to a stream of a child's."""
    return _encode({"stream": stream, "line": cut(line, hide)})


def spoken(name: str, data: bytes) -> bytes:
    """The body of an output."""
    return b'{"name":' + _encode(name) + b',"data":' + data + b"}"


def how_far(done: float, total: float | None, message: str | None, hide: Hide) -> bytes:
    """The body of a progress."""
    shown = None if message is None else cut(message, hide)
    return _encode({"done": done, "total": total, "message": shown})


def _plain(name: object, value: Any, hide: Hide, depth: int) -> Any:
    """A value as JSON has it; under a secret name nothing of it."""
    if value is None or type(value) is bool:
        return value
    if isinstance(name, str) and is_secret(name):
        return REDACTED
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and depth < DEEP:
        return {_key(one): _plain(one, item, hide, depth + 1) for one, item in value.items()}
    if isinstance(value, (list, tuple)) and depth < DEEP:
        return [_plain(None, item, hide, depth + 1) for item in value]
    return cut(_text(value), hide)


def _key(name: object) -> str:
    return clean_text(_text(name), limit=200)


def _text(value: object) -> str:
    try:
        return str.__str__(value) if isinstance(value, str) else str.__str__(str(value))
    except Exception:  # noqa: BLE001 - a user's __str__
        return f"<{type(value).__name__}>"


_encode = msgspec.json.Encoder().encode
