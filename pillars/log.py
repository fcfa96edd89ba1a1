"""Log lines: one event a line, `noun.past`, to stderr.

To stderr, all of them: stdout belongs to the data of commands (`app jobs list --json | jq`), one process may print
both, and every platform collects both streams. On a terminal lines are for people, elsewhere JSON.

structlog is imported when the first logger is made, not when this module is.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any, cast
from weakref import WeakSet

from pillars.settings.redaction import REDACTED, is_secret, masked

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

__all__ = ["Event", "configure", "configure_later", "get", "redact", "telling"]


class Event(StrEnum):
    """The names of all events."""

    AUDIT_UNWRITTEN = "audit.unwritten"
    BACKOFF_FAILED = "backoff.failed"
    CHILD_UNREADABLE = "child.unreadable"
    COUNT_FAILED = "count.failed"
    CRON_ELECTED = "cron.elected"
    CRON_READY = "cron.ready"
    CRON_RESIGNED = "cron.resigned"
    CRON_SKIPPED = "cron.skipped"
    CRON_TICKED = "cron.ticked"
    DATABASE_BACK = "database.back"
    DATABASE_LOST = "database.lost"
    DEFINITION_MISSING = "definition.missing"
    HISTORY_BLOCKED = "history.blocked"
    HISTORY_PRUNED = "history.pruned"
    JOB_CANCELLED = "job.cancelled"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_LOCK_LOST = "job.lock_lost"
    JOB_OVERDUE = "job.overdue"
    JOB_PARKED = "job.parked"
    JOB_PAUSED = "job.paused"
    JOB_RELEASED = "job.released"
    JOB_RESUMED = "job.resumed"
    JOB_RETRIED = "job.retried"
    JOB_SNOOZED = "job.snoozed"
    JOB_UNHEARD = "job.unheard"
    JOB_UNIDENTIFIED = "job.unidentified"
    LISTENER_CONNECTED = "listener.connected"
    LISTENER_LOST = "listener.lost"
    LOOP_BLOCKED = "loop.blocked"
    LOOP_TURNED = "loop.turned"
    MIGRATION_APPLIED = "migration.applied"
    MIGRATION_DELAYED = "migration.delayed"
    PAYLOAD_LARGE = "payload.large"
    PROCESS_ENDED = "process.ended"
    REQUEST_SERVED = "request.served"
    SCHEDULE_FAILED = "schedule.failed"
    SERVICE_DRAINING = "service.draining"
    SERVICE_FAILED = "service.failed"
    SETTINGS_DOUBTFUL = "settings.doubtful"
    SWEEP_RESCUED = "sweep.rescued"
    WEB_READY = "web.ready"
    WORKER_FENCED = "worker.fenced"
    WORKER_FULL = "worker.full"
    WORKER_READY = "worker.ready"


_made: WeakSet[Any] = WeakSet()
_later: list[Callable[[], None]] = []


def get(name: str) -> "FilteringBoundLogger":
    """Make a logger; its lines carry `logger=name`. Levels that are filtered out cost one call."""
    import structlog

    while _later:
        _later.pop()()
    logger = structlog.get_logger(name)
    _made.add(logger)
    return cast("FilteringBoundLogger", logger)


Tell = Callable[[str, object, Mapping[str, Any]], None]
"""Of a line that is logged: its level, its event, its fields."""


def telling(name: str, tell: Tell, **bound: object) -> "FilteringBoundLogger":
    """Make a logger whose lines `tell` hears, too: those that are not filtered out, without what is `bound`."""
    import structlog

    while _later:
        _later.pop()()
    configured = structlog.get_config()
    heard = _Heard(configured["logger_factory"](name), tell, bound.keys())
    made = structlog.wrap_logger(heard, wrapper_class=_telling(configured["wrapper_class"]))
    return cast("FilteringBoundLogger", made.bind(**bound))


class _Heard:
    """A logger at the end of a chain, with who hears its lines."""

    __slots__ = ("bound", "logger", "tell")

    def __init__(self, logger: object, tell: Tell, bound: Collection[str]) -> None:
        self.logger = logger
        self.tell = tell
        self.bound = bound

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)


@cache
def _telling(wrapper: type) -> type:
    """The kind of logger that is configured, its lines told as they are let through, before anybody's processors see them."""
    import structlog

    def proxied(self: Any, method: str, event: Any = None, **fields: Any) -> Any:
        heard = self._logger
        said = structlog.contextvars.get_contextvars() | dict(self._context) | fields
        kept = {name: value for name, value in said.items() if name not in heard.bound}
        heard.tell(method, event, _exception(None, method, kept))
        return wrapper._proxy_to_logger(self, method, event, **fields)  # type: ignore[attr-defined]  # noqa: SLF001 - meant for such wrappers

    return type("Telling", (wrapper,), {"_proxy_to_logger": proxied})


def configure_later(*, level: str, format: str) -> None:  # noqa: A002
    """As `configure`, once there is something to log: a command that only prints imports no structlog."""
    _later[:] = [partial(configure, level=level, format=format)]


def configure(
    *,
    level: str = "info",
    format: str = "auto",  # noqa: A002 - LOG_FORMAT
    stream: IO[str] | None = None,
    number: int | None = None,
) -> None:
    """Send structlog, the standard library's logging and warnings to one stream (stderr), in one format.

    `number` is this process's in its fleet, and on every line. `format` is "console", "json" or "auto": console on a
    terminal. Colours are for a terminal or FORCE_COLOR, never with NO_COLOR.
    """
    import structlog

    _later.clear()
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    console = format == "console" or (format == "auto" and terminal)
    render = _console(colours=_coloured(terminal)) if console else _json()
    out = _Stream(stream)
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp,
            *([] if number is None else [_numbered(number)]),
            _exception,
            redact,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda name="": _Sink(name, out.write),
        cache_logger_on_first_use=True,
    )
    for logger in _made:  # or they would go on with the stream and level of an earlier `configure`
        vars(logger).pop("bind", None)
    _adopt_the_standard_library(least)


def _coloured(terminal: bool) -> bool:  # noqa: FBT001
    return not os.environ.get("NO_COLOR") and (terminal or bool(os.environ.get("FORCE_COLOR")))


# --- processors ---------------------------------------------------------------------------------------------


def _stamp(logger: "_Sink", _method: str, event: "EventDict") -> "EventDict":
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    event["logger"] = logger.name
    return event


def _numbered(number: int) -> "Processor":
    def number_it(_logger: object, _method: str, event: "EventDict") -> "EventDict":
        event.setdefault("process", number)
        return event

    return number_it


def _exception(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    """Turn `exc_info` into one text, locals left out: they hold what users sent."""
    found = event.pop("exc_info", None)
    if isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    elif found and not isinstance(found, tuple):
        found = sys.exc_info()
    if found and found[1] is not None:
        event["exception"] = "".join(traceback.format_exception(*found)).rstrip()
    return event


_FIRST = ("timestamp", "level", "event")  # where a reader looks
_HARMLESS = {int, float, bool, type(None), Event}  # but under a secret key
_DEEP = 5  # levels: a log line is no document


def redact(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    """Hide the values of secret keys, the passwords in URLs and this process's own secrets, nested ones too."""
    for key, value in event.items():
        if type(value) not in _HARMLESS or _is_secret(key):
            event[key] = _hidden(key, value, 0)
    return event


def _hidden(key: object, value: Any, depth: int) -> Any:
    if value is None:
        return None
    if _is_secret(key):
        return REDACTED
    if isinstance(value, str):
        return masked(value)
    if depth < _DEEP:
        if isinstance(value, Mapping):
            return {name: _hidden(name, item, depth + 1) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_hidden(None, item, depth + 1) for item in value]
    return value


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and is_secret(key)


# --- rendering ----------------------------------------------------------------------------------------------


def _json() -> "Processor":
    """Lines as bytes, without a text in between."""
    import msgspec

    encoder = msgspec.json.Encoder(enc_hook=_shown)

    def render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
        line: dict[str, Any] = {name: event.pop(name, None) for name in _FIRST}
        line.update(event)
        try:
            return encoder.encode(line)
        except Exception:  # noqa: BLE001 - such as a lone surrogate, or a dict in itself; a line must come out
            return encoder.encode(_plain(line, 0))

    return render


def _console(*, colours: bool) -> "Processor":
    from structlog.dev import ConsoleRenderer, plain_traceback

    renderer = ConsoleRenderer(colors=colours, exception_formatter=plain_traceback)

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        try:
            line = renderer(logger, method, dict(event))
        except Exception:  # noqa: BLE001 - such as a value whose repr raises; a line must come out
            line = renderer(logger, method, _plain(event, 0))
        return _harmless(line, colours=colours)

    return render


# A colour, or a character that moves the cursor, rings, sets a title or a link, or turns the reading direction.
_CONTROL = re.compile(
    "(\x1b\\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def _harmless(line: str, *, colours: bool) -> str:
    """A line for a terminal: of what steers one, colours stay where they are wanted, and the rest is escaped."""
    return _CONTROL.sub(
        lambda found: found[0] if found[1] and colours else ascii(found[0])[1:-1], line
    )


def _plain(value: Any, depth: int) -> Any:
    """Any value as one that can be written."""
    if value is None or type(value) in (bool, float):
        return value
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping) and depth < _DEEP:
        return {
            _plain(_shown(name), depth): _plain(item, depth + 1) for name, item in value.items()
        }
    if isinstance(value, (list, tuple)) and depth < _DEEP:
        return [_plain(item, depth + 1) for item in value]
    return _plain(_shown(value), depth)


def _shown(value: object) -> str:
    """What a value says of itself, or its type's name where it cannot."""
    try:
        return value if type(value) is str else str(value)
    except Exception:  # noqa: BLE001 - a user's __str__
        return f"<{type(value).__name__}>"


class _Sink:
    """The logger at the end of the chain: its name, and where lines go."""

    __slots__ = ("critical", "debug", "error", "info", "name", "warning")

    def __init__(self, name: str, write: Callable[[str | bytes], None]) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = write


class _Stream:
    """Whole lines to one stream, whichever thread they come from. A stream that is gone stops no process."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bytes: IO[bytes] | None = getattr(stream, "buffer", None)
        self._lock = threading.Lock()

    def write(self, line: str | bytes) -> None:
        # A closed pipe, a full disk, a closed file.
        with suppress(OSError, ValueError), self._lock:
            if self._bytes is None:
                self._stream.write((line if isinstance(line, str) else line.decode()) + "\n")
            else:
                whole = (
                    line if isinstance(line, bytes) else line.encode("utf-8", "backslashreplace")
                )
                self._bytes.write(whole + b"\n")
            self._stream.flush()


# --- the standard library -----------------------------------------------------------------------------------

_LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_OF_ANY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN = {"event", "level", "timestamp", "logger", "exc_info", "exception"}


class _ToStructlog(logging.Handler):
    """What libraries log, in our format; `extra` becomes keys."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((known for known in _LEVELS if known <= record.levelno), logging.DEBUG)
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _OF_ANY_RECORD and name not in _TAKEN
        }
        get(record.name).log(level, _message(record), exc_info=record.exc_info, **extra)


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the format
        text = f"{_shown(record.msg)} (its arguments do not fit)"
    # A warning comes with its source line, which nobody needs.
    return text.partition("\n")[0] if record.name == "py.warnings" else text


def _adopt_the_standard_library(least: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        # What anyone else has put there, such as pytest or an error tracker, stays.
        if type(handler) in (logging.StreamHandler, _ToStructlog):
            root.removeHandler(handler)
    root.addHandler(_ToStructlog())
    root.setLevel(least)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(capture=True)
