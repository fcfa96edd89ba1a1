"""What a mutant is: the code with one protection taken out, and the test that must notice."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Promise(StrEnum):
    """What a protection is for."""

    CLAIMED = (
        "An enqueue that was acknowledged is claimed at least once, or ends by a recorded request."
    )
    FENCED = "At most one claim of a job is alive: no write with an old token changes anything."
    TICKED = "One row per schedule and tick, whatever the leaders do."
    IN_ONE_PLACE = "A job is in exactly one of jobs and finished_jobs; a final state is left only by a redrive."
    ATOMIC = "A rolled-back transaction leaves no job and no wake-up."
    STOPPED = "A worker that cannot be sure of its locks stops before another may begin its jobs."
    COUNTED = "Tries, snoozes, releases and crashes are each counted as what they are."
    ENDED = "Whatever a job does, it ends; and an end that was asked for comes."
    UNHINDERED = "Nobody's open transaction, and no other's bad row, holds up the rest."
    WOKEN = "Work that is due is begun soon, also where a wake-up was lost."
    TOLD = (
        "Who follows a job misses nothing that it says, hears nothing twice, and holds up nobody."
    )
    HEARD = "What a running job says is written in its order, before its outcome, and read without a gap; what is said to it is heard."
    GUARDED = "The API answers only those it is meant for."
    TRACED = "Whatever people change leaves a row that says who did it."
    SECRET = "No secret is shown anywhere, and what is hidden still reaches the job."
    ALLOWED = "A role of the database may do what it is for, and nobody's names are run but ours."
    FOR_WHOM = "A transaction acts for whom its job says, and nothing of that is left for the next."
    TESTED = "A test of an app that passes has seen what it says, in a database of its own."


@dataclass(frozen=True, slots=True)
class Edit:
    """A text that stands once in a file, and what stands there instead."""

    file: str
    text: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One protection taken out. `tests` are ids of pytest, the quickest first; one of them has to fail."""

    name: str
    without: str
    """The sentence that no longer holds of this code."""
    promise: Promise
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def edit(file: str, text: str, instead: str) -> tuple[Edit, ...]:
    """The only edit of a mutant, or one to be added to others."""
    return (Edit(file, text, instead),)


class EditError(Exception):
    """A mutant's text does not stand in the code exactly once: mend the table."""


def mutated(edits: tuple[Edit, ...], root: Path = ROOT) -> dict[str, str]:
    """The new text of each file that a mutant changes."""
    files: dict[str, str] = {}
    for one in edits:
        before = files.get(one.file) or (root / one.file).read_text()
        count = before.count(one.text)
        if count != 1:
            raise EditError(
                f"{one.file}: expected the text once, found it {count} times: {one.text!r}"
            )
        files[one.file] = before.replace(one.text, one.instead)
    return files
