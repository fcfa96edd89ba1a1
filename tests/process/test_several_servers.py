"""Commands and processes whose URL names several servers."""

from pathlib import Path
from urllib.parse import urlsplit

from process.pillar import app, ready_app
from process.relay import relayed
from relaying import NOBODY, place, relay, several, standby
from support import ask, until

READ_WRITE = "?target_session_attrs=read-write"


async def test_every_command_finds_the_server_that_takes_writes(db: str, tmp_path: Path) -> None:
    async with relay(db, standby) as reading, relayed(db) as writing:
        url = several(db, NOBODY, place(reading), place(writing.url)) + READ_WRITE
        for words in (("migrate",), ("jobs", "list", "--json"), ("schedules", "list")):
            with app(tmp_path, url, *words) as command:
                assert await command.ended() == 0, command.output
        with app(tmp_path, url, "doctor", "--json", PILLARS_ENV="dev") as doctor:
            await doctor.ended()
        assert "a primary that takes writes" in doctor.output
        with app(tmp_path, url, "config") as config:
            assert await config.ended() == 0, config.output
        assert urlsplit(url).netloc in config.output


QUICK_DONE = (
    "select exists (select from pillars.finished_jobs where name = 'quick' and state = 'completed')"
)


async def test_every_process_works_where_one_of_several_servers_takes_writes(
    db: str, tmp_path: Path
) -> None:
    async with relay(db, standby) as reading, relayed(db) as writing:
        url = several(db, NOBODY, place(reading), place(writing.url)) + READ_WRITE
        async with ready_app(tmp_path, url, "worker"), ready_app(tmp_path, url, "cron"):
            await ask(db, "select pillars.enqueue('quick', '{\"number\": 7}')")
            await until(lambda: ask(db, QUICK_DONE))
            await until(
                lambda: ask(
                    db, "select bool_and(listening) from pillars.workers where role = 'worker'"
                )
            )
            await until(lambda: ask(db, "select bool_or(leads) from pillars.workers"))


async def test_a_way_to_a_standby_is_refused_in_one_line(tmp_path: Path) -> None:
    with app(tmp_path, "postgresql://u:hunter2@a,b/app?target_session_attrs=any", "worker") as run:
        assert await run.ended() == 2
    assert run.output.count("\n") == 1
    assert "set it to read-write" in run.output
    assert "hunter2" not in run.output
