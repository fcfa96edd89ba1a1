"""The line between a fleet and each of its processes: a socket pair. Its end tells a process that nobody looks after it any more."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import msgspec

from pillars import log

VARIABLE = "APP_FLEET_LINE"  # for a process of a fleet alone, which takes it out of its environment
LONGEST = 2**24  # bytes of an answer: the metrics of a process are some ten thousand

Answers = Mapping[str, Callable[[], Awaitable[Any]]]
"""What is said to each question; something for a JSON encoder."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The end that a process of a fleet was started with, and its number there, counted from 1."""

    number: int
    descriptor: int

    @classmethod
    def found(cls, environ: MutableMapping[str, str]) -> "Inherited | None":
        """Taken out of the environment, and kept from whatever this process starts; None where no fleet has started it."""
        said = environ.pop(VARIABLE, None)
        if said is None:
            return None
        number, _, descriptor = said.partition(":")
        os.set_inheritable(int(descriptor), False)
        return cls(int(number), int(descriptor))

    def hand_on(self) -> dict[str, str]:
        """Keep it for a program that takes the place of this one; returns what that needs in its environment."""
        os.set_inheritable(self.descriptor, True)
        return {VARIABLE: f"{self.number}:{self.descriptor}"}

    async def serve(self, answers: Answers) -> None:
        """Answer until the fleet is gone; no question waits for the answer to another."""
        end = socket.socket(fileno=os.dup(self.descriptor))
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end)
        try:
            async with anyio.create_task_group() as group:
                with suppress(ConnectionError):
                    while question := (await reader.readline()).decode():
                        turn, _, what = question[:-1].partition(" ")
                        group.start_soon(_answer, writer, int(turn), answers[what])
                group.cancel_scope.cancel()
        finally:
            writer.close()


async def _answer(
    writer: asyncio.StreamWriter, turn: int, answer: Callable[[], Awaitable[Any]]
) -> None:
    """Write one answer; None where it fails, as a request would."""
    said = None
    try:
        said = await answer()
    except Exception as error:  # noqa: BLE001 - a question is no reason for a worker to end
        log.get("pillars.service").error(
            log.Event.SERVICE_FAILED, role="line", error=f"{type(error).__name__}: {error}"
        )
    with suppress(ConnectionError):
        writer.write(msgspec.json.encode([turn, said]) + b"\n")
        await writer.drain()


class Line:
    """The fleet's end of a line. An answer that comes after its question was given up is passed over."""

    def __init__(self) -> None:
        self._own, self.other = socket.socketpair()
        self._own.setblocking(False)
        self._writer: asyncio.StreamWriter | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._turn = 0
        self._opening = anyio.Lock()

    async def ask(self, what: str, *, patience: float) -> Any:
        """What the process answers; None where it is gone, or has said nothing after `patience` seconds."""
        self._turn += 1
        turn = self._turn
        answer = self._asked[turn] = asyncio.get_running_loop().create_future()
        try:
            with anyio.fail_after(patience):
                writer = await self._open()
                writer.write(f"{turn} {what}\n".encode())
                return await answer
        except (OSError, TimeoutError):
            return None
        finally:
            del self._asked[turn]

    def close(self) -> None:
        """Let go: to a process that is still there the fleet is gone."""
        if self._writer is not None:
            self._writer.close()
        self._own.close()
        self.other.close()
        self._give_up()

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(
                    sock=self._own, limit=LONGEST
                )
                self._hearing = asyncio.create_task(self._hear(reader), name="fleet-line")
        return self._writer

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(OSError):
                while line := await reader.readline():
                    turn, said = msgspec.json.decode(line)
                    answer = self._asked.get(turn)
                    if answer is not None and not answer.done():
                        answer.set_result(said)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(None)
