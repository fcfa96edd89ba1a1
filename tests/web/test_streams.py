"""Streams over HTTP: what a browser is told, and when it is let go."""

import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import httpx2
import pytest

from pillars.errors import DatabaseTrouble, Trouble
from pillars.service.process import Process
from pillars.store import job_events
from pillars.store.database import Database
from pillars.store.streams import past
from pillars.web.streams import endpoints, response
from saying import speaking
from sse import following, web
from stepping import define, put_one
from support import ask, tell, until

Make = Callable[..., Process]


async def test_a_job_is_followed_to_its_end(process_with: Make, db: str) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        [job_id] = speaker.job_ids
        await speaker.say(1, kind="progress", body={"done": 1, "total": 2})
        async with following(f"{url}/api/jobs/{job_id}/stream") as events:
            headers = events.response.headers
            assert headers["content-type"] == "text/event-stream"
            assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
            state = {"job_id": str(job_id), "name": "work", "state": "running", "attempt": 1}
            assert await events.next() == ("state", state)
            name, said = await events.next() or ("", {})
            assert (name, said.pop("at")[-1]) == ("progress", "Z")
            assert said == {"job_id": str(job_id), "attempt": 1, "body": {"done": 1, "total": 2}}
            assert events.retry == "2000"
            await speaker.say(1, kind="log", body={"message": "hello"})
            assert (await events.next() or [""])[0] == "log"
            await speaker.end(result='{"n": 1}')
            last = await events.until()
            assert [one for one, _ in last] == ["result", "state", "end"]
            assert last[0][1] == {"job_id": str(job_id), "result": {"n": 1}}
            assert last[1][1] == {**state, "state": "completed", "last_error": None}
            reached = events.last_id
        async with following(f"{url}/api/jobs/{job_id}/stream", last_id=reached) as events:
            assert events.response.status_code == 204


async def test_a_job_that_said_nothing_and_has_ended_is_told_once(
    process_with: Make, db: str
) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        await speaker.end(state="failed", error="boom password=hunter2hunter2")
        async with following(path) as events:
            [(_, state), (end, _)] = await events.until()
            assert end == "end"
            assert (state["state"], state["last_error"]) == ("failed", "boom password=[redacted]")
        async with following(path, last_id=events.last_id) as events:
            assert events.response.status_code == 204


async def test_who_was_away_when_a_job_ended_hears_how(process_with: Make, db: str) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        await speaker.say(1)
        async with following(path) as events:
            await events.said(1)
            reached = events.last_id
        await speaker.end(result='{"n": 1}')
        async with following(path, last_id=reached) as events:
            assert [one for one, _ in await events.until()] == ["result", "state", "end"]
        async with following(path, last_id=events.last_id) as events:
            assert events.response.status_code == 204


async def test_a_stream_of_many_goes_on_though_one_has_left_no_row(
    process_with: Make, db: str
) -> None:
    async with web(process_with()) as url, speaking(db, 2) as speaker:
        gone, there = speaker.job_ids
        path = f"{url}/api/streams?job={gone}&job={there}"
        await speaker.say(2)
        async with following(path) as events:
            await events.said(2)
        await tell(db, "delete from pillars.jobs where job_id = $1", gone)
        async with following(path, last_id=events.last_id) as events:
            await speaker.end(speaker.held[1])
            told = [data for name, data in await events.until() if name == "state"]
        states = {one["job_id"]: one["state"] for one in told}
        assert states == {str(gone): "unknown", str(there): "completed"}


async def test_secrets_that_a_job_says_are_hidden(process_with: Make, db: str) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        await speaker.say(1, body={"token": "hunter2hunter2", "n": 1})
        await speaker.end(result='{"password": "hunter2hunter2"}')
        async with following(f"{url}/api/jobs/{speaker.job_ids[0]}/stream") as events:
            told = await events.until()
    assert told[0][1]["body"] == {"token": "[redacted]", "n": 1}
    assert "hunter2" not in str(told)


async def test_connections_that_break_off_cost_no_event_and_repeat_none(
    process_with: Make, db: str
) -> None:
    whole, got = 600, list[int]()

    async def follow(path: str) -> None:
        last_id: str | None = None
        while len(got) < whole:
            async with following(path, last_id=last_id) as events:
                got.extend(await events.said(min(7, whole - len(got))))
                last_id = events.last_id

    async with (
        web(process_with()) as url,
        speaking(db) as speaker,
        anyio.create_task_group() as group,
    ):
        group.start_soon(follow, f"{url}/api/jobs/{speaker.job_ids[0]}/stream")
        for _ in range(whole // 5):
            await speaker.say(5)
            await anyio.sleep(0.002)
    assert got == list(range(1, whole + 1))


async def test_two_web_processes_tell_the_same_under_the_same_ids(
    process_with: Make, db: str
) -> None:
    async with AsyncExitStack() as stack:
        urls = []
        for _ in range(2):
            process = process_with()
            process.database = await stack.enter_async_context(Database(db).opened())
            urls.append(await stack.enter_async_context(web(process)))
        speaker = await stack.enter_async_context(speaking(db))
        path = f"/api/jobs/{speaker.job_ids[0]}/stream"
        got: list[Any] = []
        last_id = None
        for turn in range(6):
            await speaker.say(3)
            async with following(urls[turn % 2] + path, last_id=last_id) as events:
                got += await events.said(3)
                last_id = events.last_id
    assert got == list(range(1, 19))


@pytest.mark.parametrize("last_id", ["abc", "99999999999999999999", "-1", "9223372036854775807"])
async def test_who_cannot_go_on_is_told_and_begins_anew(
    process_with: Make, db: str, last_id: str
) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        await speaker.say(2)
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        async with following(path, last_id=last_id) as events:
            name, data = await events.next() or ("", {})
            assert name == "reset"
            assert data["reason"]
            assert await events.said(2) == [1, 2]


async def test_a_long_story_is_cut_and_says_so(
    process_with: Make, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "NEWEST", 5)
    async with web(process_with()) as url, speaking(db) as speaker:
        await speaker.say(8)
        [job_id] = speaker.job_ids
        async with following(f"{url}/api/jobs/{job_id}/stream") as events:
            assert await events.next() == ("cut", {"job_id": str(job_id), "left_out": True})
            assert await events.said(5) == [4, 5, 6, 7, 8]
        first = await ask(db, "select min(event_id) from pillars.job_events")
        async with following(f"{url}/api/jobs/{job_id}/stream?after={first}") as events:
            assert await events.said(7) == [2, 3, 4, 5, 6, 7, 8]


async def test_many_topics_come_on_one_connection(
    process_with: Make, database: Database, db: str
) -> None:
    async with (
        web(process_with()) as url,
        speaking(db, 2, name="a", tags=["red"]) as red,
        speaking(db, 2, name="b") as blue,
        speaking(db, 1, name="c") as other,
    ):
        query = f"job={blue.job_ids[0]}&job={blue.job_ids[1]}&tag=red"
        async with following(f"{url}/api/streams?{query}") as events:
            await until(lambda: bool(database.streams._wide))
            for one in (red, blue, other):
                await one.say(2)
            told: list[Any] = []
            while len([one for one in told if "body" in one[1]]) < 4:
                told.append(await events.next())
        ids = {str(one) for one in (*red.job_ids, *blue.job_ids)}
        assert {one["job_id"] for _, one in told if "body" in one} == ids


async def test_a_stream_of_jobs_ends_once_all_have(process_with: Make, db: str) -> None:
    async with web(process_with()) as url, speaking(db, 2) as speaker:
        query = "&".join(f"job={one}" for one in speaker.job_ids)
        async with following(f"{url}/api/streams?{query}") as events:
            await speaker.end(speaker.held[0])
            told = [await events.next() for _ in range(3)]
            assert [one[1]["state"] for one in told if one] == ["running", "running", "completed"]
            await speaker.end(speaker.held[1])
            assert [one for one, _ in await events.until()] == ["state", "end"]


async def test_the_newest_unfinished_job_of_a_name_is_followed(process_with: Make, db: str) -> None:
    await define(db, "jobs.mail.send")
    async with web(process_with()) as url, httpx2.AsyncClient() as client:
        none = await client.get(f"{url}/api/tasks/jobs.mail.send")
        assert (none.status_code, "is unfinished" in none.text) == (404, True)
        near = await client.get(f"{url}/api/tasks/jobs.mail.sent")
        assert "did you mean" in near.json()["detail"]
        await put_one(db, name="jobs.mail.send")
        newest = await put_one(db, name="jobs.mail.send")
        async with following(f"{url}/api/tasks/jobs.mail.send") as events:
            name, state = await events.next() or ("", {})
            assert (name, state["job_id"], state["state"]) == ("state", str(newest), "ready")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("jobs=x", 400),
        ("name=%20", 400),
        ("job=x", 404),
        ("tag=a&after=x", 400),
        ("&".join(f"tag=t{number}" for number in range(101)), 400),
        ("job=01890a5d-ac96-774b-bcce-b302099a8057", 404),
    ],
)
async def test_topics_that_cannot_be_are_refused(
    client: httpx2.AsyncClient, query: str, status: int
) -> None:
    response = await client.get(f"/api/streams?{query}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_head_is_answered_without_a_stream(client: httpx2.AsyncClient) -> None:
    response = await client.head("/api/streams?tag=a")
    assert (response.status_code, response.content) == (200, b"")


async def test_a_page_of_another_site_holds_no_stream_of_this_machine(
    client: httpx2.AsyncClient, db: str
) -> None:
    same = {"sec-fetch-site": "same-origin"}
    for path in ("/api/streams?tag=a", f"/dashboard/jobs/{await put_one(db)}/news"):
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 403
            assert not [one for one in answer.headers if one.startswith("access-control")]
        assert (await client.head(path, headers=same)).status_code == 200


async def test_an_idle_stream_is_kept_alive_and_moves_on(
    process_with: Make, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "KEEP_ALIVE", 0.1)
    async with (
        web(process_with()) as url,
        speaking(db) as speaker,
        speaking(db) as other,
        following(f"{url}/api/jobs/{speaker.job_ids[0]}/stream") as events,
        anyio.create_task_group() as group,
    ):
        assert (await events.next() or [""])[0] == "state"
        await other.say(5)
        newest = await ask(db, "select max(event_id) from pillars.job_events")
        group.start_soon(events.next)
        await until(lambda: events.last_id == str(newest) and "keep-alive" in events.comments)
        group.cancel_scope.cancel()


async def test_a_reader_that_leaves_is_forgotten_at_once(
    process_with: Make, database: Database, db: str
) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        async with following(path) as events:
            await events.next()
            assert len(database.streams) == 1
        begun = time.monotonic()
        await until(lambda: len(database.streams) == 0)
        assert time.monotonic() - begun < 3


async def test_a_reader_that_is_too_slow_is_told_and_loses_nothing(
    process_with: Make, db: str
) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        place = urlsplit(url)
        path = f"/api/jobs/{speaker.job_ids[0]}/stream"
        with socket.create_connection((place.hostname, place.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
            slow.setblocking(False)
            told = b""
            with anyio.fail_after(20):
                await speaker.say(1)
                while b"event: output" not in told:
                    await anyio.wait_readable(slow)
                    told += slow.recv(1 << 20)
                for _ in range(40):
                    await speaker.say(100, body="x" * 2000)
                while b"0\r\n\r\n" not in told[-200:]:
                    await anyio.wait_readable(slow)
                    told += slow.recv(1 << 20)
        assert b"event: slow\ndata: {" in told
        last = told.rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
        got = told.count(b"event: output")
        assert 0 < got < 4001
        async with following(url + path, last_id=last) as events:
            assert len(await events.said(4001 - got)) == 4001 - got


async def test_streams_beyond_what_a_process_bears_are_put_off(
    process_with: Make, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST", 1)
    async with web(process_with()) as url:
        job_id = await put_one(db)
        async with following(f"{url}/api/jobs/{job_id}/stream") as events:
            await events.next()
            async with following(f"{url}/api/jobs/{job_id}/stream") as refused:
                assert refused.response.status_code == 503
                assert refused.response.headers["retry-after"] == "5"


async def test_a_database_that_is_away_is_told_before_a_stream_begins(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient]
) -> None:
    process = process_with()
    process.database = Database("postgresql://app@127.0.0.1:1/nowhere")
    async with process.database.opened():
        response = await client_of(process).get(f"/api/jobs/{uuid4()}/stream")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_a_database_that_fails_while_the_past_is_read_costs_no_event(
    process_with: Make, db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(past, "PAGE", 10)
    real, turns = job_events.of_jobs, 0

    async def read(*args: Any, **said: Any) -> Any:
        nonlocal turns
        turns += 1
        if turns == 2:
            raise DatabaseTrouble(Trouble.LOST, "cut")
        return await real(*args, **said)

    monkeypatch.setattr(job_events, "of_jobs", read)
    async with web(process_with()) as url, speaking(db) as speaker:
        await speaker.say(25)
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        async with following(path) as events:
            got = await events.said(10)
            assert await events.next() is None
            assert "closing" in events.comments
        async with following(path, last_id=events.last_id) as events:
            got += await events.said(15)
    assert got == list(range(1, 26))
    assert "Traceback" not in "".join(capsys.readouterr())


async def test_streams_survive_a_database_that_cuts_every_connection(
    process_with: Make, db: str
) -> None:
    async with web(process_with()) as url, speaking(db) as speaker:
        path = f"{url}/api/jobs/{speaker.job_ids[0]}/stream"
        async with following(path) as events:
            got = []
            for _ in range(3):
                await speaker.say(2)
                got += await events.said(2)
                await tell(
                    db,
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid() and pid <> $1",
                    speaker.worker.session.connection.get_server_pid(),
                )
            await speaker.say(1)
            got += await events.said(1)
        assert got == [1, 2, 3, 4, 5, 6, 7]
