"""Text for people: what others wrote, made harmless to a terminal; moments and lengths of time in words."""

import unicodedata
from datetime import UTC, datetime, timedelta

CUT = "…"
MOST = (
    1000  # characters of a cell: combining marks take no width, and there may be any number of them
)
UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def visible(text: str) -> str:
    """Text with its control characters escaped: those that move the cursor, ring, hide or turn the reading direction."""
    if text.isprintable():
        return text
    return "".join(one if _is_shown(one) else _escaped(one) for one in text)


def width(text: str) -> int:
    """How many columns a visible text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, room: int, *, keep_end: bool = False) -> str:
    """As much of a visible text as goes into `room` columns, with an ellipsis where that is not all."""
    if len(text) <= MOST and width(text) <= room:
        return text
    kept: list[str] = []
    left = room - 1
    for one in reversed(text[-MOST:]) if keep_end else text[:MOST]:
        left -= _columns(one)
        if left < 0:
            break
        kept.append(one)
    return CUT + "".join(reversed(kept)) if keep_end else "".join(kept) + CUT


def age(moment: datetime | None, now: datetime) -> str:
    """How far off a moment is: "3 m ago", "in 2 h", "now"."""
    if moment is None:
        return ""
    ahead = moment - now
    said = span(abs(ahead))
    if said == "0 s":
        return "now"
    return f"in {said}" if ahead > timedelta(0) else f"{said} ago"


def span(length: timedelta) -> str:
    """A length of time by its largest unit: "3 m"."""
    seconds = length.total_seconds()
    size, unit = next((one for one in UNITS if seconds >= one[0]), UNITS[-1])
    return f"{round(seconds / size)} {unit}"


def moment(at: datetime, now: datetime) -> str:
    """A moment in full, in UTC, and how far off it is."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({age(at, now)})"


def pretty(text: str) -> str:
    """JSON with two spaces a level and its numbers as they are."""
    import msgspec

    return msgspec.json.format(text, indent=2)


def _is_shown(one: str) -> bool:
    return one.isprintable() or unicodedata.category(one) == "Zs"


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode()


def _columns(one: str) -> int:
    if unicodedata.category(one) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1
