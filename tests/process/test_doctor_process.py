"""`app doctor` beside real processes, and where there is nothing at all."""

import json
import socket
from pathlib import Path
from typing import Any

from pillars.cli.doctor.catalogue import CANARY, CHECKS
from process.pillar import PROJECT, app, ready_app
from support import ask, until

TIMES = {"database.latency", "code.imports"}  # on a busy machine they may be worth heeding
DEV: dict[str, Any] = {"PILLARS_ENV": "dev", "PILLARS_LOCK": "5s", "HOST": "127.0.0.1"}


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


async def doctor(
    folder: Path, dsn: str | None, *words: str, code: int, project: Path = PROJECT, **environ: str
) -> dict[str, dict[str, Any]]:
    with app(folder, dsn, "doctor", "--json", *words, project=project, **environ) as run:
        assert await run.ended() == code, run.output
        document = json.loads(run.output)
    assert document["ok"] is (code == 0)
    return {one["id"]: one for one in document["checks"]}


async def test_a_healthy_system_is_found_healthy_and_its_canary_comes_back(
    db: str, tmp_path: Path
) -> None:
    environ: dict[str, Any] = {**DEV, "PORT": free_port()}
    async with (
        ready_app(tmp_path, db, "worker", **environ),
        ready_app(tmp_path, db, "cron", **environ),
        ready_app(tmp_path, db, "web", **environ),
    ):
        await until(lambda: ask(db, "select count(*) = 3 from pillars.workers"))
        found = await doctor(tmp_path, db, "--canary", code=0, **environ)
    assert sorted(found) == sorted([*(check.id for check in CHECKS), CANARY])
    assert not [one for one in found.values() if one["status"] != "ok" and one["id"] not in TIMES]
    assert f"ran on {socket.gethostname()} pid " in found[CANARY]["evidence"]
    assert "app web runs here" in found["web.port"]["evidence"]


async def test_a_worker_that_was_killed_and_what_it_left_is_found(db: str, tmp_path: Path) -> None:
    async with ready_app(tmp_path, db, "worker", **DEV) as worker:
        await until(lambda: ask(db, "select count(*) = 1 from pillars.workers"))
        worker.process.kill()
        assert await worker.ended() == -9
    await ask(db, "update pillars.workers set seen_at = seen_at - interval '1 minute' returning 1")
    found = await doctor(tmp_path, db, "--canary", "--timeout", "300ms", code=1, **DEV)
    assert found["processes.workers"]["status"] == "warn"
    assert "no worker that is alive serves it" in found[CANARY]["evidence"]


async def test_without_a_database_and_with_broken_code_both_are_told(tmp_path: Path) -> None:
    jobs = tmp_path / "broken" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "__init__.py").write_text("1 / 0\n")
    nowhere = "postgresql://me:hunter2@127.0.0.1:1/none"
    found = await doctor(tmp_path, nowhere, code=1, project=jobs.parent)
    assert found["code.imports"]["status"] == found["database.reachable"]["status"] == "fail"
    assert "jobs/__init__.py:1" in found["code.imports"]["evidence"]
    assert found["jobs.waiting"] == {
        "id": "jobs.waiting",
        "status": "skip",
        "evidence": "no database",
        "fix": None,
    }
    assert "hunter2" not in str(found)


async def test_production_without_a_url_is_a_finding_and_no_end(tmp_path: Path) -> None:
    found = await doctor(tmp_path, None, code=1)
    assert "DATABASE_URL is not set" in found["database.reachable"]["evidence"]


async def test_for_people_it_is_grouped_and_plain_where_there_is_no_terminal(
    db: str, tmp_path: Path
) -> None:
    with app(tmp_path, db, "doctor", "--canary", "--timeout", "100ms", **DEV) as run:
        assert await run.ended() == 1
        assert "\x1b" not in run.output
        assert "\njobs\n  ok    locks " in run.output
        assert "-> start one: app worker -q default, or without -q" in run.output
        assert run.output.splitlines()[-1].endswith("1 failed, 0 skipped")
    with app(tmp_path, db, "doctor", FORCE_COLOR="1", **DEV) as run:
        assert await run.ended() == 0
        assert "\x1b[32mok" in run.output


async def test_a_wrong_queue_or_time_is_a_usage_error(db: str, tmp_path: Path) -> None:
    for words, said in (
        (("--queue", "a b"), "--queue: expected 1 to 100"),
        (("--timeout", "soon"), "--timeout: expected seconds"),
    ):
        with app(tmp_path, db, "doctor", "--canary", *words) as run:
            assert await run.ended() == 2
            assert said in run.output
            assert run.output.count("\n") == 1
