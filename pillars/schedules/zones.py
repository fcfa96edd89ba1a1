"""Time zones by name."""

import difflib
from datetime import UTC, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from pillars.errors import DefinitionError

OF_THE_MACHINE = frozenset(
    {"localtime", "posixrules", "Factory"}
)  # not the same everywhere, or no place at all
OTHER_TREES = ("posix/", "right/")  # of the system's files; "right" counts leap seconds


@cache
def zone(name: object) -> tzinfo:
    """A time zone of the IANA database, an alias too; raises `DefinitionError` with the nearest names."""
    if name == "UTC":
        return UTC
    if not isinstance(name, str):
        raise DefinitionError(
            f'tz: expected the name of a time zone such as "Europe/Berlin", got {type(name).__name__}'
        )
    if name not in OF_THE_MACHINE and not name.startswith(OTHER_TREES):
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, LookupError):  # a path, a folder, or unknown
            pass
    raise DefinitionError(f'tz: no time zone "{ascii(name[:60])[1:-1]}"; {_hint(name)}')


def _hint(name: str) -> str:
    names = available_timezones() - OF_THE_MACHINE
    if not names:
        return "this machine has no time zone database: install the package tzdata"
    return (
        f"the nearest are {', '.join(difflib.get_close_matches(name[:60], names, n=3, cutoff=0))}"
    )
