"""Other designs do the same work: each job once, all of them in the history."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench import filling, raw, trials
from bench.command import choose
from bench.marks import Marks
from bench.server import Database, Server
from bench.workloads.trials import check_raw
from support import asking

JOBS = 200
MOST = 30


@pytest.fixture
async def tried(db: str) -> AsyncIterator[Database]:
    """A database as a trial has it."""
    async with asking(db) as connection:
        await connection.execute(raw.statements()["create"])
        await connection.execute(trials.statements()["create trials"])
        yield Database(db, connection, Server(db, 0))


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks.create(tmp_path / "marks", JOBS)


async def check(tried: Database, marks: Marks) -> None:
    marks.check()
    await filling.check_none_left(tried, "raw.jobs")
    await check_raw(tried, JOBS)


@pytest.mark.parametrize("way", ["in the row", "leased"])
async def test_two_connections_in_turn_do_each_job_once(
    tried: Database, marks: Marks, way: str
) -> None:
    await filling.fill_raw(tried, JOBS)
    does = trials.WAYS[way]()
    async with asking(tried.url) as one, asking(tried.url) as other:
        turns = (trials.take_turns(does, each, marks, MOST) for each in (one, other))
        await asyncio.gather(*turns)
    await check(tried, marks)


async def test_claims_ahead_of_the_finishes_do_each_job_once(tried: Database, marks: Marks) -> None:
    await filling.fill_raw(tried, JOBS)
    async with asking(tried.url) as claims, asking(tried.url) as finishes:
        await trials.claim_ahead(trials.InTheRow(), claims, finishes, marks, MOST)
    await check(tried, marks)


async def test_finish_and_claim_in_one_do_each_job_once(tried: Database, marks: Marks) -> None:
    await filling.fill_raw(tried, JOBS)
    async with asking(tried.url) as one, asking(tried.url) as other:
        turns = (trials.finish_and_claim(each, marks, MOST) for each in (one, other))
        await asyncio.gather(*turns)
    await check(tried, marks)


async def test_the_runtimes_statements_without_its_worker_do_each_job_once(
    tried: Database, marks: Marks
) -> None:
    await filling.fill(tried, JOBS, name="noop")
    async with asking(tried.url) as claims, asking(tried.url) as finishes:
        await trials.claim_ahead(trials.OfTheRuntime(), claims, finishes, marks, MOST)
    marks.check()
    await filling.check_none_left(tried, "pillars.jobs")
    await filling.check_history(tried, JOBS)


def test_trials_are_measured_only_where_they_are_named() -> None:
    assert "trials" not in {one.name for one, _ in choose([], [])}
    [(workload, names)] = choose(["trials"], ["raw", "batch lease"])
    assert (workload.name, names) == ("trials", ["raw", "batch lease"])
