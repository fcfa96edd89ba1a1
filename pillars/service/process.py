"""One pillar's process: what web, worker and cron have in common while they run."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid4

import anyio

from pillars.service.tally import Tally
from pillars.settings import Settings
from pillars.store.database import Database

Role = Literal["web", "worker", "cron"]

DONE, FAILED, USAGE, FENCED, INTERRUPTED = 0, 1, 2, 75, 130


@dataclass(slots=True)
class Process:
    """A pillar's process: who it is, what it was told, how far it is.

    `stopping` is set when a signal asks for a drain; a pillar's `run()` then finishes and returns. `ended` is set once it has done
    all that it will do, which code of the user's may outlive that heeds no cancellation. `ready` is true while it serves or
    claims. `again` says that it is to begin anew once it has stopped. `listening` is true while the wake-up listener has proved itself, None where there is none. `beside` are the other
    pillars of `app all`: one process of the system, with one `stopping` and one `tally`.
    """

    role: Role
    settings: Settings
    database: Database
    worker_id: UUID = field(default_factory=uuid4)
    stopping: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    ready: bool = False
    again: bool = False
    listening: bool | None = None
    leads: bool = False
    tally: Tally = field(default_factory=Tally)
    beside: Sequence["Process"] = ()
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)

    @property
    def commit(self) -> str:
        """The release's commit, 7 characters, or "local"."""
        return (self.settings.git_commit_sha or "local")[:7]


def together(roles: Sequence[Role], settings: Settings, database: Database) -> list[Process]:
    """A process for each of these pillars, which share this process of the system: they stop together and count together."""
    stopping, tally = anyio.Event(), Tally()
    made = [Process(role, settings, database, stopping=stopping, tally=tally) for role in roles]
    for one in made:
        one.beside = [other for other in made if other is not one]
    return made
