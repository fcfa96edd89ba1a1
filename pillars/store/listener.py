"""Being woken: one connection that listens, believed only while it proves itself."""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import anyio

from pillars.errors import DatabaseTrouble, Trouble
from pillars.settings import masked_url
from pillars.store.pool import Address
from pillars.store.route import ANSWER
from pillars.store.rows import Backend, Yes
from pillars.store.session import Executor, Session
from pillars.store.statements import Statement

PROVE = Statement("workers/prove", Yes)

WAKE_CHANNEL = "pillars"
PROOF = "proof"  # anything else on a process's own channel is the id of a job of its to look at
DEAF = "LISTEN cannot work through a transaction pooler; set DATABASE_DIRECT_URL to the server itself, to be woken at once"
FIRST_PROOF = 2.0  # seconds a round trip may take before the channel counts as deaf
PROBE = 2.0  # seconds to find out what a pooler does
LOOK_AGAIN = (
    300.0  # seconds; what was taken for a transaction pooler may have been one that stalled
)
LOOKS = 3  # a busy pooler may happen to give a client the same server again
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 10.0  # seconds


def own_channel(worker_id: UUID) -> str:
    """As `pillars.own_channel` in SQL."""
    return f"pillars_{worker_id.hex}"


async def is_deaf(address: Address) -> bool:
    """Whether notifications get lost on the way, as they do in a pooler that shares servers between clients.

    A wrong "no" is found out by the first proof; a wrong "yes" costs a second of latency until the next look. Raises `DatabaseTrouble`.
    """
    if address.route.deaf is None:
        address.route.deaf = await _shares_servers(address)
    return address.route.deaf


async def _shares_servers(address: Address) -> bool:
    """Whether two clients cannot keep a server each. One of them may have to wait for the other: then it had better poll."""
    session = await address.connect()
    try:
        if not session.pooled:
            return False
        with anyio.move_on_after(PROBE):
            other = await address.connect()
            try:
                return await _are_mixed(session, other)
            finally:
                await other.close()
    finally:
        await session.close()
    return True


async def _are_mixed(session: Session, other: Session) -> bool:
    """Ask both which server they have, in all the ways in which a pooler may choose one: the last used, the next, any that is free."""
    mine: set[Backend] = set()
    others: set[Backend] = set()
    for look in range(2 * LOOKS):
        mine.update(await session.rows(ANSWER), await session.rows(ANSWER))
        others.update(await other.rows(ANSWER))
        if look % 2:
            async with other.transaction():
                others.update(await other.rows(ANSWER))
                mine.update(await session.rows(ANSWER))
        if len(mine) > 1 or len(others) > 1 or mine & others:
            return True
    return False


class Listener:
    """Hears what is told on a channel, that a queue has work where nothing else is said, and what is told to this process alone.

    A connection may look open and hear nothing (a pooler, a silent cut): `proved` is true only while a notification to itself has
    come back within `trust`. Heartbeats send these; without one in time it reconnects.
    """

    def __init__(
        self,
        address: Address,
        pool: Executor,
        worker_id: UUID,
        *,
        trust: timedelta,
        on_wake: Callable[[str], None],
        on_told: Callable[[str], None],
        on_change: Callable[[bool, str], None],
        channel: str = WAKE_CHANNEL,
    ) -> None:
        self._address = address
        self._pool = pool
        self._worker_id = worker_id
        self._trust = trust.total_seconds()
        self._on_wake = on_wake
        self._on_told = on_told
        self._on_change = on_change
        self._channel = channel
        self._proved_at = float("-inf")
        self._heard = asyncio.Event()
        self._told_up: bool | None = None

    @property
    def proved(self) -> bool:
        return time.monotonic() - self._proved_at < self._trust

    async def run(self) -> None:
        """Listen until cancelled, through any trouble; where LISTEN cannot work, look again from time to time."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                if await is_deaf(self._address):
                    self._lost(DEAF)
                    await asyncio.sleep(LOOK_AGAIN)
                    self._address.route.deaf = None
                    continue
                await self.listen_once()
                backoff = FIRST_BACKOFF
            except DatabaseTrouble as trouble:
                self._lost(str(trouble))
            await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def listen_once(self) -> None:
        """Connect, listen, prove it, and return when the connection has closed or gone deaf."""
        session = await self._address.connect()
        try:
            await session.listen(self._channel, self._woken)
            await session.listen(own_channel(self._worker_id), self._told)
            await self._prove()
            self._tell(up=True)
            await self._stay(session)
            why = "the connection closed" if session.closed else "no proof came back in time"
        finally:
            await session.close()
        self._lost(why)

    async def prove(self) -> None:
        """Send a proof: for who sends no heartbeats, which carry them."""
        await self._pool.rows(PROVE, self._worker_id, PROOF)

    async def _prove(self) -> None:
        self._heard.clear()
        await self.prove()
        with anyio.move_on_after(FIRST_PROOF):
            await self._heard.wait()
            return
        if self._address.pooled:
            self._address.route.deaf = None  # a stall, or another pooler than it was: look anew
            raise DatabaseTrouble(
                Trouble.LOST, f"LISTEN did not hear through the pooler within {FIRST_PROOF:g} s"
            )
        raise DatabaseTrouble(
            Trouble.LOST,
            f"LISTEN at {masked_url(self._address.url)} did not hear within {FIRST_PROOF:g} s what was sent through DATABASE_URL; "
            "is DATABASE_DIRECT_URL a server of the same database?",
        )

    async def _stay(self, session: Session) -> None:
        closed = asyncio.Event()
        session.connection.add_termination_listener(lambda _connection: closed.set())
        while self.proved and not session.closed:
            with anyio.move_on_after(self._trust / 3):
                await closed.wait()
                return

    def _lost(self, why: str) -> None:
        self._proved_at = float("-inf")
        self._tell(up=False, why=why)

    def _tell(self, *, up: bool, why: str = "") -> None:
        if self._told_up is not up:
            self._told_up = up
            self._on_change(up, why)

    def _woken(self, _connection: object, _pid: int, _channel: str, queue: object) -> None:
        self._on_wake(str(queue))

    def _told(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        if message == PROOF:
            self._proved_at = time.monotonic()
            self._heard.set()
        else:
            self._on_told(str(message))
