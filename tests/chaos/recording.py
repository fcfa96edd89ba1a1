"""What was noted about a run, read once nothing moves any more."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from chaos.history import Asked, Event, History, Run

SQL = Path(__file__).parent / "recording.sql"
EVENTS = """
    select number, job_id::text, what, token, attempt, max_attempts, coalesce(crashes, 0) as crashes, swept, state, key, told,
           coalesce(extract(epoch from run_at), 0)::float8 as run_at,
           extract(epoch from noted_at)::float8 as at, extract(epoch from began_at)::float8 as began_at
    from chaos.events order by number
"""
EXPIRIES = (
    "select token, number, extract(epoch from expires_at)::float8 from chaos.locks order by number"
)
UNFINISHED = "select job_id::text from pillars.jobs"
FINISHED = "select job_id::text, count(*) from pillars.finished_jobs group by job_id"
SAID = """
    select job_id::text, array_agg(event_id order by event_id) from pillars.job_events
    where job_id = any($1::uuid[]) and kind = 'output' group by job_id
"""


async def note_all(url: str) -> None:
    """Have a database write down every change of who holds a job."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SQL.read_text())
    finally:
        await connection.close()


async def history(
    url: str,
    runs: Path,
    asked: Sequence[Asked],
    cancels: Mapping[str, str],
    *,
    killed: Mapping[int, float] | None = None,
    heard: Mapping[str, Sequence[int]] | None = None,
) -> History:
    """What the rows, the files of runs in a folder, the clients, whoever killed, and followers say."""
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=_decoded)
        events = [
            Event(**(dict(row) | {"told": row["told"] or {}}))
            for row in await connection.fetch(EVENTS)
        ]
        expiries: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for token, number, at in await connection.fetch(EXPIRIES):
            expiries[token].append((number, at))
        return History(
            asked=asked,
            events=events,
            runs=await asyncio.to_thread(runs_in, runs),
            expiries=expiries,
            cancels=cancels,
            unfinished=frozenset(row[0] for row in await connection.fetch(UNFINISHED)),
            finished={row[0]: row[1] for row in await connection.fetch(FINISHED)},
            killed=killed or {},
            said={row[0]: row[1] for row in await connection.fetch(SAID, list(heard or ()))},
            heard=heard or {},
        )
    finally:
        await connection.close()


def _decoded(text: str) -> object:
    told = json.loads(text)
    return told if isinstance(told, dict) else {}


def runs_in(folder: Path) -> list[Run]:
    """The runs of all processes. A line is one write, so a kill tears none."""
    began: list[tuple[str, int, int, float, int]] = []
    ended: dict[tuple[str, int, int], float] = {}
    alive: dict[tuple[str, int, int], float] = {}
    for file in folder.glob("*.runs"):
        for line in file.read_text().splitlines():
            word, job_id, token, pid, at, parent = line.split()
            key = job_id, int(token), int(pid)
            if word == "began":
                began.append((*key, float(at), int(parent)))
            else:
                (ended if word == "ended" else alive)[key] = float(at)
    return [
        Run(
            job_id=job_id,
            token=token,
            pid=pid,
            began_at=at,
            ended_at=ended.get((job_id, token, pid)),
            parent=parent,
            alive_at=alive.get((job_id, token, pid), at),
        )
        for job_id, token, pid, at, parent in began
    ]
