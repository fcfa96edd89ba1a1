"""A secret from every source, looked for in every place that shows anything: it stands where it must be stored, and nowhere else."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence, Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio.to_thread
import click
import httpx2
import pytest

from cli.known import COMMANDS, options
from pillars.service.process import Process
from pillars.settings import load
from pillars.store.database import Database
from pillars.web import routes
from pillars.web.dashboard.assets import assets
from pillars.web.dashboard.entrance import Entrance
from process.pillar import ROOT, App, app, ready_app, told
from support import MEASURED, ask, asking, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # commands by the dozen

SOURCES = (
    "argument", "nested", "short", "payload-url", "payload-dsn", "text", "misfit", "result", "result-url", "context-url",
    "database", "direct", "token", "view", "environment", "code", "raised", "cause", "note", "logged-key", "logged-url",
    "library", "warning", "authorization", "cookie", "query",
)  # fmt: skip
CANARIES: Mapping[str, str] = {name: f"canary.{name}.{uuid4().hex}" for name in SOURCES}
STORED = {("jobs", "payload"), ("finished_jobs", "payload"), ("finished_jobs", "result"), ("schedules", "payload"),
          ("jobs", "context"), ("finished_jobs", "context")}  # fmt: skip
"""The columns that hold what was enqueued and returned: what is hidden there would not reach the job."""

JOBS = """
import logging, os, warnings
from typing import Literal
from pillars import Context, Retry, every, job

@job(name="canary.raises", max_attempts=2, backoff="0s")
async def raises(ctx: Context, password: str, url: str, options: dict, text: str) -> None:
    ctx.log.info("canary.told", db_password="{logged-key}", url="redis://:{logged-url}@h:1", options=options, password=password)
    logging.getLogger("library").warning("connects to %s", "amqp://me:{library}@h/v", extra={{"api_key": "{library}"}})
    warnings.warn("old: postgres://me:{warning}@h/db", stacklevel=1)
    error = ValueError(f"login(password='{{password}}', {{options}}) at {{url}} {{os.environ['DATABASE_URL']}} "
                       f"{{os.environ['PILLARS_TOKEN']}} {{os.environ['PILLARS_VIEW_TOKEN']}} host=h password={raised} user=me")
    error.add_note("said {note}: postgres://me:{note}@h".replace("said {note}: ", ""))
    connect = lambda dsn: 1 / 0
    try:
        connect("postgres://me:{code}@h/db")
    except ZeroDivisionError as cause:
        error.__cause__ = OSError(f"no route to mysql://me:{cause}@h/db, token={{password}}")
        raise error

@job(name="canary.gives")
async def gives(api_key: str) -> dict:
    return {{"token": "{result}", "rows": [{{"Api-Key": api_key}}], "url": "postgres://me:{result-url}@h/db"}}

@job(name="canary.misfits", max_attempts=1)
async def misfits(secret: Literal["a", "b"]) -> None: ...

@job(name="canary.waits")
async def waits(password: str, url: str) -> None: ...

ticks = every("1s", raises.call("{argument}", "postgres://me:{payload-url}@h/db", {{"Token": ["{nested}"]}}, "x"), name="canary.ticks")
"""


@dataclass
class Stage:
    """Processes that know every canary, jobs that have spilt theirs, and what all of it may have been shown as."""

    db: str
    environ: dict[str, str]
    project: Path
    folder: Path
    web: httpx2.AsyncClient
    processes: list[App]
    job_ids: dict[str, str]
    heard: list[str]

    async def command(self, *words: str, typed: str | None = None) -> str:
        """What `app` prints for these words, both streams."""

        def call() -> str:
            done = subprocess.run(
                [sys.executable, "-m", "pillars", *words], cwd=self.project, env=self.environ, capture_output=True,
                text=True, check=False, input=typed or "",
            )  # fmt: skip
            return f"{done.stdout}{done.stderr}"

        return await anyio.to_thread.run_sync(call)


def hits(shown: str, *, but: AbstractSet[str] = frozenset()) -> list[str]:
    """The sources whose secret stands in a text, also where it is only part of it that does."""
    return [name for name, canary in CANARIES.items() if canary[-20:] in shown and name not in but]


def environment(db: str, folder: Path) -> dict[str, str]:
    def url(canary: str) -> str:
        assert "://app@" in db
        return db.replace("://app@", f"://app:{canary}@")

    return {
        "DATABASE_URL": url(CANARIES["database"]),
        "DATABASE_DIRECT_URL": url(CANARIES["direct"]),
        "PILLARS_TOKEN": CANARIES["token"],
        "PILLARS_VIEW_TOKEN": CANARIES["view"],
        "PILLARS_ENV": "prod",
        "PILLARS_LOCK": "5s",
        "PILLARS_SQL": str(ROOT / "sql" / "app"),
        "PILLARS_REDACT": "default,nip",
        "STRIPE_KEY": CANARIES["environment"],
        "LOG_LEVEL": "debug",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
    }


PAYLOADS: Mapping[str, Mapping[str, object]] = {
    "canary.raises": {
        "password": CANARIES["argument"],
        "url": f"postgres://me:{CANARIES['payload-url']}@h/db",
        "options": {"Token": [CANARIES["nested"]], "nip": CANARIES["short"]},
        "text": f"dial https://h/?secret={CANARIES['text']} or host=h password={CANARIES['payload-dsn']}",
    },
    "canary.gives": {"api_key": CANARIES["argument"]},
    "canary.misfits": {"secret": CANARIES["misfit"]},
    "canary.waits": {"password": CANARIES["argument"], "url": f"amqp://:{CANARIES['payload-url']}@h"},
}  # fmt: skip


@asynccontextmanager
async def spilling(db: str, folder: Path, log_format: str) -> AsyncIterator[Stage]:
    """The processes of an app, each of whose jobs has run."""
    project = folder / "project"
    for package, text in {"jobs": JOBS.format(**CANARIES), "crons": "from jobs.leaky import ticks\n"}.items():  # fmt: skip
        (project / package).mkdir(parents=True)
        (project / package / "__init__.py").write_text("")
        (project / package / "leaky.py").write_text(text)
    environ = environment(db, folder) | {"LOG_FORMAT": log_format}
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(overhearing(db))
        processes = [
            await stack.enter_async_context(
                ready_app(folder, environ["DATABASE_URL"], role, project=project, **environ)
            )
            for role in ("web", "worker", "cron")
        ]
        web = await stack.enter_async_context(httpx2.AsyncClient(base_url=address(processes[0])))
        stage = Stage(
            db, {**environ, "PATH": "/usr/bin:/bin", **MEASURED}, project, folder, web, processes, {}, heard
        )  # fmt: skip
        web.headers["authorization"] = f"Bearer {CANARIES['token']}"
        for name, payload in PAYLOADS.items():
            at = {"run_at": "2150-01-01T00:00:00Z"} if name == "canary.waits" else {}
            context = f"by redis://:{CANARIES['context-url']}@h"
            body = {"name": name, "payload": payload, "context": context, **at}
            made = await web.post("/api/jobs", json=body)
            assert made.status_code == (400 if name == "canary.misfits" else 201), made.text
            assert hits(made.text) == []
            if made.status_code == 400:  # by SQL nobody checks it
                stage.job_ids[name] = str(
                    await ask(db, "select pillars.enqueue($1, $2)", name, json.dumps(payload))
                )
            else:
                stage.job_ids[name] = made.json()["job_id"]
        ended = [one for name, one in stage.job_ids.items() if name != "canary.waits"]
        await until(
            lambda: ask(db, "select count(*) = 3 from pillars.finished_jobs where job_id = any($1)", ended)
        )  # fmt: skip
        await until(lambda: ask(db, "select count(*) > 0 from pillars.finished_jobs where job_id <> all($1)", ended))  # fmt: skip
        yield stage


def address(web: App) -> str:
    found = [line for line in web.output.splitlines() if "web.ready" in line]
    url = found[0].partition("http://")[2]
    return "http://" + url.partition('"')[0].split()[0].strip("'\x1b[0m")


@asynccontextmanager
async def overhearing(db: str) -> AsyncIterator[list[str]]:
    """Every notification of the runtime, as any session of the database may hear it."""
    heard: list[str] = []

    def note(*said: object) -> None:
        heard.append(f"{said[2]} {said[3]}")

    async with asking(db) as connection:
        await connection.add_listener("pillars", note)
        yield heard


def gets(stage: Stage) -> list[str]:
    """The path of every GET route but those of streams, with the names of things that hold secrets."""
    settings = load(environ=stage.environ, project=stage.project)
    process = Process("web", settings, Database(stage.db))
    stands_for = {
        "{job_id}": stage.job_ids.values(),
        "{name}": [one.name for one in assets().values()],
        "{rest}": [""],
    }
    paths = []
    for resource in routes.table(process, entrance=Entrance(process)):
        if "GET" in resource.operations and not resource.is_stream:
            [open_part] = [one for one in stands_for if one in resource.template] or [""]
            said = stands_for.get(open_part, [""])
            paths += [resource.template.replace(open_part or "?", one) for one in said]
    assert not any("{" in path for path in paths), "say here what stands for it"
    return paths


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_page_answer_log_line_or_stored_error_shows_a_secret(
    db: str, tmp_path: Path, log_format: str
) -> None:
    async with spilling(db, tmp_path, log_format) as stage:
        request = {
            "cookie": f"session={CANARIES['cookie']}",
            "referer": f"{stage.web.base_url}?token={CANARIES['query']}",
        }
        strangers = {"authorization": f"Bearer {CANARIES['authorization']}"}
        for path in gets(stage):
            for headers in (request, {**request, **strangers}):
                answer = await stage.web.get(path, headers=headers)
                assert answer.status_code in {200, 303, 401}, path
                assert answer.status_code != 401 or headers is not request, path
                assert hits(f"{answer.headers} {answer.text}") == [], path
        for name, job_id in stage.job_ids.items():
            for path in (f"/api/jobs/{job_id}/stream", f"/api/streams?job={job_id}"):
                assert hits(await begun(stage, path)) == [], name
        assert "event: state" in await begun(stage, "/api/tasks/canary.waits")
        listed = await stage.web.get("/api/jobs")
        assert listed.text.count('"[redacted]"') >= 5, "it is these that were looked at"
        page = await stage.web.get("/dashboard/jobs")
        assert "[redacted]" in page.text
        # A query that is refused is told in an answer, and by no line of the log.
        said = await stage.web.get(f"/api/jobs?limit=1&token={CANARIES['query']}", headers=request)
        assert said.status_code == 400
        assert hits(said.text) == []
        await stored(stage)
        for job_id in (stage.job_ids["canary.raises"], stage.job_ids["canary.waits"]):
            for verb in ("retry", "pause", "resume", "cancel"):
                answer = await stage.web.post(f"/api/jobs/{job_id}/{verb}", headers=request)
                assert hits(answer.text) == [], verb
        ran = await stage.web.post("/api/schedules/canary.ticks/run", headers=request)
        assert (ran.status_code, hits(ran.text)) == (201, [])
        assert stage.heard
        assert hits(" ".join(stage.heard)) == []
        for process in stage.processes:
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
        output = "\n".join(process.output for process in stage.processes)
        assert output.count("canary.told") > 1
        assert "amqp://me:***@h/v" in output
        assert "postgres://me:***@h/db" in output
        if log_format == "json":
            assert told(stage.processes[1], "job.failed", job_name="canary.raises")
        assert hits(output) == []


async def begun(stage: Stage, path: str) -> str:
    """What a stream says up to how its job stands."""
    said = ""
    async with stage.web.stream("GET", path) as answer:
        async for line in answer.aiter_lines():
            said += f"{line}\n"
            if said.endswith("\n\n") and "event: state" in said:
                break
    return said


async def stored(stage: Stage) -> None:
    """Look at every column of every table, and at what the server shows of its sessions."""
    async with asking(stage.db) as connection:
        columns = await connection.fetch(
            "select table_name, column_name from information_schema.columns where table_schema = 'pillars'"
            " and table_name not like '%\\_20______'"
        )
        held = set()
        for table, column in columns:
            found = await connection.fetchval(f"select string_agg({column}::text, ' ') from pillars.{table}")  # fmt: skip
            if hits(found or ""):
                held.add((table, column))
        assert {one for one in held if one[0] not in {"all_jobs", "finished_completed", "finished_ended"}} == STORED  # fmt: skip
        assert {column for _, column in held} == {column for _, column in STORED}
        shown = await connection.fetchval(
            "select string_agg(query || application_name, ' ') from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
        )
        assert "pillars" in shown
        assert hits(shown) == []
        errors = await connection.fetchval(
            "select string_agg(error || coalesce(traceback, ''), ' ') from pillars.attempts"
        )
        assert "password=[redacted]" in errors
        assert "postgres://me:***@h/db" in errors


RUNS: Mapping[str, tuple[str, ...]] = {
    "app jobs show": ("{raises}",),
    "app jobs enqueue": ("canary.gives", f"api_key={CANARIES['argument']}", "--wait=30s"),
    "app jobs run": ("canary.gives", f"api_key={CANARIES['argument']}"),
    "app jobs tail": ("{raises}", "-f"),
    "app jobs token": ("{raises}",),
    "app jobs retry": ("{raises}",),
    "app jobs pause": ("{waits}",),
    "app jobs resume": ("{waits}",),
    "app jobs send": ("{waits}", "[true]"),
    "app jobs cancel": ("{waits}",),
    "app queues pause": ("default",),
    "app queues resume": ("default",),
    "app names pause": ("canary.gives",),
    "app names resume": ("canary.gives",),
    "app schedules run": ("canary.ticks",),
    "app schedules pause": ("canary.ticks",),
    "app schedules resume": ("canary.ticks",),
    "app db psql": ("-c", "select 1"),
    "app db reset": ("--yes",),
    "app jobs list": (), "app queues list": (), "app names list": (), "app schedules list": (), "app workers list": (), "app migrate": (),
    "app accounts list": (), "app audit list": (), "app accounts add": ("canary", "--scope=view"),
    "app accounts password": ("canary",), "app accounts remove": ("canary",),
    "app check": (), "app config": (), "app doctor": (), "app db stop": (), "app db url": (),
}  # fmt: skip
STAY = {"app web", "app worker", "app cron", "app all", "app dev"}
ELSEWHERE = {"app bench"}  # it makes its own database, and gets no job of ours


async def test_no_command_prints_a_secret(db: str, tmp_path: Path) -> None:
    leaves = {path for path, one in COMMANDS.items() if not isinstance(one, click.Group)}
    assert leaves == RUNS.keys() | STAY | ELSEWHERE, "say how a new command is run"
    async with spilling(db, tmp_path, "json") as stage:
        ids = {name.removeprefix("canary."): one for name, one in stage.job_ids.items()}
        for path, words in RUNS.items():
            asked = [*path.split()[1:], *(word.format(**ids) for word in words)]
            for more in ([], ["--json"]) if "--json" in options(COMMANDS[path]) else ([],):
                printed = await stage.command(*asked, *more, typed=CANARIES["argument"])
                assert printed, path
                may = {"database"} if path == "app db url" else set()
                assert hits(printed, but=may) == [], f"{path} {more}"
        assert "[redacted]" in await stage.command("jobs", "show", ids["raises"])
        for name, one in ids.items():
            for more in ([], ["--json"]):
                assert hits(await stage.command("jobs", "show", one, *more)) == [], name


async def test_a_start_that_fails_prints_no_secret(db: str, tmp_path: Path) -> None:
    environ = environment(db, tmp_path)
    nowhere = environ | {"DATABASE_URL": f"postgres://me:{CANARIES['database']}@127.0.0.1:1/none", "PATH": "/usr/bin:/bin"}  # fmt: skip
    broken = tmp_path / "broken"
    (broken / "jobs").mkdir(parents=True)
    (broken / "jobs" / "__init__.py").write_text("")
    (broken / "jobs" / "leaky.py").write_text(
        f'import os\nraise OSError("no way to redis://:{CANARIES["raised"]}@h as " + os.environ["PILLARS_TOKEN"])\n'
    )

    def begin(words: Sequence[str], told_of: dict[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pillars", *words], cwd=broken, env={**told_of, **MEASURED}, capture_output=True,
            text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout + done.stderr

    for path in (
        *sorted(STAY - {"app dev"}),
        "app check",
        "app doctor",
        "app migrate",
        "app jobs list",
    ):
        for told_of in (nowhere, environ | {"PATH": "/usr/bin:/bin"}):
            said = await anyio.to_thread.run_sync(begin, path.split()[1:], told_of)
            assert hits(said) == [], path


async def test_psql_is_given_its_password_where_no_list_of_processes_shows_it(
    tmp_path: Path,
) -> None:
    program = tmp_path / "bin" / "psql"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "arguments: $*"\necho "password: $PGPASSWORD"\n')
    program.chmod(0o755)
    url = "postgresql://me:p%40ss-word@h:1/db?sslmode=disable"
    path = f"{program.parent}:/usr/bin:/bin"
    with app(tmp_path, url, "db", "psql", "-l", PATH=path) as run:
        assert await run.ended() == 0
        assert "arguments: postgresql://me@h:1/db?sslmode=disable -l\n" in run.output
        assert "password: p@ss-word\n" in run.output
