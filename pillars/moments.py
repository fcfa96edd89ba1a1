"""Moments and lengths of time as people say them, always seen from a `now` that the caller read where the moment was."""

from datetime import UTC, datetime, timedelta

UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


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


def in_full(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def in_full_and_age(moment: datetime, now: datetime) -> str:
    """A moment in full, and how far off it is."""
    return f"{in_full(moment)} ({age(moment, now)})"
