"""Run the acceptance stories on real settings (a lock of 30 s) and print what was seen.

    python deploy/accept.py            all of them, about half an hour
    python deploy/accept.py kill idle  those whose name contains a word

Each story starts real processes on a real Postgres of its own. A story that does not hold raises, and the run ends with 1.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx2

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from callers import KINDS  # noqa: E402
from deploy import accept_control  # noqa: E402
from deploy.staging import LOCK, Story, database, running, say  # noqa: E402
from pillars import connect, embedded, enqueue_many, job  # noqa: E402
from process.pillar import PROJECT, app  # noqa: E402
from support import ask, tell, until  # noqa: E402

JOBS = 50
SWEEP, LEEWAY = 5, 5  # seconds
TICKS_FOR = timedelta(minutes=10)
FREEZES, FROZEN = 5, 20  # times, seconds
IDLE_FOR = timedelta(minutes=5)
PATIENCE = 120.0  # seconds


@job(name="hold", max_crashes=10)
async def hold(log: str, until: str) -> None: ...


@job(name="block")
async def block(log: str, seconds: float) -> None: ...


@job(name="quick")
async def quick(number: int) -> int:
    return number


def lines(log: Path, word: str) -> list[str]:
    return (
        [line for line in log.read_text().splitlines() if line.startswith(word)]
        if log.exists()
        else []
    )


async def finished(url: str, count: int) -> bool:
    return bool(await ask(url, "select count(*) = $1 from pillars.finished_jobs", count))


async def clone_and_first_upload(folder: Path) -> None:
    """A fresh clone with only Python reaches ready and a first processed upload by README's command."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    command = re.findall(
        r"```sh\n(python3 -m venv.*app dev)\n```", (clone / "README.md").read_text()
    )[0]
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIRTUAL_ENV", "PYTHON"))
    }
    output = folder / "dev.out"
    began = time.monotonic()
    with output.open("wb") as stream:
        dev = subprocess.Popen(f"exec sh -c '{command}'", shell=True, cwd=clone, env={**environ, "PORT": "8765"},
                               stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    try:
        await until(
            lambda: "ready http" in output.read_text() or dev.poll() is not None, within=300
        )
        say(f"ready after {time.monotonic() - began:.1f} s, environment included")
        await first_upload("http://127.0.0.1:8765")
        stopped = time.monotonic()
        os.killpg(dev.pid, signal.SIGINT)
        await until(lambda: dev.poll() is not None)
        say(f"Ctrl-C: all pillars gone after {time.monotonic() - stopped:.1f} s")
        pid_file = next((clone / ".pillars").glob("pg*/data/postmaster.pid"), None)
        await until(lambda: pid_file is None or not pid_file.exists())
        say(f"Postgres gone after {time.monotonic() - stopped:.1f} s in all")
    finally:
        if dev.poll() is None:
            os.killpg(dev.pid, signal.SIGKILL)


async def first_upload(address: str) -> None:
    async with httpx2.AsyncClient(base_url=address, follow_redirects=False) as client:
        files = {
            "file": (
                "orders.csv",
                b"id,total\n" + b"".join(b"%d,%d\n" % (n, n * 2) for n in range(10_000)),
            )
        }
        began = time.monotonic()
        answer = await client.post("/uploads", files=files)
        place = answer.headers.get("location", "/")
        shown = await client.get(place)
        await until(lambda: jobs_done(client), within=60)
        say(
            f"upload {answer.status_code}, page {shown.status_code}, analysed after {time.monotonic() - began:.1f} s"
        )


async def jobs_done(client: httpx2.AsyncClient) -> bool:
    stats = (await client.get("/api/jobs/stats")).json()
    return bool(stats["completed"] >= 3 and stats["pending"] == 0 and stats["processing"] == 0)


async def kill_of_a_worker(folder: Path) -> None:
    """kill -9 of a worker with 50 jobs: each starts elsewhere within lock + sweep + 5 s, recorded once."""
    log, gate = folder / "runs", folder / "gate"
    async with database(folder) as url, running(folder, url, "worker") as first:
        async with connect(url):
            await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
        await until(lambda: len(lines(log, "began")) == JOBS)
        async with running(folder, url, "worker"):
            killed_at = await ask(url, "select now()")
            first.signal(signal.SIGKILL)
            await until(lambda: len(lines(log, "began")) == 2 * JOBS, within=PATIENCE)
            last = await ask(url, "select max(locked_at) from pillars.jobs")
            gate.touch()
            await until(lambda: finished(url, JOBS))
        took = (last - killed_at).total_seconds()
        say(
            f"{JOBS} jobs began elsewhere within {took:.1f} s of the kill (limit {LOCK + SWEEP + LEEWAY})"
        )
        say(
            f"recorded: {await ask(url, 'select count(distinct job_id) from pillars.finished_jobs')}, once each"
        )
        assert took <= LOCK + SWEEP + LEEWAY


async def kill_of_the_leader(folder: Path) -> None:
    """kill -9 of the cron leader: the next tick is fired by a standby, once."""
    async with (
        database(folder) as url,
        running(folder, url, "cron") as first,
        running(folder, url, "cron"),
    ):
        await until(lambda: at_least(url, 3))
        killed_at = await ask(url, "select now()")
        first.signal(signal.SIGKILL)
        await until(lambda: ticked_after(url, killed_at), within=PATIENCE)
        say(
            f"first tick by the standby {await ask(url, 'select min(created_at) - $1 from pillars.ticks where created_at > $1', killed_at)} later"
        )
        await tell_ticks(url)


async def kill_of_postgres(folder: Path) -> None:
    """kill -9 of Postgres under worker and cron in dev: everything resumes by itself within 30 s."""
    environ = {"PILLARS_ENV": "dev", "PILLARS_ROOT": str(folder)}
    with (
        app(folder, None, "worker", project=PROJECT, **environ) as worker,
        app(folder, None, "cron", project=PROJECT, **environ) as cron,
    ):
        await worker.ready()
        await cron.ready()
        cluster = embedded.cluster(folder)
        with embedded.start(cluster) as server:
            url, pid = server.url, server.pid
        await until(lambda: finished_some(url))
        os.kill(pid or 0, signal.SIGKILL)
        began = time.monotonic()
        await until(lambda: finished_some(url, since_start=True), within=30)
        say(f"first job completed {time.monotonic() - began:.1f} s after the kill")
    embedded.stop(cluster)


async def blocked_loop(folder: Path) -> None:
    """A job that blocks the loop for 45 s runs once."""
    log = folder / "runs"
    async with (
        database(folder) as url,
        running(folder, url, "worker"),
        running(folder, url, "worker"),
    ):
        async with connect(url):
            await block.enqueue(str(log), 45.0)
        await until(lambda: finished(url, 1), within=PATIENCE)
        say(
            f"begun {len(lines(log, 'began'))} time, crashes {await ask(url, 'select crashes from pillars.finished_jobs')}"
        )
        assert len(lines(log, "began")) == 1


async def frozen_leaders(folder: Path) -> None:
    """Two cron processes, 10 minutes of 1 s ticks, the leader frozen and thawed five times for 20 s: unique, none missing."""
    async with (
        database(folder) as url,
        running(folder, url, "cron") as one,
        running(folder, url, "cron") as two,
    ):
        pause = TICKS_FOR.total_seconds() / FREEZES - FROZEN
        for _ in range(FREEZES):
            await asyncio.sleep(pause)
            pid = await ask(
                url, "select pid from pillars.workers where leads order by seen_at desc limit 1"
            )
            leader = one if one.process.pid == pid else two
            leader.signal(signal.SIGSTOP)
            await asyncio.sleep(FROZEN)
            leader.signal(signal.SIGCONT)
            say(
                f"froze {pid} for {FROZEN} s; {await ask(url, 'select count(*) from pillars.ticks')} ticks so far"
            )
        await asyncio.sleep(5)
        await tell_ticks(url)


async def stop_under_load(folder: Path) -> None:
    """SIGTERM under load: exit 0, no row left locked, attempts given back; the time beyond the drain."""
    log, gate = folder / "runs", folder / "gate"
    async with (
        database(folder) as url,
        running(folder, url, "worker", PILLARS_DRAIN="5s") as worker,
    ):
        async with connect(url):
            await enqueue_many(hold.call(str(log), str(gate)) for _ in range(JOBS))
            await enqueue_many(quick.call(number) for number in range(20_000))
        await until(lambda: len(lines(log, "began")) == JOBS)
        began = time.monotonic()
        worker.signal(signal.SIGTERM)
        code = await worker.ended()
        say(f"exit {code}, {time.monotonic() - began - 5:.2f} s beyond the drain of 5 s")
        locked = await ask(url, "select count(*) from pillars.jobs where locked_by is not null")
        given_back = await ask(
            url,
            "select count(*) from pillars.jobs where name = 'hold' and attempt = 0 and crashes = 0",
        )
        say(f"rows left locked: {locked}; running jobs given back unharmed: {given_back} of {JOBS}")
        assert (code, locked, given_back) == (0, 0, JOBS)


async def rolled_back(folder: Path) -> None:
    """A rolled-back transaction leaves no job; an open cancel hurts no other job."""
    async with database(folder) as url, connect(url):
        for name, kind in KINDS.items():
            with suppress(ZeroDivisionError):
                async with kind(url) as caller:
                    await caller.enqueue(quick, 1)
                    await caller.tell("select pillars.enqueue('quick', '{}')")
                    raise ZeroDivisionError
            left = await ask(url, "select count(*) from pillars.jobs")
            say(f"{name}: {left} jobs left, of one enqueue and one plain SQL")
            assert left == 0
        connection = await asyncpg.connect(url)
        cancelled = await quick.enqueue(1)
        await connection.execute("begin")
        await connection.execute("select pillars.cancel($1)", cancelled.job_id)
        async with running(folder, url, "worker"):
            results = [
                await handle.result(timeout="20s")
                for handle in await enqueue_many(quick.call(n) for n in range(100))
            ]
        await connection.execute("rollback")
        await connection.close()
        say(f"{len(results)} jobs completed beside the open cancel")


async def idle(folder: Path) -> None:
    """An idle system without schedules for 5 minutes: no log line, under 0.5 statements a second for each process."""
    empty = folder / "empty"
    empty.mkdir()
    async with database(folder) as url:
        await tell(url, "create extension pg_stat_statements")
        with (
            app(folder, url, "worker", project=empty) as worker,
            app(folder, url, "cron", project=empty) as cron,
            app(folder, url, "web", project=empty, PORT="8766") as web,
        ):
            for one in (worker, cron, web):
                await one.ready()
            await asyncio.sleep(40)  # the poll has stretched
            said = [one.output for one in (worker, cron, web)]
            await tell(url, "select pg_stat_statements_reset()")
            await asyncio.sleep(IDLE_FOR.total_seconds())
            calls = await ask(
                url, "select sum(calls) from pg_stat_statements where query not like '%pg_stat%'"
            )
            rate = float(calls) / IDLE_FOR.total_seconds()
            say(
                f"{calls} statements in {IDLE_FOR}: {rate:.2f} a second by three processes, {rate / 3:.2f} each"
            )
            new = "".join(
                one.output[len(before) :]
                for one, before in zip((worker, cron, web), said, strict=True)
            )
            say(f"log lines meanwhile: {new.strip() or 'none'}")
            assert not new, "an idle process logs nothing"
            assert rate / 3 < 0.5


async def at_least(url: str, count: int) -> bool:
    return bool(await ask(url, "select count(*) >= $1 from pillars.ticks", count))


async def ticked_after(url: str, moment: object) -> bool:
    return bool(
        await ask(url, "select exists (select from pillars.ticks where created_at > $1)", moment)
    )


async def tell_ticks(url: str) -> None:
    count, span, jobs = await ask(
        url,
        "select (count(*), extract(epoch from max(tick) - min(tick))::int, count(job_id)) from pillars.ticks",
    )
    say(f"{count} ticks over {span} s, each once ({jobs} jobs); missing {span + 1 - count}")
    assert span + 1 == count == jobs


async def finished_some(url: str, *, since_start: bool = False) -> bool:
    try:
        where = "where finished_at > pg_postmaster_start_time()" if since_start else ""
        return bool(await ask(url, f"select count(*) > 2 from pillars.finished_jobs {where}"))
    except (OSError, asyncpg.PostgresError):
        return False


STORIES: tuple[Story, ...] = (
    clone_and_first_upload, kill_of_a_worker, kill_of_the_leader, kill_of_postgres, blocked_loop, stop_under_load, rolled_back,
    *accept_control.STORIES, idle, frozen_leaders,
)  # fmt: skip


def main(words: list[str]) -> int:
    """Run the stories that were asked for; returns 1 where one does not hold."""
    failed = 0
    for story in STORIES:
        if words and not any(word in story.__name__ for word in words):
            continue
        print(f"{story.__name__}: {story.__doc__}", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="pillars-accept-"))
        folder.chmod(0o711)
        try:
            asyncio.run(story(folder))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - the other stories are worth running all the same
            failed += 1
            print(f"    DOES NOT HOLD: {type(error).__name__}: {error}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
