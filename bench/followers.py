"""Readers of streams in a process of their own: they follow jobs, break off now and then, come back, and note every id."""

import asyncio
import random
import re
from contextlib import suppress
from dataclasses import dataclass, field

from .child import done, gate, main

FRAME = re.compile(rb"id: (\d+)\nevent: output\ndata: [^\n]*\n\n")
BETWEEN = (8.0, 16.0)  # seconds on a connection before it is broken off
PAUSE = 0.02  # seconds before a reader comes back
LOOK = 0.1  # seconds between two looks at what has come: a page draws no oftener
LINE = 1 << 20
SEED = 20_261_123


@dataclass(slots=True)
class Follower:
    """One reader of one job's stream, through as many connections as it takes."""

    port: int
    job_id: str
    last: int = 0
    heard: int = 0
    repeated: int = 0
    connections: int = 0
    refused: list[str] = field(default_factory=list)

    async def follow(self, chance: random.Random) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(chance.uniform(*BETWEEN)):
                    await self._connection()
            await asyncio.sleep(PAUSE)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=LINE)
        try:
            asked = (
                f"GET /api/jobs/{self.job_id}/stream HTTP/1.1",
                f"Host: 127.0.0.1:{self.port}",
                f"Last-Event-ID: {self.last}",
            )
            writer.write("\r\n".join([*asked, "", ""]).encode())
            status = await reader.readline()
            if b" 200 " not in status:
                self.refused.append(status.decode().strip())
                return
            self.connections += 1
            heard = bytearray()
            try:
                while data := await reader.read(LINE):
                    heard += data
                    await asyncio.sleep(LOOK)
            finally:
                self._hear(heard)
        finally:
            writer.close()

    def _hear(self, heard: bytearray) -> None:
        """Ids of what was said; a frame that was broken off within was not told."""
        for number in map(int, FRAME.findall(heard)):
            self.heard += 1
            self.repeated += number <= self.last
            self.last = max(self.last, number)


async def follow(port: int, job_ids: list[str], streams: int, seconds: float) -> None:
    """Follow these jobs by so many streams, for so long."""
    chance = random.Random(SEED)
    followers = [Follower(port, job_ids[n % len(job_ids)]) for n in range(streams)]
    await gate()
    tasks = [asyncio.create_task(one.follow(chance)) for one in followers]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await done(
        followers=[[one.job_id, one.last, one.heard, one.repeated] for one in followers],
        connections=sum(one.connections for one in followers),
        refused=[told for one in followers for told in one.refused][:10],
    )


if __name__ == "__main__":
    main(follow=follow)
