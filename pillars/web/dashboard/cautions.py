"""What is wrong and cheap to know: each a sentence, with the page or the command that helps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pillars.store import oversight
from pillars.store.rows import Listed, ProcessRow, Queue

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Caution:
    """`place` is the page to look at, `command` what to type; either may be empty."""

    text: str
    place: str = ""
    command: str = ""


def found(
    queues: Sequence[Queue], processes: Sequence[ProcessRow], schedules: Sequence[Listed]
) -> list[Caution]:
    """The worst first."""
    alive = [one for one in processes if one.alive]
    return [
        *_of_workers(queues, alive),
        *_of_cron(schedules, alive),
        *_of_code(alive),
    ]


def _of_workers(queues: Sequence[Queue], alive: Sequence[ProcessRow]) -> Iterator[Caution]:
    workers = [one for one in alive if one.role == "worker"]
    if not workers:
        yield Caution("No worker is alive: nothing is claimed.", "workers", "app worker")
    elif unserved := oversight.unserved(queues, workers):
        said = "Queue {} has ready jobs, and no live worker serves it."
        if len(unserved) > 1:
            said = "Queues {} have ready jobs, and no live worker serves them."
        yield Caution(said.format(_named(unserved)), "queues", "app worker")
    deaf = [f"{one.host}:{one.pid}" for one in workers if one.listening is False]
    if deaf:
        text = (
            f"{_named(deaf)} cannot hear notifications and polls: jobs start up to a second later."
        )
        yield Caution(text, "workers", "app doctor")


def _of_cron(schedules: Sequence[Listed], alive: Sequence[ProcessRow]) -> Iterator[Caution]:
    ticking = [one for one in schedules if one.paused_at is None]
    if ticking and not any(one.role == "cron" for one in alive):
        yield Caution("There are schedules, and no cron process is alive: nothing ticks.", "schedules", "app cron")  # fmt: skip
    if broken := [one.name for one in schedules if one.last_error]:
        yield Caution(f"{_named(broken)} could not be ticked.", "schedules")


def _of_code(alive: Sequence[ProcessRow]) -> Iterator[Caution]:
    releases = sorted({f"{one.version}/{(one.commit or 'local')[:7]}" for one in alive})
    if len(releases) > 1:
        yield Caution(f"Processes run different code: {_named(releases)}.", "workers")


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
