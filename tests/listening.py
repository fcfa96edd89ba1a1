"""Jobs that read their inboxes, and what they have read."""

import asyncio
from typing import Any

import pytest

from pillars import (
    Context,
    Snooze,
    job,
)
from pillars.jobs.definition import Job
from pillars.store import job_messages


class Reader:
    """Jobs that read their inboxes, and what they have read."""

    def __init__(self) -> None:
        self.read: list[Any] = []
        self.let = asyncio.Event()

        @job(name="reads", backoff="10ms")
        async def reads(ctx: Context) -> None:
            async for message in ctx.inbox:
                self.read.append(message.data)
                if await self.heed(message.data, ctx.attempt):
                    break

        @job(name="reads.in_a_thread", backoff="10ms")
        def reads_in_a_thread(ctx: Context) -> None:
            while (message := ctx.inbox.get_now()) is not None:
                self.read.append(message.data)
                if message.data == "end":
                    return

        self.job: Job[..., None] = reads
        self.thread: Job[..., None] = reads_in_a_thread

    async def heed(self, said: object, attempt: int) -> bool:
        """Do as a message says; returns whether it is the last."""
        match said, attempt:
            case "fail", 1:
                raise ValueError(said)
            case "snooze", _ if self.read.count("snooze") == 1:
                raise Snooze("10ms")
            case "wait", _:
                await self.let.wait()
        return said in {"end", "break"} if isinstance(said, str) else False


def which(reader: Reader, kind: str) -> Job[..., None]:
    return reader.job if kind == "async" else reader.thread


def counting_looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For how many jobs each look was, once it is done."""
    looks: list[int] = []
    untaken = job_messages.untaken

    async def counted(*args: Any) -> Any:
        found = await untaken(*args)
        looks.append(len(args[2]))
        return found

    monkeypatch.setattr(job_messages, "untaken", counted)
    return looks


BOTH = pytest.mark.parametrize("kind", ["async", "thread"])
