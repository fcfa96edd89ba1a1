"""Streams of real web processes."""

import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import anyio
import pytest

from process.pillar import App, ready_app, told
from saying import speaking
from sse import Events, following

TOKEN = "operate-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def web(db: str, folder: Path) -> AbstractAsyncContextManager[App]:
    return ready_app(folder, db, "web", HOST="127.0.0.1", PORT="0", PILLARS_TOKEN=TOKEN)


@pytest.mark.slow
async def test_a_process_with_fifty_open_streams_ends_promptly_and_tells_them(
    db: str, tmp_path: Path
) -> None:
    ended: list[Events] = []

    async def follow(path: str, begun: anyio.Semaphore) -> None:
        async with following(path, headers=BEARER) as events:
            assert (await events.next() or [""])[0] == "state"
            begun.release()
            assert await events.next() is None
            ended.append(events)

    async with AsyncExitStack() as stack:
        speaker = await stack.enter_async_context(speaking(db, 5))
        served = await stack.enter_async_context(web(db, tmp_path))
        [line] = told(served, "web.ready")
        group = await stack.enter_async_context(anyio.create_task_group())
        begun = anyio.Semaphore(0)
        for number in range(50):
            path = f"{line['url']}/api/jobs/{speaker.job_ids[number % 5]}/stream"
            group.start_soon(follow, path, begun)
        for _ in range(50):
            await begun.acquire()
        started = time.monotonic()
        served.process.terminate()
        assert await served.ended() == 0
        took = time.monotonic() - started
    assert len(ended) == 50
    assert all("closing" in one.comments for one in ended)
    assert took < 5, took
    assert '"level":"error"' not in served.output


async def test_a_stream_goes_on_at_another_process_when_its_own_ends(
    db: str, tmp_path: Path
) -> None:
    async with (
        speaking(db) as speaker,
        web(db, tmp_path) as one,
        web(db, tmp_path) as other,
    ):
        path = f"/api/jobs/{speaker.job_ids[0]}/stream"
        await speaker.say(3)
        [line] = told(one, "web.ready")
        async with following(f"{line['url']}{path}", headers=BEARER) as events:
            got = await events.said(3)
            one.process.kill()
            await speaker.say(3)
        [line] = told(other, "web.ready")
        async with following(
            f"{line['url']}{path}", last_id=events.last_id, headers=BEARER
        ) as events:
            got += await events.said(3)
        assert got == [1, 2, 3, 4, 5, 6]
