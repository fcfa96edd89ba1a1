"""Following jobs: nothing is missed, nothing comes twice, whatever happens meanwhile."""

from datetime import timedelta
from uuid import uuid4

import anyio
import pytest

from pillars.errors import UnknownJob
from pillars.store import job_events
from pillars.store.database import Database
from pillars.store.streams import Topics, Turned, hub
from saying import heard, ids, numbers, speaking, states
from stepping import hand, put_one
from support import ask, move_clock, tell, until

LISTENERS = "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"


async def test_a_stream_has_what_was_said_before_then_what_comes_then_the_end(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        await speaker.say(3)
        topics = Topics.of(jobs=speaker.job_ids)
        async with database.streams.stream(topics) as stream:
            assert [one.state for one in stream.standings] == ["running"]
            assert numbers(await heard(stream, 3)) == [1, 2, 3]
            await speaker.say(2)
            assert numbers(await heard(stream, 2)) == [4, 5]
            await speaker.say(1)
            await speaker.end(result='{"n": 6}')
            last = await heard(stream, 2)
            assert (numbers(last), states(last)) == ([6], ["completed"])
            assert last[-1].final.result == '{"n": 6}'  # type: ignore[union-attr]
            assert stream.ended
    assert len(database.streams) == 0


async def test_a_job_that_has_ended_is_told_whole(db: str, database: Database) -> None:
    async with speaking(db) as speaker:
        await speaker.say(3)
        await speaker.end(state="failed", error="boom")
        async with database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream:
            assert not await stream.is_exhausted()
            items = await heard(stream, 4)
            assert (numbers(items), states(items)) == ([1, 2, 3], ["failed"])
            assert stream.ended
            reached = stream.position
        async with database.streams.stream(Topics.of(jobs=speaker.job_ids), after=reached) as again:
            assert await again.is_exhausted()


async def test_a_job_that_ends_with_its_words_unread_is_told_whole(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LIMIT", 10)
    async with (
        speaking(db) as speaker,
        database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream,
    ):
        assert await stream.more(0) == []
        real = database.streams._watch.look

        async def look() -> list[Turned]:
            """What is said and done while it is decided whether to look."""
            await speaker.say(25)
            await speaker.end()
            monkeypatch.setattr(database.streams._watch, "look", real)
            return await real()

        monkeypatch.setattr(database.streams._watch, "look", look)
        items = await heard(stream, 26)
        assert (numbers(items), states(items)) == (list(range(1, 26)), ["completed"])


async def test_nothing_is_missed_or_repeated_while_jobs_talk_and_streams_come_and_go(
    db: str, database: Database
) -> None:
    whole = 3_000
    got: list[int] = []
    seen: list[int] = []

    async def follow(topics: Topics) -> None:
        after: int | None = None
        while len(got) < whole:
            async with database.streams.stream(topics, after=after) as stream:
                assert stream.reset is None
                for _ in range(3):
                    items = await stream.more(1)
                    got.extend(numbers(items))
                    seen.extend(ids(items))
                after = stream.position

    async with speaking(db, 3) as speaker:
        async with anyio.create_task_group() as group:
            group.start_soon(follow, Topics.of(jobs=speaker.job_ids))
            for _ in range(whole // 10):
                await speaker.say(10)
        assert got == list(range(1, whole + 1))
        assert seen == sorted(set(seen))


async def test_what_is_said_while_the_past_is_read_comes_once(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(db) as speaker:
        await speaker.say(5)
        async with database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream:
            real = job_events.of_jobs
            turns = 0

            async def read(*args: object, **said: object) -> object:
                """While each page is on its way more is said, and the hub has read it."""
                nonlocal turns
                turns += 1
                found = await real(*args, **said)  # type: ignore[arg-type]
                await speaker.say(1)
                await database.streams.read_once()
                return found

            monkeypatch.setattr(job_events, "of_jobs", read)
            items = await stream.more(1)
            await speaker.say(1)
            await database.streams.read_once()
            items += await heard(stream, 8 - len(items))
            assert turns == 2
            assert numbers(items) == list(range(1, 9))
            assert await stream.more(0) == []


async def test_several_jobs_come_in_the_order_of_ids_and_resume_by_one_number(
    db: str, database: Database
) -> None:
    async with speaking(db, 3) as speaker:
        await speaker.say(1_300)
        topics = Topics.of(jobs=speaker.job_ids)
        async with database.streams.stream(topics) as stream:
            first = await heard(stream, 1)
            reached = ids(first)[-1]
        async with database.streams.stream(topics, after=reached) as stream:
            rest = await heard(stream, 1_300 - len(first))
        assert numbers(first + rest) == list(range(1, 1_301))


async def test_a_long_story_begins_with_its_newest_part_and_says_so(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        await speaker.say(30)
        topics = Topics.of(jobs=speaker.job_ids)
        async with database.streams.stream(topics, newest=10) as stream:
            assert stream.left_out == speaker.job_ids
            assert numbers(await heard(stream, 10)) == list(range(21, 31))
        async with database.streams.stream(topics, newest=30) as stream:
            assert stream.left_out == []


async def test_all_jobs_of_a_name_or_a_tag_are_followed_and_no_other(
    db: str, database: Database
) -> None:
    async with speaking(db, 2, tags=["red"]) as red, speaking(db, 1, name="blue") as blue:
        topics = Topics.of(names=["blue"], tags=["red"])
        async with (
            speaking(db, 1, name="other") as other,
            database.streams.stream(topics) as stream,
        ):
            assert await stream.more(0) == []
            for one in (red, other, blue):
                await one.say(2)
            items = await heard(stream, 7)
            assert numbers(items) == [1, 2, 1, 2]
            assert states(items) == ["running"] * 3
            await red.end(red.held[0])
            await other.end()
            assert states(await heard(stream, 1)) == ["completed"]
            assert not stream.ended


async def test_a_job_of_a_name_is_found_though_it_says_nothing(db: str, database: Database) -> None:
    async with database.streams.stream(Topics.of(names=["work"])) as stream:
        await stream.more(0)
        job_id = await put_one(db)
        [item] = await heard(stream, 1)
        assert (item.standing.job_id, item.standing.state) == (job_id, "ready")  # type: ignore[union-attr]
        await tell(db, "delete from pillars.jobs")
        assert states(await heard(stream, 1)) == ["unknown"]


async def test_a_name_resumes_after_an_event_without_a_gap(db: str, database: Database) -> None:
    topics = Topics.of(names=["work"])
    async with speaking(db, 2) as speaker, speaking(db, 1, name="other") as other:
        async with database.streams.stream(topics) as stream:
            assert await stream.more(0) == []
            begun = stream.position
        await other.say(3)
        await speaker.say(3)
        async with database.streams.stream(topics, after=begun) as stream:
            assert numbers(await heard(stream, 3)) == [1, 2, 3]


async def test_nobody_goes_on_after_what_is_gone_or_has_never_been(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        await speaker.say(5)
        topics = Topics.of(jobs=speaker.job_ids)
        newest = await ask(db, "select max(event_id) from pillars.job_events")
        async with database.streams.stream(topics, after=newest + 1) as stream:
            assert stream.reset is not None
            assert "ahead" in stream.reset
            assert numbers(await heard(stream, 5)) == [1, 2, 3, 4, 5]
        await tell(db, "delete from pillars.job_events where event_id < $1", newest - 1)
        for after, is_reset in (
            (newest - 3, True),
            (newest - 2, False),
            (newest, False),
            (0, False),
        ):
            async with database.streams.stream(topics, after=after) as stream:
                assert (stream.reset is not None) == is_reset, newest - after
        await tell(db, "delete from pillars.job_events")
        for after, is_reset in ((newest - 1, True), (newest, False)):
            async with database.streams.stream(topics, after=after) as stream:
                assert (stream.reset is not None) == is_reset


async def test_a_job_that_is_none_has_no_stream(db: str, database: Database) -> None:
    with pytest.raises(UnknownJob):
        async with database.streams.stream(Topics.of(jobs=[uuid4()])):
            pass
    assert len(database.streams) == 0


async def test_any_number_of_streams_have_one_connection_that_listens(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        topics = Topics.of(jobs=speaker.job_ids)
        streams = [database.streams.stream(topics) for _ in range(200)]
        for one in streams:
            await one.__aenter__()
            assert await one.more(0) == []
        await until(lambda: database.streams.listening)
        assert await ask(db, LISTENERS) == 1
        await speaker.say(1)
        for one in streams:
            assert numbers(await heard(one, 1)) == [1]
            await one.__aexit__(None, None, None)
        await until(lambda: nobody_listens(db))


async def nobody_listens(db: str) -> bool:
    return bool(await ask(db, LISTENERS) == 0)


async def test_a_cut_connection_is_made_again_and_nothing_is_missed(
    db: str, database: Database
) -> None:
    async with (
        speaking(db) as speaker,
        database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream,
    ):
        assert await stream.more(0) == []
        await until(lambda: database.streams.listening)
        await ask(db, CUT)
        await speaker.say(3)
        assert numbers(await heard(stream, 3)) == [1, 2, 3]
        await until(lambda: database.streams.listening)
        await speaker.say(3)
        assert numbers(await heard(stream, 3)) == [4, 5, 6]


async def test_who_reads_too_slowly_is_told_and_goes_on_where_he_was(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        topics = Topics.of(jobs=speaker.job_ids)
        async with database.streams.stream(topics) as slow:
            assert await slow.more(0) == []
            await speaker.say(3)
            first = await heard(slow, 3)
            await speaker.say(1_500)
            await until(lambda: slow.behind)
            assert await slow.more(1) == []
            after = slow.position
        async with database.streams.stream(topics, after=after) as stream:
            rest = await heard(stream, 1_500)
        assert numbers(first + rest) == list(range(1, 1_504))


async def test_a_history_that_lost_events_is_read_anew(db: str, database: Database) -> None:
    async with speaking(db) as speaker:
        await speaker.say(50)
        async with database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream:
            await heard(stream, 50)
            await tell(db, "delete from pillars.job_events where event_id > 10")
            await tell(db, "select setval('pillars.job_event_ids', 10)")
            database.streams._prove_at = 0.0
            await until(lambda: stream.over)
            reached = stream.position
        async with database.streams.stream(
            Topics.of(jobs=speaker.job_ids), after=reached
        ) as stream:
            assert stream.reset is not None
            assert len(await heard(stream, 10)) == 10


async def test_a_job_that_moves_hosts_goes_on_under_the_same_ids(
    db: str, database: Database
) -> None:
    async with speaking(db) as speaker:
        async with database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream:
            await speaker.say(2)
            items = await heard(stream, 2)
            await speaker.worker.put_back(*speaker.held, outcome="retried", given_back=False)
            items += await heard(stream, 1)
            async with hand(db) as other:
                speaker.worker, speaker.held = other, await other.take()
                await speaker.say(2)
                while len(states(items)) < 2 or len(numbers(items)) < 4:
                    items += await heard(stream, 1)
        assert numbers(items) == [1, 2, 3, 4]
        assert states(items) == ["ready", "running"]
        assert ids(items) == sorted(ids(items))


async def test_what_is_said_past_midnight_is_heard(db: str, database: Database) -> None:
    async with (
        speaking(db) as speaker,
        database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream,
    ):
        await speaker.say(1)
        assert numbers(await heard(stream, 1)) == [1]
        await move_clock(db, timedelta(days=2))
        await speaker.say(1)
        assert numbers(await heard(stream, 1)) == [2]


async def test_streams_end_with_their_database(db: str) -> None:
    database = Database(db)
    database.open()
    async with (
        speaking(db) as speaker,
        database.streams.stream(Topics.of(jobs=speaker.job_ids)) as stream,
    ):
        assert await stream.more(0) == []
        await database.close()
        assert await stream.more(5) == []
        assert stream.over
