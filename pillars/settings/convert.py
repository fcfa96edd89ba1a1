"""From what was written to what a setting is; each converter says what it expected and what it got."""

import json
import re
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from pillars.durations import duration, words
from pillars.errors import ConfigurationError, UsageError
from pillars.settings.hosts import WRITES, attributes_of, hosts_of
from pillars.settings.redaction import USUAL
from pillars.sizes import size

__all__ = [
    "Convert",
    "choice",
    "database_url",
    "deployment",
    "folder",
    "length",
    "masked_url",
    "matching",
    "names",
    "path",
    "policy_setting",
    "prefix",
    "queues",
    "secret",
    "shown",
    "text",
    "whole",
]

Convert: TypeAlias = Callable[[object, str], Any]
"""Of the value as given and the name under which it was given."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+", re.ASCII)
_TAKEN = {"pillars.system", "pillars.job_id", "pillars.job_name"}
_MOST_SLOTS = 10_000  # as many as `concurrency` allows


def shown(value: object) -> str:
    """What was got, short and on one line."""
    if isinstance(value, str):
        return json.dumps(value[:40]) + ("…" if len(value) > 40 else "")
    return str(value)[:40] if type(value) in (int, float, bool) else type(value).__name__


def _expected(what: str, expected: str, got: object) -> ConfigurationError:
    return ConfigurationError(f"{what}: expected {expected}, got {shown(got)}")


def whole(least: int, most: int) -> Convert:
    def convert(value: object, what: str) -> int:
        number = value
        if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            number = int(value)
        if type(number) is not int or not least <= number <= most:
            raise _expected(what, f"a whole number from {least} to {most}", value)
        return number

    return convert


def size_from(least: int) -> Convert:
    """A size in bytes."""

    def convert(value: object, what: str) -> int:
        try:
            return size(value, what=what, least=least)  # type: ignore[arg-type] # it refuses the rest
        except UsageError as error:
            raise ConfigurationError(str(error)) from None

    return convert


def length(least: timedelta, most: timedelta) -> Convert:
    """A duration within bounds."""

    def convert(value: object, what: str) -> timedelta:
        try:
            found = duration(value, what=what)  # type: ignore[arg-type] # it refuses the rest
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        if not least <= found <= most:
            raise _expected(what, f"from {words(least)} to {words(most)}", words(found))
        return found

    return convert


def text(value: object, what: str) -> str:
    if not isinstance(value, str) or "\0" in value or "\n" in value:
        raise _expected(what, "a text of one line", value)
    return value


def choice(options: Collection[str]) -> Convert:
    def convert(value: object, what: str) -> str:
        if isinstance(value, str) and value.strip().lower() in options:
            return value.strip().lower()
        raise _expected(what, " or ".join(options), value)

    return convert


def matching(pattern: str, expected: str) -> Convert:
    compiled = re.compile(pattern)

    def convert(value: object, what: str) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise _expected(what, expected, value)

    return convert


def policy_setting(value: object, what: str) -> str:
    """A setting of Postgres that nobody else has a use for, such as "app.current_user_id"; letters' case makes no other."""
    if isinstance(value, str) and len(value) <= 100 and _DOTTED.fullmatch(value):
        if value.lower() in _TAKEN:
            raise ConfigurationError(f"{what}: {value} says something else; name another setting")
        return value
    raise _expected(what, 'a setting with a dot, such as "app.current_user_id"', value)


def deployment(value: object, what: str) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise _expected(what, f"a name of the form {NAME.pattern}", value)


def prefix(value: object, what: str) -> str:
    """Nothing, or a path such as "/ops": a slash at the end is taken off."""
    found = text(value, what).rstrip("/")
    if found and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", found):
        raise _expected(what, 'a path such as "/ops"', value)
    return found


def path(value: object, what: str) -> Path:
    if isinstance(value, Path):
        return value.expanduser()
    if found := text(value, what):
        return Path(found).expanduser()
    raise _expected(what, "a path", value)


def folder(value: object, what: str) -> Path:
    """A path of a folder that is there."""
    found = path(value, what)
    if not found.is_dir():
        raise _expected(what, "a folder", str(found))
    return found


def secret(value: object, what: str) -> str:
    """A token: what a header can carry. Never shown."""
    if isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{1,1000}", value):
        return value
    raise ConfigurationError(
        f"{what}: expected printable ASCII without blanks (the value is not shown)"
    )


def names(value: object, what: str) -> tuple[str, ...]:
    """Read "password,iban" or a list of such names; "default" stands for the usual ones, "none" alone for no name."""
    said = value.split(",") if isinstance(value, str) else value
    if not isinstance(said, list | tuple):
        raise _expected(what, 'names such as "default,iban", or none', value)
    found: dict[str, None] = {}
    for one in said:
        name = text(one, what).strip()
        if name == "default":
            found |= dict.fromkeys(USUAL)
        elif re.search(r"\w", name):
            found[name] = None
        elif name:
            raise _expected(what, 'names such as "default,iban", or none', name)
    return () if list(found) == ["none"] else tuple(found)


def queues(value: object, what: str) -> tuple[tuple[str, int | None], ...]:
    """Read "mail:5,default", a list of such parts, or a table of names and slots.

    What stands behind the last colon is slots, or nothing: a queue named "a:b" is "a:b:50", or "a:b:" without slots of its own.
    """
    match value:
        case str():
            parts = [_lane(part.strip(), what) for part in value.split(",") if part.strip()]
        case dict():
            parts = [_lane(f"{name}:{slots}", what) for name, slots in value.items()]
        case list() | tuple():
            parts = [_lane(part, what) for part in value]
        case _:
            raise _expected(what, 'queues such as "mail:5,default"', value)
    names = [name for name, _ in parts]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{what}: the queue {shown(name)} is there twice")
    return tuple(parts)


def _lane(part: object, what: str) -> tuple[str, int | None]:
    slots: object
    if isinstance(part, tuple) and len(part) == 2:
        name, slots = part
    else:
        name, slots = _parted(text(part, what), what)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _expected(what, f"a queue's name of the form {NAME.pattern}", name)
    return name, None if slots is None else whole(1, _MOST_SLOTS)(slots, f"{what}: slots of {name}")


def _parted(part: str, what: str) -> tuple[str, str | None]:
    """A queue and its slots. A colon before what is no number is a slip as often as a name, so it is asked about."""
    name, colon, slots = part.rpartition(":")
    if not (name and colon):
        return part, None
    if slots and not _WHOLE.fullmatch(slots):
        if NAME.fullmatch(part):
            raise ConfigurationError(
                f"{what}: {shown(part)} can be read in two ways: write {shown(f'{part}:')} for a queue of that name, "
                f"or {shown(f'{name}:5')} for 5 slots of the queue {shown(name)}"
            )
        return part, None
    return name, slots or None


# --- URLs ---------------------------------------------------------------------------------------------------

_SCHEMES = {"postgres", "postgresql"}
_OTHERS = {"mysql", "mariadb", "sqlite", "oracle", "mssql", "mongodb", "redis", "http", "https"}
_WORD = re.compile(r"((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]*)", re.IGNORECASE)


def masked_url(url: str) -> str:
    """The same with `***` for its password; for `key=value` connection strings too.

    A password that was not escaped may hold any of `@:/?#`, so all up to the last `@` counts as one.
    """
    scheme, mark, rest = url.partition("://")
    if mark:
        user_and_password, at, place = rest.rpartition("@")
        user, colon, _ = user_and_password.partition(":")
        rest = f"{user}{colon}{'***' if colon else ''}{at}{place}"
    return _WORD.sub(r"\1***", f"{scheme}{mark}{rest}")


def database_url(value: object, what: str) -> str:
    """A URL of Postgres, of one server or several, as libpq reads it; SQLAlchemy's `postgresql+driver://` is taken as meant."""
    found = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or not found.isprintable():
        got = "line ends or control characters" if isinstance(value, str) else type(value).__name__
        raise ConfigurationError(f"{what}: expected a URL on one line, got {got}")
    scheme, mark, rest = found.partition("://")
    dialect = scheme.partition("+")[0].lower()
    if not mark or dialect not in _SCHEMES:
        # What stands there may be a password, so only what is known to be none is repeated.
        named = f"a URL of {shown(scheme)}" if dialect in _OTHERS else "a URL of another scheme"
        got = named if mark else "a text without ://"
        raise ConfigurationError(
            f"{what}: expected postgresql://user:password@host/database, got {got}"
        )
    url = f"{dialect}://{rest}"
    try:
        servers = hosts_of(url)
    except ValueError:
        raise ConfigurationError(
            f"{what}: host and port cannot be told apart in {masked_url(found)}; "
            "escape @ : / ? # in the password, as %40 %3A %2F %3F %23, and give no port, one, or one for each host"
        ) from None
    attributes = attributes_of(url)
    if attributes not in {None, *WRITES} and (attributes != "any" or len(servers) > 1):
        raise ConfigurationError(
            f"{what}: target_session_attrs={shown(attributes)} may lead to a standby, and every process writes; "
            "set it to read-write"
        )
    return url
