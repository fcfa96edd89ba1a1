"""`handle.stream()`: what code hears of a job."""

import anyio
import pytest

from pillars import Missed, Said, StateChanged, job
from pillars.errors import NotConnected, UnknownJob
from pillars.store.database import Database
from saying import Speaker, speaking
from stepping import hand
from support import running, tell, until, worker_for


@job(name="work")
async def work() -> None: ...


@job(name="adds")
async def adds(a: int, b: int) -> int:
    return a + b


async def test_code_hears_what_a_job_says_and_how_it_stands(db: str, database: Database) -> None:
    handle = await work.enqueue()
    heard: list[object] = []
    async with hand(db) as worker, anyio.create_task_group() as group:

        async def follow() -> None:
            heard.extend([told async for told in handle.stream()])

        group.start_soon(follow)
        await until(lambda: len(database.streams) == 1)
        speaker = Speaker(worker, await worker.take())
        await speaker.say(2, body={"n": 1})
        await speaker.say(1, kind="progress", body=0.5)
        await speaker.end(state="failed", error="boom")
    said = [one for one in heard if isinstance(one, Said)]
    assert [(one.kind, one.body, one.attempt) for one in said] == [
        ("output", {"n": 1}, 1), ("output", {"n": 1}, 1), ("progress", 0.5, 1),
    ]  # fmt: skip
    assert heard[-1] == StateChanged("failed", 1, "boom")
    assert said[0].event_id < said[1].event_id
    again = [told async for told in handle.stream(after=said[0].event_id)]
    assert again == heard[heard.index(said[1]) :] or again == [*said[1:], heard[-1]]


async def test_a_real_job_is_followed_to_its_end(database: Database) -> None:
    async with running(worker_for(database, adds)):
        handle = await adds.enqueue(1, 2)
        told = [told async for told in handle.stream()]
    assert told[-1] == StateChanged("completed", 1)
    assert await handle.result(timeout="5s") == 3


async def test_secrets_reach_code_as_they_are(db: str, database: Database) -> None:
    async with speaking(db) as speaker:
        await speaker.say(1, body={"password": "hunter2"})
        await speaker.end()
        [said, _] = [told async for told in work.handle(speaker.job_ids[0]).stream()]
        assert isinstance(said, Said)
        assert said.body == {"password": "hunter2"}


async def test_a_slow_reader_hears_everything(db: str, database: Database) -> None:
    async with speaking(db) as speaker:
        stream = work.handle(speaker.job_ids[0]).stream()
        assert await anext(stream) == StateChanged("running", 1)
        for _ in range(5):
            await speaker.say(500)
            await database.streams.read_once()
        await speaker.end()
        told = [one async for one in stream]
    assert [one.body for one in told if isinstance(one, Said)] == list(range(1, 2_501))
    assert told[-1] == StateChanged("completed", 1)


async def test_trouble_with_the_database_is_waited_out(db: str, database: Database) -> None:
    async with speaking(db) as speaker:
        stream = work.handle(speaker.job_ids[0]).stream()
        await anext(stream)
        pid = speaker.worker.session.connection.get_server_pid()
        for number in range(3):
            await tell(
                db,
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() and pid <> $1",
                pid,
            )
            await speaker.say(1)
            told = await anext(stream)
            assert isinstance(told, Said)
            assert told.body == number + 1
        await stream.aclose()
    assert len(database.streams) == 0


async def test_what_is_gone_is_said(db: str, database: Database) -> None:
    with pytest.raises(UnknownJob):
        await anext(work.handle("01890a5d-ac96-774b-bcce-b302099a8057").stream())
    async with speaking(db) as speaker:
        await speaker.say(3)
        await speaker.end()
        await tell(db, "delete from pillars.job_events where body = '1' or body = '2'")
        [missed, *_] = [told async for told in work.handle(speaker.job_ids[0]).stream(after=1)]
        assert isinstance(missed, Missed)


async def test_without_a_database_nothing_is_followed() -> None:
    with pytest.raises(NotConnected):
        work.handle("01890a5d-ac96-774b-bcce-b302099a8057").stream()
