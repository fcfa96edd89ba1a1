"""What a job has said, in lines for a terminal."""

from collections.abc import Iterator

from pillars.cli import saying
from pillars.cli.words import visible
from pillars.store.speech import Line, Progress, Speech, as_text

WIDTH = 20  # columns of a bar
LONGEST = 2_000  # characters of a line, or of a value; --json and pillars.job_events have all of it


def bar(progress: Progress | None) -> str:
    """How far a job is: a bar where there is a total, the count, the message."""
    if progress is None:
        return ""
    share = progress.share
    filled = 0 if share is None else int(share * WIDTH)
    drawn = "" if progress.total is None else "█" * filled + "░" * (WIDTH - filled)
    return "  ".join(one for one in (drawn, progress.counted, progress.message) if one)


def told(spoken: Speech) -> Iterator[str]:
    """Metadata and the last lines of the log, each where there are any."""
    if spoken.metadata:
        size = max(map(len, spoken.metadata))
        yield from ("", saying.title("metadata"))
        for name, value in spoken.metadata.items():
            yield f"  {visible(f'{name:<{size}}  {as_text(value)}'[:LONGEST])}"
    if spoken.lines:
        yield from ("", saying.title("log"))
        yield from map(_line, spoken.lines)


def _line(line: Line) -> str:
    fields = "".join(f" {name}={value}" for name, value in line.fields)
    said = f"{line.text}{fields}"
    # A traceback among its fields stands on lines of its own.
    first, *rest = said[:LONGEST].split("\n")
    level = f"{line.level:<8}" if line.level else ""
    head = f"  {line.at:%H:%M:%S}  {line.attempt}  {level}{visible(first)}"
    return "\n".join([head, *(f"      {visible(one)}" for one in rest)])
