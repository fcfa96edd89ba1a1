"""A release rolls: the old processes go on while the schema changes under them, then beside the new ones; nothing is lost or done twice."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx2
import pytest

from process.dev import free_port
from process.pillar import PROJECT, App, app, ready_app, told
from process.releases import following, previous
from process.work import lines
from support import ask, asking, tell, until

pytestmark = pytest.mark.slow
HELD = 10  # jobs that a worker runs at once here
ENQUEUE = "select pillars.enqueue($1, $2)"


class Traffic:
    """Short jobs, enqueued one after another by SQL and by a release's web, for as long as the block lasts."""

    def __init__(self, db: str, address: str) -> None:
        self.db = db
        self.address = address
        self.job_ids = set[str]()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator["Traffic"]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._by_sql)
            group.start_soon(self._by_web)
            yield self
            group.cancel_scope.cancel()

    async def _by_sql(self) -> None:
        async with asking(self.db) as connection:
            while True:
                number = json.dumps({"number": len(self.job_ids)})
                with anyio.CancelScope(shield=True):  # what was acknowledged is counted
                    self.job_ids.add(str(await connection.fetchval(ENQUEUE, "quick", number)))
                await anyio.sleep(0.01)

    async def _by_web(self) -> None:
        job = {"name": "quick", "payload": {"number": 1}}
        async with httpx2.AsyncClient(base_url=self.address, timeout=30) as client:
            while True:
                with anyio.CancelScope(shield=True):
                    answer = await client.post("/api/jobs", json=job)
                    assert answer.status_code == 201, answer.text
                    self.job_ids.add(answer.json()["job_id"])
                await anyio.sleep(0.01)

    async def are_done(self) -> bool:
        """Whether all that were enqueued so far have completed, at their first try."""
        complete = "select count(*) from pillars.finished_jobs where state = 'completed' and attempt = 1 and crashes = 0 and job_id::text = any($1)"
        return bool(await ask(self.db, complete, list(self.job_ids)) == len(self.job_ids))

    async def more_done(self, count: int) -> None:
        """Return once so many more have completed than now."""
        done = "select count(*) from pillars.finished_jobs where name = 'quick'"
        before = await ask(self.db, done)
        await until(lambda: _reached(self.db, done, before + count))


async def _reached(db: str, sql: str, count: int) -> bool:
    return bool(await ask(db, sql) >= count)


async def hold(db: str, log: Path, gate: Path, count: int = HELD) -> None:
    for _ in range(count):
        await ask(db, ENQUEUE, "hold", json.dumps({"log": str(log), "until": str(gate)}))


async def extended(db: str) -> None:
    """Return once the locks that there are have been extended by a heartbeat."""
    until_when = await ask(db, "select max(expires_at) from pillars.locks")
    beaten = "select count(*) from pillars.locks where expires_at > $1"
    await until(lambda: ask(db, f"select ({beaten}) > 0", until_when))


async def ticked(db: str, count: int) -> None:
    """Return once so many more ticks have made their job."""
    ticks = "select count(*) from pillars.ticks tick join pillars.all_jobs job using (job_id)"
    before = await ask(db, ticks)
    await until(lambda: _reached(db, ticks, before + count))


async def began(log: Path, by: App) -> int:
    return len([line for line in lines(log, "began") if line[-1] == str(by.process.pid)])


async def run(folder: Path, db: str, *words: str, **release: str) -> str:
    """Run a command to its end; returns what it printed."""
    with app(folder, db, *words, project=PROJECT, **release) as command:
        assert await command.ended() == 0, command.output
        return command.output


@dataclass(frozen=True)
class Fleet:
    """What one release runs."""

    web: App
    worker: App
    cron: App
    address: str

    async def stop(self) -> None:
        all_of_it = (self.web, self.worker, self.cron)
        for one in all_of_it:
            one.signal(signal.SIGTERM)
        for one in all_of_it:
            assert await one.ended() == 0, one.output
            assert told(one, "database.lost") == []


async def released(held: AsyncExitStack, folder: Path, db: str, release: dict[str, str]) -> Fleet:
    """The processes of a release, ready."""
    port = str(free_port())

    async def started(words: str, **environ: str) -> App:
        environ |= release
        return await held.enter_async_context(
            ready_app(folder, db, words, project=PROJECT, **environ)
        )

    return Fleet(
        await started("web", HOST="127.0.0.1", PORT=port),
        await started("worker", PILLARS_CONCURRENCY=str(HELD)),
        await started("cron"),
        f"http://127.0.0.1:{port}",
    )


async def test_the_previous_release_goes_on_while_the_schema_changes_and_beside_the_next(
    empty_db: str, tmp_path: Path
) -> None:
    db, log = empty_db, tmp_path / "runs"
    old_release, new_release = previous(tmp_path / "old"), following(tmp_path / "new")
    before, both = tmp_path / "before", tmp_path / "both"
    await run(tmp_path, db, "migrate", **old_release)
    async with AsyncExitStack() as held:
        old = await released(held, tmp_path, db, old_release)
        async with Traffic(db, old.address).flowing() as traffic:
            await hold(db, log, before, HELD // 2)
            await until(lambda: len(lines(log, "began")) == HELD // 2)
            await traffic.more_done(20)
            said = await run(tmp_path, db, "migrate", **new_release)
            assert "applied pillars" in said
            assert "applied app" in said
            # Alone, on a schema that is newer than its code.
            await traffic.more_done(50)
            await extended(db)
            await ticked(db, 2)
            await ends_in_each_way(db, old.address)
        new = await released(held, tmp_path, db, new_release)
        async with Traffic(db, new.address).flowing() as more:
            before.touch()
            await until(lambda: len(lines(log, "ended")) == HELD // 2)
            await hold(db, log, both, 2 * HELD)
            await until(lambda: len(lines(log, "began")) == HELD // 2 + 2 * HELD)
            assert await began(log, by=old.worker) == HELD // 2 + HELD
            assert await began(log, by=new.worker) == HELD
            both.touch()
            await more.more_done(50)
            await ticked(db, 2)
            await old.stop()
            await more.more_done(50)
            await ticked(db, 2)
        await until(traffic.are_done)
        await until(more.are_done)
        await until(lambda: ask(db, "select count(*) = 0 from pillars.jobs where name <> 'ping'"))
        await new.stop()
    await was_done_once(db, log)


async def ends_in_each_way(db: str, address: str) -> None:
    """A job that fails, and fails again when it is run again; one that is cancelled; one that expires: on rows of the new shape."""
    failing = await ask(
        db, """select pillars.enqueue('quick', '{"number": "none"}', max_attempts => 1)"""
    )
    await until(lambda: ended_as(db, failing, "failed"))
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        answer = await client.post(f"/api/jobs/{failing}/retry")
        assert answer.status_code == 200, answer.text
    await until(lambda: ended_as(db, failing, "failed"))
    later = "select pillars.enqueue('quick', run_at => now() + interval '1 day')"
    cancelled, expired = await ask(db, later), await ask(db, later)
    assert await ask(db, "select pillars.cancel($1)", cancelled) == "cancelled"
    await tell(db, "update pillars.jobs set expires_at = now() where job_id = $1", expired)
    await until(lambda: ended_as(db, expired, "expired"))
    assert await ended_as(db, cancelled, "cancelled")


async def ended_as(db: str, job_id: object, state: str) -> bool:
    found = "select exists (select from pillars.finished_jobs where job_id = $1 and state = $2)"
    return bool(await ask(db, found, job_id, state))


async def was_done_once(db: str, log: Path) -> None:
    """Every job that was held began and ended once; every tick made one job; no lock is left."""
    began_ids = [line[1] for line in lines(log, "began")]
    assert len(set(began_ids)) == len(began_ids) == len(lines(log, "ended"))
    assert await done_at_first(db, "hold") == len(began_ids)
    assert await ask(db, "select count(*) from pillars.locks") == 0
    assert await ask(
        db, "select count(*) = count(distinct job_id) and count(*) > 0 from pillars.ticks"
    )
    assert await ask(db, "select count(*) from pillars.attempts where outcome = 'crashed'") == 0


async def done_at_first(db: str, name: str) -> int:
    return int(
        await ask(
            db,
            "select count(*) from pillars.finished_jobs where name = $1 and state = 'completed' and attempt = 1 and crashes = 0",
            name,
        )
    )


async def test_a_process_of_the_previous_release_that_starts_on_the_next_schema_is_refused(
    db: str, tmp_path: Path
) -> None:
    release = following(tmp_path / "new")
    await run(tmp_path, db, "migrate", **release)
    for words in ("worker", "cron", "migrate"):
        with app(tmp_path, db, words) as refused:
            assert await refused.ended() == 1
        assert "the database is newer than this code: it has pillars" in refused.output
        assert "deploy the release that has it" in refused.output
    async with ready_app(tmp_path, db, "worker", project=PROJECT, **release):
        await ask(db, ENQUEUE, "quick", '{"number": 1}')
        await until(lambda: ask(db, "select count(*) = 1 from pillars.finished_jobs"))
