"""What processes cost while Postgres is away, and while there is nothing to do."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from pillars.store.database import Database
from process.dev import free_port
from process.pillar import App, ready_app
from process.relay import relayed
from support import ask, until

pytestmark = pytest.mark.slow
TRIES = {"web": 3, "worker": 20, "cron": 6}
A_SECOND = 10.0  # tries, of all loops of a process together, each of which tries thrice in its first second
SHARE = 0.5  # of a processor
A_BEAT = 12  # pieces that an idle worker sends from one sign of life to the next: sweeps, looks for jobs, and that sign
CONNECTED = "select count(*) > 0 from pg_stat_activity where datname = current_database() and application_name like 'pillars%'"
SEEN = "select seen_at from pillars.workers"


def processor_time(app: App) -> float:
    """Seconds, of all its threads."""
    fields = Path(f"/proc/{app.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("role", TRIES)
async def test_a_process_without_its_database_tries_with_patience(
    db: str, tmp_path: Path, role: str
) -> None:
    async with (
        relayed(db) as relay,
        ready_app(tmp_path, relay.url, role, PORT=str(free_port())) as process,
    ):
        before, used, began = relay.accepted, processor_time(process), time.monotonic()
        relay.lead_to(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
        await until(lambda: relay.accepted - before >= TRIES[role])
        took = time.monotonic() - began
        assert (relay.accepted - before) / took < A_SECOND
        assert processor_time(process) - used < SHARE * took
        relay.lead_to(db)
        await until(lambda: ask(db, CONNECTED))
        assert process.process.poll() is None, process.output


async def test_an_idle_worker_asks_next_to_nothing(
    db: str, database: Database, tmp_path: Path
) -> None:
    async with relayed(db) as relay, ready_app(tmp_path, relay.url, "worker", PILLARS_LOCK="6s"):
        asked = []
        for _ in range(3):
            seen = await ask(db, SEEN)
            await until(partial(changed, db, seen))
            asked.append(relay.asked)
        assert asked[2] - asked[1] <= A_BEAT


async def changed(db: str, seen: object) -> bool:
    return bool(await ask(db, SEEN) != seen)
