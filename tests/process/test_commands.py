"""`app` as a new user meets it: help, errors, exit codes."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from process.pillar import PROJECT, ROOT, app
from support import ask

HEAVY = (
    "asyncpg",
    "anyio",
    "structlog",
    "starlette",
    "uvicorn",
    "jinja2",
    "msgspec",
    "watchfiles",
    "honcho",
    "jobs",
    "crons",
)


@pytest.mark.smoke
def test_help_loads_no_user_code_and_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pillars.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "worker" in done.stdout
    assert "LOADED []" in done.stdout


async def test_production_without_a_url_says_what_to_set(tmp_path: Path) -> None:
    with app(tmp_path, None, "worker") as worker:
        assert await worker.ended() == 2
        assert worker.output.count("\n") == 1
        assert "DATABASE_URL is not set" in worker.output


async def test_a_schema_that_is_behind_names_the_command(empty_db: str, tmp_path: Path) -> None:
    with app(tmp_path, empty_db, "worker") as worker:
        assert await worker.ended() == 1
        assert "run: app migrate" in worker.output
        assert "Traceback" not in worker.output


async def test_migrate_brings_an_empty_database_up_to_date(empty_db: str, tmp_path: Path) -> None:
    with app(tmp_path, empty_db, "migrate", "--check") as check:
        assert await check.ended() == 1
    with app(tmp_path, empty_db, "migrate", "--plan") as plan:
        assert await plan.ended() == 0
        assert "create table pillars.jobs" in plan.output
    assert await ask(empty_db, "select to_regclass('pillars.jobs') is null")
    with app(tmp_path, empty_db, "migrate") as migrate:
        assert await migrate.ended() == 0, migrate.output
    with app(tmp_path, empty_db, "migrate", "--check") as check:
        assert await check.ended() == 0, check.output


async def test_a_database_that_is_not_there_is_one_line_with_the_password_hidden(
    tmp_path: Path,
) -> None:
    with app(tmp_path, "postgresql://me:secret@127.0.0.1:1/none", "worker") as worker:
        assert await worker.ended() == 1
        assert "secret" not in worker.output
        assert "Traceback" not in worker.output


async def test_a_bad_setting_is_one_line(db: str, tmp_path: Path) -> None:
    with app(tmp_path, db, "worker", PILLARS_CONCURRENCY="abc") as worker:
        assert await worker.ended() == 2
        assert (
            'PILLARS_CONCURRENCY: expected a whole number from 1 to 10000, got "abc"'
            in worker.output
        )


async def test_code_that_does_not_import_is_one_line_with_its_place(
    db: str, tmp_path: Path
) -> None:
    jobs = tmp_path / "broken" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "__init__.py").write_text("")
    (jobs / "bad.py").write_text("1 / 0\n")
    with app(tmp_path, db, "worker", project=jobs.parent) as worker:
        assert await worker.ended() == 2
        assert 'importing "jobs.bad" failed: ZeroDivisionError' in worker.output
        assert "bad.py:1" in worker.output
        assert "Traceback" not in worker.output


def test_the_project_of_these_tests_is_an_app_as_users_write_it() -> None:
    assert (PROJECT / "jobs" / "work.py").exists()


async def test_a_port_in_use_is_one_line(db: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with app(tmp_path, db, "web", PORT=port, HOST="127.0.0.1") as web:
            assert await web.ended() == 2
            assert f"port {port} is in use; set PORT or stop the other process" in web.output
            assert "Traceback" not in web.output


async def test_a_listing_loads_neither_web_nor_logging_nor_user_code(db: str) -> None:
    code = (
        "import sys\nfrom pillars.cli import main\n"
        "try:\n    main(['jobs', 'list', '--json'])\nexcept SystemExit:\n    pass\n"
        "heavy = ('structlog', 'starlette', 'uvicorn', 'jinja2', 'pillars.embedded', 'pillars.web', 'pillars.registry', 'jobs', 'crons')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    environ = {"PATH": "", "PYTHONPATH": str(ROOT), "DATABASE_URL": db, "PILLARS_ENV": "prod"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '{"items":[],"next":null}\n[]\n', done.stderr


async def test_a_port_in_use_is_found_before_the_database_is_asked(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        nowhere = "postgresql://me@127.0.0.1:1/none"
        with app(tmp_path, nowhere, "web", PORT=port, HOST="127.0.0.1") as web:
            assert await web.ended() == 2
            assert f"port {port} is in use" in web.output
        with app(tmp_path, nowhere, "worker", PILLARS_HEALTH_PORT=port) as worker:
            assert await worker.ended() == 2
            assert f"port {port} is in use; set PILLARS_HEALTH_PORT" in worker.output


async def test_a_lifespan_that_fails_is_one_line_with_its_place(db: str, tmp_path: Path) -> None:
    environ = {"HOST": "127.0.0.1", "PORT": "0", "PILLARS_WEB": "front:app"}
    with app(tmp_path, db, "web", project=PROJECT, FAILS_AT=str(tmp_path), **environ) as web:
        assert await web.ended() == 1
        assert web.output == (
            "app: the web application did not start: RuntimeError: no licence key (front.py:20)\n"
        )


async def test_migrate_tells_of_unknown_names_as_pillars_do(db: str, tmp_path: Path) -> None:
    with app(tmp_path, db, "migrate", "--check", PILLARS_LOK="5s") as check:
        assert await check.ended() == 0
        assert "PILLARS_LOK is no setting; did you mean PILLARS_LOCK?" in check.output


@pytest.mark.parametrize("words", [("worker",), ("migrate",), ("migrate", "--check")])
async def test_a_direct_url_to_another_database_is_refused_before_anything_is_made_there(
    db: str, empty_db: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with app(tmp_path, db, *words, PILLARS_ENV="prod", DATABASE_DIRECT_URL=empty_db) as started:
        assert await started.ended() == 2
        assert "DATABASE_DIRECT_URL: expected another way to the database" in started.output
    assert await ask(empty_db, "select to_regnamespace('pillars') is null")
