"""Processes of one pillar that are killed and frozen, and come back as a platform would bring them back."""

import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence, Set as AbstractSet
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from process.pillar import App, app
from support import MEASURED, until

PROJECT = Path(__file__).parent / "project"
NO_DATABASE = re.compile(r"^app: .*(connection|database system)", re.MULTILINE | re.IGNORECASE)
LOOK = 0.05  # seconds between two looks at who has ended
LEFT = {0, 75}  # drained; or fenced while it drained, as a starved machine may have it
UNMEASURED = dict.fromkeys(MEASURED, "")
"""A process that is killed would leave half a file of coverage."""
EXPECTED = {-signal.SIGKILL, 75}
"""Killed by us; ended by itself, since it could not be sure of its locks."""


@dataclass(slots=True)
class Member:
    """One place in the crowd, and the process that has it now."""

    url: str
    environ: dict[str, str]
    app: App
    frozen: bool = False
    killed: bool = False
    """Sent what kills it, though it may not have ended yet."""


@dataclass
class Crowd:
    """Processes of `app WORDS`, one for each way to the database, each replaced when it ends."""

    folder: Path
    urls: Sequence[str]
    words: Sequence[str]
    environ: dict[str, str]
    expected: AbstractSet[int] = frozenset()
    """Exit codes beside those of a process that was killed or ended itself."""
    own: Sequence[dict[str, str]] = ()
    """What each is given beside `environ`; none of them anything where this is empty."""
    members: list[Member] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    killed: dict[int, float] = field(default_factory=dict)
    """When a kill was sent, by process."""
    strange: list[str] = field(default_factory=list)
    """What no process may do: an exit code that says neither killed nor fenced."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _leaving: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Crowd"]:
        """The crowd for the block; what is left of it is killed."""
        with self._stack:
            async with anyio.create_task_group() as group:
                own = self.own or [{}] * len(self.urls)
                self.members = [
                    Member(url, environ, self._start(url, environ))
                    for url, environ in zip(self.urls, own, strict=True)
                ]
                for member in self.members:
                    await member.app.ready()
                group.start_soon(self._replace_the_dead)
                try:
                    yield self
                finally:
                    group.cancel_scope.cancel()

    def _start(self, url: str, own: dict[str, str]) -> App:
        return self._stack.enter_context(
            app(self.folder, url, *self.words, project=PROJECT, **{**self.environ, **own})
        )

    async def _replace_the_dead(self) -> None:
        while not self._leaving:
            for member in self.members:
                code = member.app.process.poll()
                if code is None:
                    continue
                if code == 1 and NO_DATABASE.search(member.app.output):
                    self.counted["boots without a database"] += 1
                elif code not in EXPECTED | self.expected:
                    self.strange.append(f"exit code {code}: {member.app.output[-500:]}")
                self.counted["fenced themselves"] += code == 75
                member.app = self._start(member.url, member.environ)
                member.frozen = member.killed = False
            await anyio.sleep(LOOK)

    def kill(self, which: float) -> None:
        """SIGKILL the one at this share of them, frozen or not."""
        self.counted["kills"] += 1
        member = self.members[int(which * len(self.members))]
        member.killed = True
        member.app.signal(signal.SIGKILL)
        self.killed.setdefault(member.app.process.pid, time.time())

    async def freeze(self, which: float, seconds: float) -> None:
        """SIGSTOP the one at this share of them for so long, where it turns. It may be killed meanwhile."""
        member = self.members[int(which * len(self.members))]
        if member.frozen:
            return
        frozen, member.frozen = member.app, True
        self.counted["freezes"] += 1
        frozen.signal(signal.SIGSTOP)
        await anyio.sleep(seconds)
        frozen.signal(signal.SIGCONT)
        if member.app is frozen:
            member.frozen = False

    async def leave(self, within: float) -> list[int | None]:
        """SIGTERM to all, once all stand; returns their exit codes, None of those that had not ended by then."""
        await until(self._all_stand)
        self._leaving = True
        for member in self.members:
            member.app.signal(signal.SIGTERM)
        with anyio.move_on_after(within):
            await until(self._all_ended, within=within + 1)
        return [member.app.process.poll() for member in self.members]

    def _all_stand(self) -> bool:
        return all(
            member.app.process.poll() is None
            and not member.frozen
            and not member.killed
            and ".ready" in member.app.output
            for member in self.members
        )

    def _all_ended(self) -> bool:
        return all(member.app.process.poll() is not None for member in self.members)
