"""Readers of what jobs say, by a web process that is hurt: each comes back with the last id that it heard."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2
from anyio.abc import TaskGroup

BROKEN_OFF = 0.02  # of the frames, so many are a reader's last before it comes back
BACK = 0.1  # seconds until it does
SILENCE = 20.0  # seconds; a keep-alive comes every 15 s


class Followers:
    """One reader for each of some jobs, which a seed draws, while `running`."""

    def __init__(self, seed: int, port: int, token: str, *, share: float) -> None:
        self._chance = random.Random(f"followers {seed}")
        self._client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=SILENCE,
            limits=httpx2.Limits(max_connections=None),
        )
        self._share = share
        self._group: TaskGroup | None = None
        self.heard: defaultdict[str, list[int]] = defaultdict(list)
        self.following: set[str] = set()
        """The jobs whose end is still to be told."""
        self.figures: Counter[str] = Counter()
        self.broken: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Followers"]:
        """For the block; whoever has not heard the end then stops."""
        async with self._client, anyio.create_task_group() as self._group:
            try:
                yield self
            finally:
                self._group.cancel_scope.cancel()

    def follow(self, job_id: str) -> None:
        """Perhaps."""
        if self._group is not None and self._chance.random() < self._share:
            self.following.add(job_id)
            self._group.start_soon(self._to_its_end, job_id)

    async def _to_its_end(self, job_id: str) -> None:
        self.figures["followed"] += 1
        self.heard[job_id] = []
        while job_id in self.following:
            with suppress(httpx2.HTTPError):
                await self._connection(job_id)
            await anyio.sleep(BACK)

    async def _connection(self, job_id: str) -> None:
        self.figures["connections of followers"] += 1
        last = self.heard[job_id][-1:] or [0]
        asked = self._client.stream(
            "GET", f"/api/jobs/{job_id}/stream", headers={"Last-Event-ID": str(last[0])}
        )
        async with asked as answer:
            if answer.status_code != httpx2.codes.OK:
                self.figures[f"streams answered with {answer.status_code}"] += 1
                return
            frame: list[str] = []
            async for line in answer.aiter_lines():
                if line:
                    frame.append(line)
                    continue
                self._hear(job_id, frame)
                frame = []
                if job_id not in self.following or self._chance.random() < BROKEN_OFF:
                    return

    def _hear(self, job_id: str, frame: Sequence[str]) -> None:
        """A whole frame; what is cut off within one was not told."""
        said = dict(line.split(": ", 1) for line in frame if not line.startswith(":"))
        match said.get("event"):
            case "output":
                self.heard[job_id].append(int(said["id"]))
            case "end":
                self.following.discard(job_id)
            case "reset" | "cut" as event:
                self.broken.append(f"job {job_id}: its stream said {event}: {said['data']}")
