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

VARIABLE = "APP_FLEET_LINE"  # for a process of a fleet alone, which takes it out of its environment
LONGEST = 2**24  # bytes of an answer: the metrics of a process are some ten thousand

Answers = Mapping[str, Callable[[str], Awaitable[Any]]]
"""What is said to each question, given what follows its question mark; something for a JSON encoder."""


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
        """Answer until the fleet is gone."""
        end = socket.socket(fileno=os.dup(self.descriptor))
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end)
        try:
            with suppress(ConnectionError):
                while question := (await reader.readline()).decode():
                    turn, what, query = question[:-1].split(" ", 2)
                    answer = [int(turn), await answers[what](query)]
                    writer.write(msgspec.json.encode(answer) + b"\n")
                    await writer.drain()
        finally:
            writer.close()


class Line:
    """The fleet's end of a line. What comes after its question was given up is passed over."""

    def __init__(self) -> None:
        self._own, self.other = socket.socketpair()
        self._own.setblocking(False)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asking = anyio.Lock()
        self._turn = 0

    async def ask(self, what: str, query: str = "", *, patience: float) -> Any:
        """What the process answers; None where it is gone, or has said nothing after `patience` seconds."""
        try:
            with anyio.fail_after(patience):
                async with self._asking:
                    return await self._ask(what, query)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None

    async def _ask(self, what: str, query: str) -> Any:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(sock=self._own, limit=LONGEST)
        reader, writer = self._streams
        self._turn += 1
        writer.write(f"{self._turn} {what} {query}\n".encode())
        turn = 0
        while turn != self._turn:
            turn, answer = msgspec.json.decode(await reader.readuntil())
        return answer

    def close(self) -> None:
        """Let go: to a process that is still there the fleet is gone."""
        if self._streams is not None:
            self._streams[1].close()
        self._own.close()
        self.other.close()
