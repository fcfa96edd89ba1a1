"""`app jobs tail` and `app jobs token`."""

import json

import anyio
import pytest

from cli.said import Run, Said
from pillars.jobs.stream_tokens import opened
from pillars.store.streams import Topics
from saying import speaking
from support import ask, until


async def test_what_a_job_has_said_is_printed_with_how_it_stands(app: Run, db: str) -> None:
    async with speaking(db) as speaker:
        await speaker.say(kind="progress", body={"done": 1, "total": 4, "message": "rows"})
        await speaker.say(
            kind="log", body={"level": "info", "event": "hello\x1b[2J", "fields": {"n": 1}}
        )
        await speaker.say(kind="output", body={"name": "page", "data": {"n": 3}})
        await speaker.say(kind="log", body={"stream": "stdout", "line": "as it was"})
        await speaker.say(kind="metadata", body={"token": "hunter2hunter2"})
        said = await app("jobs", "tail", speaker.job_ids[0])
    lines = said.out.splitlines()
    assert lines[0] == "progress 25% 1 of 4 rows"
    assert lines[1].endswith(" info hello\\x1b[2J n=1")
    assert lines[2] == 'page {"n": 3}'
    assert lines[3].endswith(" as it was")
    assert lines[4:] == ['metadata {"token": "[redacted]"}', "running"]


async def test_a_job_that_has_ended_is_printed_to_its_result(app: Run, db: str) -> None:
    async with speaking(db) as speaker:
        await speaker.say(2)
        await speaker.end(result='{"n": 1}')
        said = await app("jobs", "tail", speaker.job_ids[0])
        assert said.out == '1\n2\ncompleted\n{\n  "n": 1\n}\n'
        followed = await app("jobs", "tail", speaker.job_ids[0], "-f")
        assert followed.out == said.out


async def test_json_is_an_object_a_line(app: Run, db: str) -> None:
    async with speaking(db) as speaker:
        await speaker.say(1, body={"password": "hunter2hunter2"})
        await speaker.end(state="failed", error="boom")
        said = await app("jobs", "tail", speaker.job_ids[0], "--json")
    first, last = map(json.loads, said.out.splitlines())
    assert (first["event"], first["body"]) == ("output", {"password": "[redacted]"})
    assert first.keys() == {"event", "id", "job_id", "attempt", "at", "body"}
    about = {"job_id": str(speaker.job_ids[0]), "name": "work", "attempt": 1}
    assert last == {"event": "state", **about, "state": "failed", "last_error": "boom"}


async def test_following_ends_with_the_job(app: Run, db: str) -> None:
    async with speaking(db) as speaker, anyio.create_task_group() as group:
        done: list[Said] = []

        async def follow() -> None:
            done.append(await app("jobs", "tail", speaker.job_ids[0], "-f"))

        group.start_soon(follow)
        await until(lambda: is_listened_to(db))
        await speaker.say(3)
        await speaker.end()
        await until(lambda: bool(done))
        assert done[0].out.removeprefix("running\n") == "1\n2\n3\ncompleted\n"


async def is_listened_to(db: str) -> bool:
    listening = "select exists (select from pg_stat_activity where datname = current_database() and query ilike 'listen%')"
    return bool(await ask(db, listening))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tail", "x"], 2),
        (["tail", "01890a5d-ac96-774b-bcce-b302099a8057"], 1),
        (["run", "nobody"], 1),
    ],
)
async def test_what_is_not_there_is_said(app: Run, words: list[str], code: int) -> None:
    said = await app("jobs", *words, code=code)
    assert said.err.startswith("app: ")


async def test_a_token_is_printed_and_written_down(
    app: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARS_TOKEN", "operate-0123456789")
    async with speaking(db) as speaker:
        said = await app("jobs", "token", speaker.job_ids[0], "--expires-in", "15m")
        grant = opened("operate-0123456789", said.out.strip())
        assert grant is not None
        assert grant.topics == Topics.of(jobs=speaker.job_ids)
    assert await ask(db, "select action from pillars.audit") == "stream.grant"
    assert "pst_" not in await ask(db, "select details::text from pillars.audit")
    monkeypatch.delenv("PILLARS_TOKEN")
    refused = await app("jobs", "token", speaker.job_ids[0], code=2)
    assert "PILLARS_TOKEN is not set" in refused.err
