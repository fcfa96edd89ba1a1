"""A URL of several servers, connections that are kept alive, and a primary that is lost."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest
import uvloop
from pooling import pooler

from pillars.errors import DatabaseTrouble, Trouble
from pillars.jobs.connected import using
from pillars.jobs.definition import job
from pillars.store.database import Database
from pillars.store.dialling import GONE_AFTER, PROBED_AFTER, PROBED_EVERY, PROBES
from pillars.store.pool import Address
from pillars.store.session import Session
from process.relay import relayed
from relaying import NOBODY, place, relay, several, standby

OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", PROBED_AFTER),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", PROBED_EVERY),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", GONE_AFTER * 1000),
)


@job
async def note() -> None: ...


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Session]:
    session = await address.connect()
    try:
        yield session
    finally:
        await session.close()


def line(session: Session) -> Any:
    """The socket of a connection."""
    connection: Any = session.connection
    return connection._transport.get_extra_info("socket")


async def test_a_dead_server_and_a_standby_are_passed_by(db: str) -> None:
    async with relay(db, standby) as reading, relayed(db) as writing:
        url = several(db, NOBODY, place(reading), place(writing.url))
        address = Address(url)
        async with connected(address) as session:
            assert line(session).getpeername()[1] == writing.port
        assert str(address.route.hosts[0]) == place(writing.url), "the next begins there"
        async with using(Database(url)):
            await note.enqueue()


async def test_one_server_is_taken_as_it_is_unless_writes_are_asked_for(db: str) -> None:
    async with relay(db, standby) as reading:
        async with connected(Address(reading)):
            pass
        with pytest.raises(DatabaseTrouble, match="it takes no writes") as trouble:
            await Address(f"{reading}&target_session_attrs=read-write").connect()
    assert trouble.value.kind is Trouble.READ_ONLY


async def test_what_each_server_said_is_told_in_one_line(db: str) -> None:
    async with relay(db, standby) as reading:
        with pytest.raises(DatabaseTrouble) as trouble:
            await Address(several(db, NOBODY, place(reading))).connect()
    said = str(trouble.value)
    assert trouble.value.kind is Trouble.UNREACHABLE
    assert f"{NOBODY}: " in said
    assert f"{place(reading)}: it takes no writes" in said
    assert "\n" not in said


async def test_a_caller_who_waits_no_longer_leaves_the_silent_server_to_the_last(db: str) -> None:
    """A look at health has less patience than a connection: it would begin with the silent one for ever."""
    async with relayed(db) as silent, relayed(db) as writing:
        silent.blackhole()
        address = Address(several(db, place(silent.url), place(writing.url)))
        with anyio.move_on_after(0.05) as scope:
            await address.connect()
        assert scope.cancelled_caught
        assert str(address.route.hosts[0]) == place(writing.url)
        async with connected(address) as session:
            assert line(session).getpeername()[1] == writing.port


async def test_a_silent_server_leaves_time_for_the_other(db: str) -> None:
    async with relayed(db) as silent, relayed(db) as writing:
        silent.blackhole()
        async with connected(Address(several(db, place(silent.url), place(writing.url)))) as found:
            assert line(found).getpeername()[1] == writing.port


async def test_connections_go_on_where_writes_went_last(db: str) -> None:
    """Also once the first is back: it may be a primary that does not know of its successor."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(relayed(db))
        second = await stack.enter_async_context(relayed(db))
        address = Address(several(db, place(first.url), place(second.url)))
        first.lead_to("postgresql://app@127.0.0.1:1/none")
        async with connected(address):
            pass
        first.lead_to(db)
        async with connected(address) as session:
            assert line(session).getpeername()[1] == second.port


@pytest.mark.needs("pgbouncer")
async def test_of_several_poolers_one_whose_server_takes_writes_is_found(db: str) -> None:
    async with pooler(db) as one:
        address = Address(several(db, NOBODY, place(one.url)))
        async with connected(address) as session:
            assert session.pooled
            assert (
                await session.connection.fetchval("select count(*) from pg_prepared_statements")
                == 0
            )


async def kept_alive(url: str) -> None:
    async with connected(Address(url)) as session:
        for level, name, value in OPTIONS:
            if (option := getattr(socket, name, None)) is not None:
                assert line(session).getsockopt(level, option) == value, name
        for name, value in (("idle", PROBED_AFTER), ("interval", PROBED_EVERY), ("count", PROBES)):
            # 0 is what the server says of the Unix socket that the relay uses; the session's own wish stands in its source.
            asked = await session.connection.fetchval(
                "select source from pg_settings where name = $1", f"tcp_keepalives_{name}"
            )
            assert asked == "client", value


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_every_connection_over_tcp_is_kept_alive_from_both_ends(db: str, run: Any) -> None:
    async def main() -> None:
        async with relayed(db) as relay:
            await kept_alive(relay.url)

    run(main())
