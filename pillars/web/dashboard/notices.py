"""What a page says of the action before it. The address carries a code and figures, never words: those are ours."""

from collections.abc import Callable, Mapping

from starlette.datastructures import QueryParams

FIELDS = ("said", "done", "asked", "left")
MOST_DIGITS = 4

Figures = Mapping[str, int]


def said(query: QueryParams) -> str | None:
    """The message that the address asks for; None where it asks for none, or for one that there is not."""
    words = WORDS.get(query.get("said", ""))
    return None if words is None else words({name: _figure(query.get(name)) for name in FIELDS[1:]})


def _figure(text: str | None) -> int:
    known = text is not None and text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if known and text else 0


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


def _retried(figures: Figures) -> str:
    done, left = figures["done"], figures["left"]
    if not left:
        return f"{_jobs(done)} will run again."
    why = "failed, cancelled, expired and scheduled ones can, unless their unique key is held"
    return f"{_jobs(done)} will run again, {left:,} left as {_it(left)}: {why}."


def _cancelled(figures: Figures) -> str:
    told = [f"{_jobs(figures['done'])} cancelled"]
    if figures["asked"]:
        told.append(f"{figures['asked']:,} running asked to stop")
    if figures["left"]:
        told.append(f"{figures['left']:,} had ended before")
    return ", ".join(told) + "."


def _it(count: int) -> str:
    return "it was" if count == 1 else "they were"


def _always(text: str) -> Callable[[Figures], str]:
    return lambda _figures: text


WORDS: Mapping[str, Callable[[Figures], str]] = {
    "retried": _retried,
    "cancelled": _cancelled,
    "none-selected": _always("No job was selected: tick some rows first."),
    "job-retried": _always("The job will run again."),
    "job-cancelled": _always("The job is cancelled."),
    "job-asked": _always("The job runs; its worker was asked to stop it."),
    "job-paused": _always("The job is paused: nothing of it runs until it is resumed."),
    "job-asked-to-pause": _always("The job runs; it rests at its code's next checkpoint."),
    "job-resumed": _always("The job goes on."),
    "job-unpaused": _always("The job was not paused."),
    "queue-paused": _always("The queue is paused; what runs goes on."),
    "queue-resumed": _always("Workers claim from the queue again."),
    "name-paused": _always("The name is paused; what runs goes on."),
    "name-resumed": _always("Workers claim jobs of the name again."),
    "schedule-paused": _always("The schedule is paused: no ticks until it is resumed."),
    "schedule-resumed": _always("The schedule ticks again, from its next tick on."),
    "schedule-run": _always("The schedule's job was made now; its ticks go on as before."),
    "schedule-ran": _always(
        "The schedule's job was made now, and has ended; no row is kept of it."
    ),
    "schedule-held": _always("Nothing new was made: this unfinished job holds the unique key."),
}
