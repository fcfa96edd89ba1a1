"""A database on several loops: each has connections of its own, which end with it or with the test."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pillars.errors import NotConnected
from pillars.jobs.connected import current, provided
from pillars.store import schedules
from pillars.testing.connections import Connections
from pillars.testing.house import House
from support import PATIENCE, ask

SESSIONS = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'pillars test'"


@pytest.fixture
def connections(db: str, _pillars_house: House) -> Iterator[Connections]:
    made = Connections(db, lambda: _pillars_house.loop)
    yield made
    made.close()


def sessions(db: str) -> int:
    return int(asyncio.run(ask(db, SESSIONS)))


async def use(connections: Connections) -> None:
    database = connections.here()
    assert connections.here() is database
    await schedules.now(database.pool)
    database.wakeups.wake("default")  # goes on beside us, and may be cancelled with the loop


def test_they_end_with_their_loop(db: str, connections: Connections) -> None:
    for _ in range(2):
        asyncio.run(use(connections))
    assert sessions(db) == 0


def test_they_end_with_the_test_on_a_loop_that_stands_still(
    db: str, connections: Connections
) -> None:
    with asyncio.Runner() as runner:
        runner.run(use(connections))
        assert sessions(db) == 1
        connections.close()
        assert sessions(db) == 0


def test_they_end_with_the_test_on_a_loop_that_goes_on_elsewhere(
    db: str, connections: Connections
) -> None:
    used, ended = threading.Event(), threading.Event()

    async def stay() -> None:
        await use(connections)
        used.set()
        await asyncio.to_thread(ended.wait, PATIENCE)

    thread = threading.Thread(target=lambda: asyncio.run(stay()))
    thread.start()
    assert used.wait(PATIENCE)
    connections.close()
    assert sessions(db) == 0
    ended.set()
    thread.join(PATIENCE)


def test_code_without_a_loop_is_given_the_one_beside_the_tests(connections: Connections) -> None:
    with provided(connections.here):
        assert current().loop.is_running()
        assert current() is current()
    with pytest.raises(NotConnected):
        current()
