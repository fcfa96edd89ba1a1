"""Jobs in processes of their own: they run, say how they ended, are stopped with all they have started, and leave nothing behind."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from crunching import work
from structlog.testing import capture_logs

from pillars import Handle, JobCancelled, JobFailed
from pillars.jobs.definition import Job
from pillars.store.database import Database
from pillars.worker.attempts import Why
from pillars.worker.pillar import Worker
from stepping import locked_tokens
from support import ask, is_alive, running, until, worker_for

BOTH = pytest.mark.parametrize("sleeping", [work.sleeps, work.sleeps_async])


@asynccontextmanager
async def working(database: Database, **flags: object) -> AsyncIterator[Worker]:
    async with running(worker_for(database, *work.ALL, jobs="crunching", **flags)) as worker:
        yield worker


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def is_in(handle: Handle[Any], state: str) -> bool:
    return await handle.state() == state


async def later_than(db: str, moment: object) -> bool:
    return bool(await ask(db, "select max(expires_at) > $1 from pillars.locks", moment))


def written(path: Path) -> list[int]:
    """What a file has, once it has something."""
    return [int(one) for one in path.read_text().split()] if path.exists() else []


async def test_a_function_runs_in_a_process_that_leads_a_session_of_its_own(
    database: Database,
) -> None:
    async with working(database):
        pid, group, session, _ = await (await work.who.enqueue()).result(timeout="30s")
        assert pid == group == session != os.getpid()


async def test_a_process_serves_one_job_after_another(database: Database) -> None:
    async with working(database, children=1):
        first = await (await work.who.enqueue()).result(timeout="30s")
        assert await (await work.add.enqueue(20, 22)).result(timeout="30s") == 42
        assert await (await work.who.enqueue()).result(timeout="30s") == first
        assert await (await work.awaits.enqueue()).result(timeout="30s") == "crunch.awaits 1"
        assert await (await work.who.enqueue()).result(timeout="30s") == first


async def test_one_that_serves_a_single_job_is_used_once(database: Database) -> None:
    async with working(database, children=1):
        first = await (await work.who_once.enqueue()).result(timeout="30s")
        assert await (await work.who_once.enqueue()).result(timeout="30s") != first
        await until(lambda: not is_alive(first))


async def test_a_process_that_was_killed_while_it_waited_is_not_given_a_job(
    database: Database,
) -> None:
    async with working(database, children=1):
        [first, *_] = await (await work.who.enqueue()).result(timeout="30s")
        os.kill(first, signal.SIGKILL)
        await until(lambda: not is_alive(first))
        assert await (await work.add.enqueue(1, 2)).result(timeout="30s") == 3


async def test_it_reaches_the_database_and_enqueues(database: Database, db: str) -> None:
    async with working(database):
        assert await (await work.asks.enqueue()).result(timeout="30s") == 42
        enqueued = await (await work.enqueues_now.enqueue()).result(timeout="30s")
        assert await work.add.handle(enqueued).result(timeout="30s") == 3
        assert await ask(db, "select count(*) from pillars.all_jobs where name = 'crunch.add'") == 2


async def test_it_may_end_itself_in_a_transaction_of_its_own(database: Database) -> None:
    async with working(database):
        handle = await work.completes.enqueue()
        assert await handle.result(timeout="30s") == "inside"


@pytest.mark.parametrize(
    ("how", "state", "error"),
    [
        ("discard", "failed", "no use"),
        ("retry", "scheduled", "not yet"),
        ("snooze", "scheduled", "asked to run later"),
        ("exit", "failed", "SystemExit: 3"),
        ("die", "failed", "killed by SIGABRT"),
        ("end", "failed", "exit code 0"),
        ("other", "failed", "ValueError: password=[redacted] other"),
    ],
)
async def test_what_it_raises_decides_as_anywhere(
    database: Database, db: str, how: str, state: str, error: str
) -> None:
    attempts = 2 if how in {"retry", "snooze"} else 1
    async with working(database):
        handle = await work.raises.configure(max_attempts=attempts).enqueue(how)
        await until(partial(is_in, handle, state), within=30)
    said = await ask(
        db, "select last_error from pillars.all_jobs where job_id = $1", UUID(handle.job_id)
    )
    assert error in said


async def test_a_traceback_begins_with_the_jobs_own_code(database: Database, db: str) -> None:
    async with working(database):
        handle = await work.raises.enqueue("other")
        await until(partial(is_in, handle, "failed"), within=30)
    told = await ask(
        db, "select traceback from pillars.attempts where job_id = $1", UUID(handle.job_id)
    )
    assert "in raises" in told
    assert "pillars/worker" not in told
    assert "hunter2" not in told


@BOTH
async def test_a_cancelled_job_cleans_up_in_its_process(
    database: Database, tmp_path: Path, sleeping: Job[[str], str]
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s"):
        handle = await sleeping.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        assert await handle.cancel(by="ada")
        with pytest.raises(JobCancelled) as raised:
            await handle.result(timeout="30s")
        assert raised.value.last_error == "cancelled by ada"
        assert path.with_suffix(".end").read_text() == "cleaned up"
        pid = written(path)[0]
        await until(lambda: not is_alive(pid))


async def test_a_process_that_heeds_nothing_is_killed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s", grace="500ms"):
        handle = await work.stubborn.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="30s")
        assert not is_alive(written(path)[0])


@BOTH
async def test_a_paused_process_stands_still_with_slot_and_lock_and_goes_on(
    database: Database, db: str, tmp_path: Path, sleeping: Job[[str], str]
) -> None:
    path = tmp_path / "steps"
    async with working(database, children=1):
        handle = await sleeping.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        assert await handle.pause()
        await until(partial(is_in, handle, "paused"))
        pid, _ = written(path)
        await until(lambda: state_of(pid) == "T")
        [token] = await locked_tokens(db)
        before = written(path)
        for _ in range(2):
            beaten = await ask(db, "select expires_at from pillars.locks")
            await until(partial(later_than, db, beaten), within=30)
        assert written(path) == before
        assert await locked_tokens(db) == [token]
        assert await handle.resume()
        await until(lambda: written(path) != before)
        assert state_of(pid) != "T"
        await handle.cancel()
        await until(partial(is_in, handle, "cancelled"))


async def break_down_while_one_is_held(database: Database, path: Path) -> None:
    async with working(database, lock="90s"):
        handle = await work.stubborn.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        await handle.pause()
        await until(partial(is_in, handle, "paused"))
        raise RuntimeError("the worker breaks down")


async def test_a_worker_that_breaks_down_waits_for_no_process_that_is_held(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    with pytest.raises(ExceptionGroup):
        await break_down_while_one_is_held(database, path)
    assert not is_alive(written(path)[0])


async def test_a_paused_process_can_be_cancelled(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s"):
        handle = await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        await handle.pause()
        await until(partial(is_in, handle, "paused"))
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle.result(timeout="30s")
        assert path.with_suffix(".end").exists()


async def test_at_a_drain_a_paused_process_is_ended_and_its_job_stays_paused(
    database: Database, db: str, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s"):
        handle = await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        await handle.pause()
        await until(partial(is_in, handle, "paused"))
    assert await handle.state() == "paused"
    assert await ask(db, "select attempt from pillars.jobs") == 0
    assert not is_alive(written(path)[0])


async def test_a_drain_ends_it_and_gives_its_attempt_back(
    database: Database, db: str, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s", drain="100ms"):
        await work.stubborn.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
    assert await ask(db, "select attempt from pillars.jobs where locked_by is null") == 0
    assert not is_alive(written(path)[0])


async def test_at_its_deadline_it_is_ended_and_tried_again(
    database: Database, db: str, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s"):
        handle = await work.sleeps.configure(timeout="3s").enqueue(str(path))
        await until(partial(is_in, handle, "scheduled"), within=30)
    assert "TimeoutError: not done within 3s" in await ask(
        db, "select last_error from pillars.jobs"
    )
    assert path.with_suffix(".end").exists()


async def test_what_takes_more_memory_than_it_may_is_named_so(database: Database) -> None:
    async with working(database):
        with pytest.raises(
            JobFailed, match="MemoryError: out of memory, of which it may have 200 MB"
        ):
            await (await work.eats.enqueue()).result(timeout="30s")


async def test_one_that_waits_for_its_next_job_makes_room_for_one_of_another_setup(
    database: Database,
) -> None:
    async with working(database, children=1):
        pid, *_ = await (await work.who.enqueue()).result(timeout="30s")
        assert is_alive(pid)
        await (await work.environment.enqueue()).result(timeout="30s")
        await until(lambda: not is_alive(pid))


@pytest.mark.parametrize(("kind", "bound"), [(work.eats_unbound, "150 MB"), (work.eats, "200 MB")])
async def test_what_names_no_bound_on_memory_has_that_of_its_worker(
    database: Database, kind: Job[[], int], bound: str
) -> None:
    async with working(database, child_memory="150MB"):
        with pytest.raises(JobFailed, match=f"out of memory, of which it may have {bound}"):
            await (await kind.enqueue()).result(timeout="30s")


async def test_what_computes_longer_than_it_may_is_named_so(database: Database) -> None:
    async with working(database):
        with pytest.raises(JobFailed, match="it has used up its 1 s of CPU time"):
            await (await work.computes.enqueue()).result(timeout="60s")


async def test_its_environment_is_a_list(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALLOWED_ONE", "STRIPE_KEY", "PILLARS_TOKEN", "PILLARS_VIEW_TOKEN", "AWS_SECRET"):
        monkeypatch.setenv(name, "a value of sixteen")
    async with working(database):
        found = await (await work.environment.enqueue()).result(timeout="30s")
    assert "ALLOWED_ONE" in found
    assert "PATH" in found
    assert not {"STRIPE_KEY", "PILLARS_TOKEN", "PILLARS_VIEW_TOKEN", "AWS_SECRET"} & found.keys()


async def test_it_inherits_no_descriptor_of_its_worker(database: Database) -> None:
    async with working(database):
        found = await (await work.descriptors.enqueue()).result(timeout="30s")
        held = {one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
    ours = {str(one) for one in held if str(one).startswith(("socket:", "pipe:"))}
    assert sorted(found, key=int)[:5] == ["0", "1", "2", "3", "4"]
    shared = {target for number, target in found.items() if target in ours and int(number) > 4}
    assert not shared


async def test_one_that_leaves_a_process_behind_is_not_used_again(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "left"
    async with working(database, children=1):
        [first, *_] = await (await work.who.enqueue()).result(timeout="30s")
        left = await (await work.leaves.enqueue(str(path))).result(timeout="30s")
        await until(lambda: not is_alive(first))
        [second, *_] = await (await work.who.enqueue()).result(timeout="30s")
        assert second != first
    await until(lambda: not is_alive(left))


async def said(db: str, kind: str) -> list[Any]:
    found = "select array(select body from pillars.job_events where kind = $1 order by event_id)"
    return [json.loads(one) for one in await ask(db, found, kind)]


async def test_what_it_says_is_kept_in_its_order(database: Database, db: str) -> None:
    async with working(database):
        await (await work.says.enqueue()).result(timeout="30s")
    assert [one["data"]["number"] for one in await said(db, "output")] == [0, 1, 2, 3, 4]
    assert (await said(db, "metadata"))[-1] == {"place": "here"}
    assert (await said(db, "progress"))[-1] == {"done": 5, "total": 5, "message": "counting"}
    lines = await said(db, "log")
    assert {
        "level": "info",
        "event": "crunch.said",
        "fields": {"count": 5},
        "stream": "log",
    } in lines
    assert {"stream": "stdout", "line": "to stdout"} in lines
    assert {"stream": "stderr", "line": "to stderr"} in lines


async def test_a_later_attempt_begins_with_what_the_last_has_left(database: Database) -> None:
    async with working(database):
        assert await (await work.remembers.enqueue()).result(timeout="30s") == {"page": 3}


async def test_what_it_says_before_it_completes_itself_is_kept(database: Database, db: str) -> None:
    async with working(database):
        assert await (await work.says_and_completes.enqueue()).result(timeout="30s") == "inside"
    assert await said(db, "output") == [{"name": "last", "data": "word"}]


async def test_a_program_says_things_by_lines(database: Database, db: str) -> None:
    async with working(database):
        await (await work.speaks.enqueue()).result(timeout="30s")
    assert await said(db, "progress") == [{"done": 3, "total": 10, "message": "reading"}]
    assert await said(db, "output") == [{"name": "page", "data": {"number": 3}}]
    assert await said(db, "metadata") == [{"pages": 10}]
    [line] = await said(db, "log")
    assert (line["level"], line["event"], line["fields"]) == (
        "warning",
        "page.skipped",
        {"page": 4},
    )


async def test_what_is_none_of_these_lines_is_told_once_and_harms_nothing(
    database: Database,
) -> None:
    with capture_logs() as heard:
        async with working(database):
            assert await (await work.babbles.enqueue()).result(timeout="30s") == 1
    assert len([one for one in heard if one["event"] == "child.unreadable"]) == 1


@pytest.mark.parametrize(
    ("hearing", "before"), [(work.hears, []), (work.hears_now, [None])], ids=["async", "thread"]
)
async def test_it_hears_what_is_said_to_its_job_in_its_order(
    database: Database, db: str, hearing: Job[[], list[Any]], before: list[Any]
) -> None:
    async with working(database):
        handle = await hearing.enqueue()
        await until(partial(has_said, db, "output"), within=30)
        for data in ({"number": 1}, ["two"], "enough"):
            await handle.send(data, by="ada")
        assert await handle.result(timeout="30s") == [*before, {"number": 1}, ["two"]]


async def test_a_message_that_came_too_late_for_its_code_is_the_next_attempts(
    database: Database, db: str
) -> None:
    async with working(database):
        handle = await work.looks.enqueue()
        await until(partial(has_said, db, "output"), within=30)
        await handle.send("hello")
        await ask(db, "select pillars.resume($1)", UUID(handle.job_id))
        assert await handle.result(timeout="30s") == "hello"


async def has_said(db: str, kind: str) -> bool:
    return bool(await said(db, kind))


async def test_a_program_asks_for_messages_by_lines(database: Database) -> None:
    async with working(database):
        handle = await work.asks_in_lines.enqueue()
        await handle.send({"number": 7}, by="ada")
        told = (await handle.result(timeout="30s"))["message"]
    assert (told["data"], told["sent_by"]) == ({"number": 7}, "ada")


async def test_one_that_waits_for_a_message_can_be_cancelled(database: Database, db: str) -> None:
    async with working(database, lock="90s"):
        for hearing in (work.hears, work.hears_now):
            handle = await hearing.enqueue()
            await until(partial(is_in, handle, "running"))
            await until(partial(has_said, db, "output"), within=30)
            await handle.cancel()
            with pytest.raises(JobCancelled):
                await handle.result(timeout="30s")


@pytest.mark.parametrize("setting", [work.sets, work.sets_async])
async def test_no_job_sees_what_the_one_before_it_in_its_process_has_set(
    database: Database, setting: Job[[str], str]
) -> None:
    async with working(database, children=1):
        for tenant in ("ada", "alan"):
            assert await (await setting.enqueue(tenant)).result(timeout="30s") == "nobody"


async def test_a_line_that_a_job_has_not_ended_is_its_own(database: Database, db: str) -> None:
    async with working(database, children=1):
        handles = [await work.sets.enqueue(tenant) for tenant in ("ada", "alan")]
        for handle in handles:
            await handle.result(timeout="30s")
    lines = "select body ->> 'line' from pillars.job_events where job_id = $1"
    told = [await ask(db, lines, UUID(handle.job_id)) for handle in handles]
    assert told == ["half a line of ada", "half a line of alan"]


async def test_what_a_job_left_behind_does_not_speak_as_the_next_one(
    database: Database, db: str
) -> None:
    async with working(database, children=1):
        for number in (1, 2, 3):
            await (await work.keeps.enqueue(number)).result(timeout="30s")
    assert [one["data"] for one in await said(db, "output")] == [1, 2, 3]


async def test_after_a_flood_the_next_job_of_the_process_is_heard(
    database: Database, db: str
) -> None:
    async with working(database, children=1):
        first = await (await work.floods.enqueue(9_000)).result(timeout="60s")
        handle = await work.floods.enqueue(100)
        assert await handle.result(timeout="30s") == first
    lines = "select count(*) from pillars.job_events where job_id = $1"
    assert await ask(db, lines, UUID(handle.job_id)) == 300


async def test_a_text_that_is_none_fails_no_job(database: Database, db: str) -> None:
    async with working(database):
        assert await (await work.odd.enqueue()).result(timeout="30s") == "done"
    assert (await said(db, "progress"))[-1]["message"].startswith("caf")


async def test_at_a_signal_that_all_processes_get_its_job_is_given_back(
    database: Database, db: str, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s") as worker:
        await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        os.killpg(written(path)[0], signal.SIGTERM)
        await until(lambda: not is_alive(written(path)[0]) or path.with_suffix(".end").exists())
        worker.process.stopping.set()
    assert await ask(db, "select attempt from pillars.jobs where locked_by is null") == 0


async def test_another_reason_to_end_cuts_no_cleanup_short(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "steps"
    async with working(database, lock="90s") as worker:
        await work.sleeps.enqueue(str(path))
        await until(lambda: len(written(path)) == 2, within=30)
        [attempt] = worker.crew.attempts()
        for why in (Why.CANCEL, Why.DRAIN):
            attempt.stop(why)
        await until(lambda: not worker.crew.attempts())
    assert path.with_suffix(".end").read_text() == "cleaned up"


async def test_its_log_is_its_workers(database: Database) -> None:
    with capture_logs() as said:
        async with working(database):
            await (await work.logs.enqueue()).result(timeout="30s")
    [line] = [one for one in said if one["event"] == "crunch.went"]
    assert (line["how"], line["job_name"], line["attempt"]) == ("well", "crunch.logs", 1)
