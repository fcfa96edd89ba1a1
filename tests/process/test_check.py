"""`app check`: what keeps code from a deploy, all of it, without a database."""

import json
from pathlib import Path
from typing import Any

import pytest

from process.pillar import App, app

JOB = "from pillars import job\n\n\n@job{options}\nasync def {name}() -> None: ...\n"
SQL = {"PILLARS_SQL": "sql/app"}


def write(project: Path, file: str, text: str = "") -> None:
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".py":
        (path.parent / "__init__.py").touch()
    path.write_text(text)


async def ended(check: App, code: int) -> str:
    assert await check.ended() == code, check.output
    assert "Traceback" not in check.output
    return check.output


async def test_sound_code_is_listed_with_its_next_ticks_and_ends_with_0(tmp_path: Path) -> None:
    write(tmp_path, "jobs/mail.py", JOB.format(options="(queue='mail')", name="send"))
    write(
        tmp_path,
        "crons/all.py",
        "from jobs.mail import send\nfrom pillars import every\n\nbeat = every('1d', send)\n",
    )
    write(tmp_path, "mine.py", "async def app(scope, receive, send): ...\n")
    write(tmp_path, "sql/app/0001_orders.sql", "select 1")
    write(tmp_path, "pyproject.toml", '[tool.pillars]\nweb = "mine:app"\n')
    with app(tmp_path, None, "check", "--json", project=tmp_path, **SQL) as check:
        report: dict[str, Any] = json.loads(await ended(check, 0))
    [job], [schedule] = report["jobs"], report["schedules"]
    assert job == {
        "name": "jobs.mail.send",
        "queue": "mail",
        "kind": "async",
        "place": "jobs/mail.py:4",
    }
    assert (schedule["name"], schedule["rule"], schedule["job"]) == (
        "crons.all.beat",
        "every 1d",
        "jobs.mail.send",
    )
    assert schedule["next_tick"].endswith("T00:00:00+00:00")
    assert (report["web"], report["migrations"], report["problems"]) == ("mine:app", 1, [])
    with app(tmp_path, None, "check", project=tmp_path, **SQL) as check:
        assert "fit to deploy" in await ended(check, 0)


async def test_every_problem_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "jobs/a.py", JOB.format(options="(name='same')", name="a"))
    write(tmp_path, "jobs/b.py", JOB.format(options="(queue='a b')", name="b"))
    write(tmp_path, "jobs/c.py", "def f(:\n")
    write(tmp_path, "jobs/d.py", "import jobs.c\n")
    write(tmp_path, "jobs/e.py", JOB.format(options="(name='same')", name="e"))
    write(tmp_path, "jobs/f.py", JOB.format(options="(backoff=lambda attempt: 1 / 0)", name="f"))
    write(
        tmp_path,
        "jobs/g.py",
        "class Thing: ...\n" + JOB.format(options="", name="g").replace("()", "(thing: Thing)"),
    )
    write(tmp_path, "jobs/h.py", JOB.format(options="(unique_key=lambda: 1 / 0)", name="h"))
    write(tmp_path, "jobs/z.py", "from jobs.e import e\n")
    write(
        tmp_path,
        "crons/a.py",
        "from pillars import crontab\nfrom jobs.f import f\n\nbad = crontab('61 * * * *', f)\n",
    )
    write(
        tmp_path,
        "crons/b.py",
        "from pillars import every\nfrom jobs.h import h\n\nkeyed = every('30s', h)\n",
    )
    write(tmp_path, "mine.py", "app = 5\n")
    write(tmp_path, "sql/app/0001_a.sql")
    write(tmp_path, "sql/app/0003_b.sql")
    write(tmp_path, "sql/app/c.sql")
    write(
        tmp_path,
        "pyproject.toml",
        '[tool.pillars]\nweb = "mine:app"\npool = "many"\ndrain = "5 parsecs"\n',
    )
    with app(tmp_path, None, "check", project=tmp_path, **SQL) as check:
        said = await ended(check, 1)
    for expected in (
        "[tool.pillars] pool: expected a whole number",
        "[tool.pillars] drain: expected seconds",
        "jobs/b.py:4: jobs.b: queue: expected",
        'jobs/c.py:1: importing "jobs.c" failed: SyntaxError: invalid syntax',
        'jobs/e.py:4: two jobs are named "same": one in jobs.a (',
        "jobs/f.py:4: job jobs.f.f: its backoff fails for attempt 1: ZeroDivisionError",
        "jobs/g.py:5: jobs.g.g: parameter thing: ",
        'crons/a.py:4: crons.a: crontab "61 * * * *", field 1 (minute)',
        "schedule crons.b.keyed: ZeroDivisionError",
        "[tool.pillars] web: expected an ASGI application",
        "expected 0002 next, got 0003_b.sql",
        "c.sql: expected a name such as 0001_orders.sql",
        "12 to mend before a deploy",
    ):
        assert said.count(expected) == 1, f"{expected!r} in {said}"


async def test_settings_that_cannot_be_read_at_all_are_one_problem(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool")
    with app(tmp_path, None, "check", project=tmp_path) as check:
        assert "pyproject.toml: not TOML" in await ended(check, 1)


async def test_an_unknown_name_is_a_warning_that_stops_no_deploy(tmp_path: Path) -> None:
    with app(tmp_path, None, "check", project=tmp_path, PILLARS_POOLS="3", **SQL) as check:
        assert "warning: PILLARS_POOLS is no setting; did you mean PILLARS_POOL?" in await ended(
            check, 0
        )


PARTED = """
[tool.pillars]
web = "mine:app"

[tool.pillars.environment]
web = ["SESSION_KEY"]
worker = ["SESSION_KEY", "STRIPE_KEY"]
"""
OF_WEB = {"SESSION_KEY": "one", "DATABASE_URL": "postgresql://app@127.0.0.1:1/none"}


async def test_each_role_is_given_what_it_needs_and_nothing_of_the_others(tmp_path: Path) -> None:
    write(tmp_path, "jobs/pay.py", JOB.format(options="", name="pay"))
    write(tmp_path, "mine.py", "import os\nos.environ['SESSION_KEY']\nasync def app(*call): ...\n")
    write(tmp_path, "sql/app/0001_orders.sql", "select 1")
    write(tmp_path, "pyproject.toml", PARTED)
    words = ["check", "--role", "web"]
    with app(tmp_path, None, *words, "--json", project=tmp_path, **SQL, **OF_WEB) as check:
        report: dict[str, Any] = json.loads(await ended(check, 0))
    assert report["variables"] == [
        {"name": "SESSION_KEY", "roles": ["web", "worker"], "is_set": True},
        {"name": "STRIPE_KEY", "roles": ["worker"], "is_set": False},
    ]
    with app(tmp_path, None, *words, project=tmp_path, **SQL, **OF_WEB, STRIPE_KEY="sk") as check:
        assert (
            "STRIPE_KEY is set, and is for worker alone: take it out of the environment of web"
            in await ended(check, 1)
        )
    (tmp_path / ".env").write_text("STRIPE_KEY=sk\n")  # which in dev all processes share
    in_dev = {"PILLARS_ENV": "dev", "SESSION_KEY": "one"}
    with app(tmp_path, None, *words, project=tmp_path, **SQL, **in_dev) as check:
        await ended(check, 0)
    with app(tmp_path, None, "check", "--role", "worker", project=tmp_path, **SQL) as check:
        said = await ended(check, 1)  # and does not import the web app
    for expected in (
        "DATABASE_URL is not set: in prod worker does not start without it",
        "SESSION_KEY is not set: worker needs it, says [tool.pillars.environment] of pyproject.toml",
        "STRIPE_KEY is not set",
        "3 to mend",
    ):
        assert said.count(expected) == 1, said


async def test_a_worker_is_judged_by_what_it_imports_and_leaves_out_the_web_app(
    tmp_path: Path,
) -> None:
    write(tmp_path, "shop/__init__.py")
    write(tmp_path, "shop/pay.py", JOB.format(options="", name="pay"))
    write(
        tmp_path,
        "shop/main.py",
        "import os\nos.environ['SESSION_KEY']\nasync def app(*call): ...\n",
    )
    write(tmp_path, "pyproject.toml", '[tool.pillars]\njobs = "shop"\nweb = "shop.main:app"\n')
    environ = {**SQL, "DATABASE_URL": OF_WEB["DATABASE_URL"]}
    with app(tmp_path, None, "check", "--role", "worker", project=tmp_path, **environ) as check:
        assert "shop.pay.pay" in await ended(check, 0)
    with app(tmp_path, None, "check", "--role", "web", project=tmp_path, **environ) as check:
        assert "KeyError" in await ended(check, 1)


async def test_a_module_that_reads_anothers_variable_is_told_when_to_read_it(
    tmp_path: Path,
) -> None:
    write(tmp_path, "jobs/pay.py", "import os\n\nKEY = os.environ['STRIPE_KEY']\n")
    write(tmp_path, "pyproject.toml", '[tool.pillars.environment]\nworker = ["STRIPE_KEY"]\n')
    with app(
        tmp_path, None, "check", "--role", "web", project=tmp_path, DATABASE_URL=OF_WEB["DATABASE_URL"]
    ) as check:  # fmt: skip
        said = await ended(check, 1)
    assert "jobs/pay.py:3: importing" in said
    assert "web has no STRIPE_KEY: read it when the job runs, not as its module is imported" in said


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[tool.pillars.environment]\nwebb = ['A']", "webb is no process: expected web, worker, cron; did you mean web?"),
        ("[tool.pillars.environment]\nweb = 'A'", 'web: expected a list such as ["STRIPE_KEY"], got "A"'),
        ("[tool.pillars.environment]\nweb = ['A-B']", 'web: expected names of variables, got "A-B"'),
        ("[tool.pillars.environment]\nweb = [5]", "web: expected names of variables, got 5"),
        ("[tool.pillars.environment]\nweb = ['PILLARS_TOKEN']", "web: PILLARS_TOKEN is a setting of the runtime"),
        ("[tool.pillars.environment]\nweb = ['PILLARS_ENV']", "web: PILLARS_ENV is a setting of the runtime"),
        ("[tool.pillars]\nenvironment = 5", "[tool.pillars.environment] is no table"),
    ],
)  # fmt: skip
async def test_a_table_of_variables_that_is_wrong_is_told_in_a_line(
    tmp_path: Path, table: str, expected: str
) -> None:
    write(tmp_path, "pyproject.toml", table)
    with app(tmp_path, None, "check", project=tmp_path) as check:
        assert expected in await ended(check, 1)
