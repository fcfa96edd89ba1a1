"""What a worker and its children write to each other: a JSON object a line. docs/howto/processes.md tells it to other programs."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from pillars.worker.judging import Raised


class Order(Struct, frozen=True, omit_defaults=True):
    """A job to run, as its child is told of it."""

    job_id: str
    name: str
    queue: str
    attempt: int
    max_attempts: int
    arguments: Raw
    context: str | None = None
    tags: list[str] = []
    deadline: str | None = None
    """ISO 8601."""
    lock_token: int | None = None
    """With `worker_id`, what ctx.complete is fenced by."""
    worker_id: str | None = None
    metadata: Raw | UnsetType = UNSET
    """What an earlier attempt has left."""
    metadata_trouble: str | None = None
    """Why that could not be read."""


class Told(Struct, frozen=True, omit_defaults=True):
    """A message to a job."""

    data: Raw
    sent_at: str
    """ISO 8601."""
    sent_by: str | None = None


class Line(Struct, frozen=True, omit_defaults=True):
    """A line from the worker: a job, or a word to the one that runs."""

    job: Order | None = None
    message: Told | None = None
    """The next one, for which it has asked."""
    nothing: bool = False
    """None has come in the time for which it asked."""
    heard: bool = False
    """What it has said so far is written."""


class Progress(Struct, frozen=True, omit_defaults=True):
    done: float
    total: float | None = None
    message: str | None = None


class Emitted(Struct, frozen=True, omit_defaults=True):
    name: str
    data: Raw = Raw(b"null")


class Answer(Struct, frozen=True, omit_defaults=True):
    """A line from a child: something that its job says, or, of one of ours, how it has ended."""

    progress: Progress | None = None
    output: Emitted | None = None
    metadata: Raw | UnsetType = UNSET
    log: dict[str, Any] | None = None
    result: Raw | UnsetType = UNSET
    """Of a program: what its job completes with, should it end well."""
    raised: Raised | None = None
    over: bool = False
    """The job has ended, by its `result` or by what it raised; the process waits for the next."""
    stopped: bool = False
    """It has ended because it was told to."""
    inside: bool = False
    """It has completed itself, in a transaction of its own."""
    asks: bool = False
    """It wants the next message, and is done with the one before."""
    within: float | None = None
    """Seconds for which it waits for that message; None: for as long as it takes."""
    unread: bool = False
    """Of a job that has ended: the last message has not reached its code."""
    waits: bool = False
    """It goes on once what it has said so far is written."""
    again: bool = False
    """The process may run another."""


order_line = msgspec.json.Encoder().encode
answer_line = msgspec.json.Encoder().encode
read_order = msgspec.json.Decoder(Line).decode
read_answer = msgspec.json.Decoder(Answer).decode
