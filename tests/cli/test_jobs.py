"""`app jobs list`, `show`, `retry` and `cancel`."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from cli.said import Run
from hostile import fill
from pillars.cli import changing
from pillars.cli.recording import actor
from pillars.service.process import Process
from pillars.settings import load
from pillars.store import listing, states
from pillars.store.database import Database
from pillars.store.ids import new_id
from pillars.web.pillar import Web
from support import ask, tell

GONE = "01890a5d-ac96-774b-bcce-b302099a8057"
EVIL = "\x1b[2J\r\nname\u202e"


async def add(
    db: str, *, name: str = "mail", queue: str = "default", running: bool = False, **columns: object
) -> UUID:
    job_id = new_id()
    row = {"payload": '{"i": 1}', "unique_key": None, "tags": None, **columns}
    await tell(
        db,
        """insert into pillars.jobs (job_id, name, queue, payload, unique_key, tags, max_attempts, locked_by, locked_at, lock_token)
           values ($1, $2, $3, $4, $5, $6, 4, case when $7 then pillars.uuid7() end, case when $7 then pillars.now() end,
                   case when $7 then 7 end)""",
        job_id, name, queue, *row.values(), running,
    )  # fmt: skip
    return job_id


async def end(db: str, state: str = "failed", *, name: str = "mail", **columns: object) -> UUID:
    job_id = new_id()
    row = {"unique_key": None, "last_error": "ValueError: boom", "result": None, **columns}
    await tell(
        db,
        """insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, attempt, max_attempts, crashes, created_at,
                                              started_at, unique_key, last_error, result)
           values ($1, $2, 'default', 0, $3, '{"i": 1}', 4, 4, 0, pillars.now(), pillars.now(), $4, $5, $6)""",
        job_id, name, state, *row.values(),
    )  # fmt: skip
    return job_id


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The HTTP API on the same database."""
    settings = load(flags={"env": "dev"}, environ={}, project=tmp_path)
    process = Process(role="web", settings=settings, database=database)
    transport = httpx2.ASGITransport(app=Web(process, None).asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


# --- list ---------------------------------------------------------------------------------------------------


async def test_an_empty_list_says_what_to_do(app: Run) -> None:
    said = await app("jobs", "list")
    assert said.out == ""
    assert said.err == "no jobs; enqueue one: app jobs enqueue NAME\n"


async def test_a_list_shows_whole_ids_and_counts(app: Run, db: str) -> None:
    first, second = await end(db), await add(db)
    said = await app("jobs", "list")
    heading, *rows = said.out.splitlines()
    assert heading.split() == ["ID", "STATE", "NAME", "WHEN", "QUEUE", "TRY", "ERROR"]
    assert [row.split()[:3] for row in rows] == [
        [str(second), "ready", "mail"],
        [str(first), "failed", "mail"],
    ]
    assert rows[1].endswith("4/4  ValueError: boom")
    assert said.err == "2 jobs\n"


async def test_the_line_below_a_page_is_a_command_that_shows_the_next(app: Run, db: str) -> None:
    jobs = [await end(db, name="a:b") for _ in range(5)]
    words = ["jobs", "list", "--state", "failed", "--name", "a:b", "--limit", "2"]
    seen: list[str] = []
    while True:
        said = await app(*words)
        seen += [row.split()[0] for row in said.out.splitlines()[1:]]
        _, _, command = said.err.partition("more: app ")
        if not command:
            break
        words = command.split()
    assert seen == [str(job_id) for job_id in reversed(jobs)]


async def test_filters_choose(app: Run, db: str) -> None:
    chosen = await add(db, name="b", queue="q", tags=["t"])
    await add(db, name="b")
    await end(db)
    for filtered in (
        ["--queue", "q"],
        ["--tag", "t"],
        ["--name", "b", "--queue", "q", "--state", "ready"],
    ):
        said = await app("jobs", "list", "--json", *filtered)
        assert [one["job_id"] for one in said.json["items"]] == [str(chosen)]


async def test_json_is_what_the_api_answers_and_nothing_else(
    app: Run, db: str, client: httpx2.AsyncClient
) -> None:
    await add(db, tags=["t"])
    job_id = await end(db, "completed", last_error=None, result="[1.10, 12345678901234567890]")
    await add(db, running=True)
    said = await app("jobs", "list", "--json", "--limit", 2)
    assert said.json == (await client.get("/api/jobs?limit=2")).json()
    assert said.err == ""
    assert "[1.10, 12345678901234567890]" in said.out
    shown = await app("jobs", "show", job_id, "--json")
    said_nothing = {"progress": None, "metadata": None}
    assert shown.json == (await client.get(f"/api/jobs/{job_id}")).json() | said_nothing


async def test_a_filter_that_finds_nothing_names_the_nearest(app: Run, db: str) -> None:
    await add(db, queue="mails")
    said = await app("jobs", "list", "--queue", "mail")
    assert said.err == 'no jobs; no queue named "mail"; did you mean "mails"?\n'
    said = await app("jobs", "list", "--state", "failed")
    assert said.err == "no jobs match --state failed; all of them: app jobs list\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--cursor", "x"],
        ["--name", "no spaces"],
        ["--queue", "\x1b[2J"],
        ["--limit", "0"],
        ["--state", "done"],
    ],
)
async def test_what_cannot_be_listed_by_is_a_mistake_of_usage(app: Run, words: list[str]) -> None:
    said = await app("jobs", "list", *words, code=2)
    assert said.out == ""
    assert "\x1b" not in said.err


async def test_states_can_be_named_without_loading_the_store() -> None:
    assert listing.STATES is states.STATES


async def test_hostile_text_cannot_reach_the_terminal(app: Run, db: str) -> None:
    job_id = await add(
        db,
        name=EVIL,
        queue=EVIL,
        tags=[EVIL],
        unique_key=EVIL,
        payload='{"\u202e\u009b": "\u007f"}',
    )
    await tell(db, "update pillars.jobs set last_error = $1, context = $1", EVIL)
    for words in (["jobs", "list"], ["jobs", "show", job_id], ["queues", "list"]):
        said = await app(*words)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.out + said.err), said
    assert r"\x1b[2J\r\nname\u202e" in said.out


STEERING = [  # what a terminal would obey
    "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;javascript:alert(1)\x07here\x1b]8;;\x07", "\x1b]52;c;cm0gLXJm\x07", "\u009b31m", "\u009d0;t\u009c",
    "\x1bP$qm\x1b\\", "\x07\x08\x7f", "line\rover it\nand below", "\u202egnp.exe\u2066", "\x1b[6n", "\u2028\u2029\x85\x0b\x0c",
]  # fmt: skip


async def test_nothing_that_is_stored_steers_the_terminal(app: Run, db: str) -> None:
    jobs = await fill(db, STEERING)
    shown = [["jobs", "show", job_id] for job_id in jobs.values()]
    for words in (["jobs", "list"], ["queues", "list"], ["schedules", "list"], ["workers", "list"], *shown):  # fmt: skip
        said = await app(*words)
        assert all(one.isprintable() or one == "\n" for one in said.out + said.err), said
        assert r"\x1b" in said.out or words in shown


# --- show ---------------------------------------------------------------------------------------------------


async def test_show_tells_a_failure_with_its_attempts(app: Run, db: str) -> None:
    job_id = await end(db)
    for attempt, outcome in enumerate(("retried", "failed"), start=1):
        await tell(
            db,
            "insert into pillars.attempts (job_id, attempt, outcome, error, traceback) values ($1, $2, $3, 'ValueError: boom', $4)",
            job_id, attempt, outcome, "Traceback (most recent call last):\n\tboom\nValueError: \x1b[31mboom",
        )  # fmt: skip
    out = (await app("jobs", "show", job_id)).out
    assert re.search(rf"^id +{job_id}$", out, re.MULTILINE)
    assert re.search(r"^last error +ValueError: boom$", out, re.MULTILINE)
    assert 'payload\n  {\n    "i": 1\n  }' in out
    assert out.index("1  retried") < out.index("2  failed")
    assert (
        "     Traceback (most recent call last):\n         boom\n     ValueError: \\x1b[31mboom"
        in out
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("update pillars.jobs set parked = true, waiting_for = 'definition'", "waiting: waits for a process whose code has this name"),
        ("insert into pillars.queues values ('default', now())", "ready: its queue is paused; app queues resume default"),
        ("update pillars.jobs set parked = true, waiting_for = 'job ' || job_id", "waiting: waits for job "),
        ("select pillars.pause_name('mail', 'ada')", "ready: its name is paused, by ada now; app names resume mail"),
        ("select pillars.pause_name('mail', 'ada'), pillars.park_paused()", "waiting: its name is paused, by ada now; app names"),
        ("update pillars.jobs set parked = true, waiting_for = 'name'", "waiting: waits for the next sweep: its name was paused"),
    ],
)  # fmt: skip
async def test_show_tells_what_a_job_waits_for(app: Run, db: str, change: str, told: str) -> None:
    job_id = await add(db)
    await tell(
        db,
        """insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
           values ('mail', 'async', 'default', 0, 4, 3, '15m', 'full', '{}', 'app')""",
    )
    await tell(db, change)
    assert told in (await app("jobs", "show", job_id)).out


async def test_show_tells_when_code_runs_on_and_when_its_worker_is_gone(app: Run, db: str) -> None:
    job_id = await add(db, running=True)
    assert (
        "running: its worker has left no word; another takes it over"
        in (await app("jobs", "show", job_id)).out
    )
    await tell(
        db,
        """insert into pillars.workers (worker_id, role, host, pid, version, deployment, state, slots, seen_at)
           select locked_by, 'worker', 'host', 7, '1', 'app', 'running', 8, pillars.now() from pillars.jobs""",
    )
    await tell(db, "update pillars.jobs set deadline_at = pillars.now() - interval '5 minutes'")
    assert "running: overdue for 5 m: its code goes on" in (await app("jobs", "show", job_id)).out
    await tell(db, "update pillars.workers set seen_at = pillars.now() - interval '4 minutes'")
    assert "running: its worker was last seen 4 m ago" in (await app("jobs", "show", job_id)).out


async def test_an_id_that_is_none_is_usage_and_one_that_is_gone_a_failure(app: Run) -> None:
    for verb in ("show", "retry", "cancel"):
        said = await app("jobs", verb, "zzz\x1b", code=2)
        assert said.err == f'app: job id: expected a UUID such as {GONE}, got "zzz\\x1b"\n'
        said = await app("jobs", verb, GONE, code=1)
        assert f"no row is left of job {GONE}" in said.err
        assert said.err.count("\n") == 1


# --- retry and cancel ---------------------------------------------------------------------------------------


async def test_each_id_is_told_and_one_that_cannot_be_done_is_a_failure(app: Run, db: str) -> None:
    failed, done, running = await end(db), await end(db, "completed"), await add(db, running=True)
    said = await app("jobs", "retry", failed, done, GONE, failed, code=1)
    assert said.out == f"{failed} ready\n"
    assert f"{done} not retried: a completed job cannot be retried\n" in said.err
    assert f"{GONE} not retried: no row is left" in said.err
    said = await app("jobs", "cancel", failed, running)
    assert said.out == f"{failed} cancelled\n{running} asked to stop: it is running\n"
    said = await app("jobs", "cancel", failed, code=1)
    assert said.err == f"{failed} not cancelled: it is cancelled\n"


async def test_json_of_several_ids_is_a_list_of_jobs(app: Run, db: str) -> None:
    jobs = [await end(db), await end(db)]
    said = await app("jobs", "retry", *jobs, "--json")
    assert [(one["job_id"], one["state"]) for one in said.json["items"]] == [
        (str(job_id), "ready") for job_id in jobs
    ]


async def test_in_bulk_only_what_was_described_changes(
    app: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "BATCH", 3)
    monkeypatch.setattr(changing, "IDS_AT_ONCE", 4)
    for _ in range(8):
        await end(db)
    others = [await end(db, name="other"), await end(db, "cancelled")]
    said = await app("jobs", "retry", "--state", "failed", "--name", "mail", "--yes")
    assert said.err == "8 retried\n"
    assert await ask(db, "select count(*) from pillars.jobs") == 8
    left = await ask(db, "select array_agg(job_id order by job_id) from pillars.finished_jobs")
    assert left == others
    again = await app("jobs", "retry", "--state", "failed", "--name", "mail", "--yes")
    assert again.err == "no jobs match --state failed --name mail\n"
    said = await app("jobs", "cancel", "--state", "ready", "--state", "running", "--yes", "--json")
    assert said.json == {"matched": 8, "cancelled": 8, "requested": 0, "left": 0}


async def test_a_unique_key_lets_one_of_a_batch_pass_and_loses_none(app: Run, db: str) -> None:
    for key in ("k", "k", None, "held"):
        await end(db, unique_key=key)
    await add(db, unique_key="held")
    said = await app("jobs", "retry", "--state", "failed", "--yes")
    assert said.err.startswith("2 retried; 2 not:")
    assert await ask(db, "select count(*) from pillars.jobs") == 3
    assert await ask(db, "select count(*) from pillars.finished_jobs where state = 'failed'") == 2


async def test_in_bulk_running_jobs_are_asked(app: Run, db: str) -> None:
    await add(db, running=True)
    said = await app("jobs", "cancel", "--state", "running", "--yes")
    assert said.err == "0 cancelled, 1 asked to stop\n"
    assert await ask(db, "select cancel_requested_by from pillars.jobs") == actor()


async def test_jobs_are_paused_and_resumed_by_id(app: Run, db: str) -> None:
    waits, runs, ended = await add(db), await add(db, running=True), await end(db)
    said = await app("jobs", "pause", waits, runs, ended, code=1)
    assert said.out == (
        f"{waits} paused\n{runs} asked to pause: it is running, and rests at its next checkpoint\n"
    )
    assert said.err == f"{ended} not paused: it is failed\n"
    assert f"by {actor()}" in (await app("jobs", "show", waits)).out.replace("paused by  ", "by ")
    said = await app("jobs", "resume", waits, runs, ended, code=1)
    assert said.out == f"{waits} resumed\n{runs} resumed\n"
    assert said.err == f"{ended} not resumed: it is failed\n"
    said = await app("jobs", "resume", waits)
    assert said.out == f"{waits} was not paused: it is ready\n"
    gone = await app("jobs", "pause", GONE, code=1)
    assert gone.err.startswith(f"{GONE} not paused: ")


async def test_jobs_are_paused_and_resumed_in_bulk(app: Run, db: str) -> None:
    for _ in range(3):
        await add(db)
    await add(db, running=True)
    said = await app("jobs", "pause", "--state", "ready", "--state", "running", "--yes")
    assert said.err == "3 paused, 1 asked to pause\n"
    said = await app("jobs", "resume", "--state", "paused", "--state", "running", "--yes", "--json")
    assert said.json == {"matched": 4, "resumed": 4, "left": 0}
    assert (
        await ask(db, "select count(*) from pillars.jobs where parked or paused_by is not null")
        == 0
    )


async def test_nothing_changes_in_bulk_without_a_yes(app: Run, db: str) -> None:
    await end(db)
    said = await app("jobs", "retry", "--state", "failed", code=2)
    assert said.err == "app: retry 1 job (--state failed)? say so with --yes\n"
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_a_mistake_names_what_was_given(app: Run) -> None:
    said = await app("jobs", "cancel", GONE, "n" * 100, code=2)
    assert said.err.endswith(f'got "{"n" * 60}…"\n')
    said = await app("jobs", "cancel", "--name", "mail", "--tag", "a b", code=2)
    assert said.err.endswith("(such as --state ready); got --name mail --tag 'a b'\n")
    assert (await app("jobs", "cancel", code=2)).err.endswith("got neither\n")


@pytest.mark.parametrize("verb", ["retry", "cancel"])
async def test_in_bulk_a_name_that_nobody_knows_is_refused_with_the_nearest(
    app: Run, db: str, verb: str
) -> None:
    await add(db, name="kept", queue="mail")
    state = ["--state", {"retry": "failed", "cancel": "scheduled"}[verb], "--yes"]
    said = await app("jobs", verb, *state, "--queue", "mial", code=1)
    assert said.err == 'app: no queue named "mial"; did you mean "mail"?\n'
    said = await app("jobs", verb, *state, "--name", "nope", code=1)
    assert said.err == 'app: no job named "nope"; there is none\n'
    said = await app("jobs", verb, *state, "--name", "kept", "--queue", "mail")
    assert said.err.startswith("no jobs match")


@pytest.mark.parametrize("words", [[], ["--name", "mail"], [GONE, "--state", "failed"]])
async def test_what_is_meant_must_be_said(app: Run, words: list[str]) -> None:
    said = await app("jobs", "retry", *words, code=2)
    assert said.err.startswith("app: retry: expected ids, or")
