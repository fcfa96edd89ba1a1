"""The runtime's statements keep their plans: one that was made over empty tables must serve full ones."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from declared import declared

from pillars.store import claiming, settling
from pillars.store.pool import PLANNED_ONCE, Address
from pillars.store.statements import Statement
from stepping import Hand, define, rows_read
from support import tell

NOT_PLANNED = ("session/", "ledger/hold_off_vacuum", "testing/")
"""What is no query, and what the tests of apps run."""
GROWING = ("jobs", "locks", "attempts", "finished_", "job_events", "job_messages")
SHORT = {
    "jobs_waiting",
    "jobs_expiring",
    "jobs_parked_ids",
}  # indexes of the few rows that stand in them
A_ROW_A_CLAIM = "locks has a row a claim, and few are held"
READ_WHOLE = {
    ("workers/leave", "locks"): A_ROW_A_CLAIM,
    ("locks/beat", "locks"): A_ROW_A_CLAIM,
    ("locks/held", "locks"): A_ROW_A_CLAIM,
    ("jobs/ids_running", "locks"): A_ROW_A_CLAIM,
    ("jobs/ids_running", "jobs"): "while the table is small, which the statement asks first",
    ("diagnosis/expired", "locks"): A_ROW_A_CLAIM,
    ("diagnosis/names", "jobs"): "app doctor alone asks it",
    ("diagnosis/overdue", "jobs"): "app doctor alone asks it",
    ("diagnosis/waiting", "jobs"): "app doctor alone asks it",
    ("names/find", "jobs"): "a command about one name asks it",
    ("names/list", "jobs"): "while the table is small: pillars.unfinished()",
    (
        "names/newest",
        "jobs",
    ): "stops at the first; no index is by name, which would cost every enqueue",
    ("names/unfinished", "jobs"): "whoever cancels all jobs of a name asks it; no index is by name",
    ("queues/find", "jobs"): "a command about one queue asks it",
    ("queues/is_known", "jobs"): "stops at the first",
    ("queues/list", "jobs"): "while the table is small: pillars.unfinished()",
    ("stats/look", "jobs"): "while the table is small: pillars.unfinished()",
    ("job_events/position", "job_events"): "stops at the newest of each day",
    ("stats/look", "finished_"): "days that no sweep has counted, 20,000 rows of each",
}
FEW, MANY = 60, 30_000
FILL = "insert into pillars.jobs (job_id, name, queue) select pillars.uuid7(), 'work', 'default' from generate_series(1, $1::int)"

Node = dict[str, Any]


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


@asynccontextmanager
async def keeper(db: str) -> AsyncIterator[Hand]:
    """A worker on a connection that keeps its plans, as the runtime's do."""
    session = await Address(db).connect(**PLANNED_ONCE)
    try:
        yield Hand(session)
    finally:
        await session.close()


async def know(db: str, what: str) -> None:
    """Let the planner know nothing of the tables, or that they are empty, or hold few rows; or many, which do not lie dead."""
    if what != "nothing":
        rows = {"empty": 0, "few": FEW, "many": MANY}[what]
        await tell(db, FILL, rows)
        await tell(
            db,
            "vacuum analyze pillars.jobs, pillars.locks, pillars.attempts, pillars.finished_jobs",
        )


def nodes(plan: Node, parent: str = "") -> Iterator[tuple[Node, str]]:
    """Each node with the kind of the one above it; what merges the walks of several days in order is passed over."""
    yield plan, parent
    kind = parent if plan["Node Type"] == "Merge Append" else plan["Node Type"]
    for below in plan.get("Plans", ()):
        yield from nodes(below, kind)


def reads_it_all(node: Node, parent: str) -> bool:
    """Whether a scan of a table that grows is narrowed by nothing: no place, no condition of its index, no limit on a walk in order."""
    if not node["Node Type"].endswith("Scan") or not node.get("Relation Name", "").startswith(
        GROWING
    ):
        return False
    narrowed = (
        node.keys() & {"Index Cond", "TID Cond", "Recheck Cond"} or node.get("Index Name") in SHORT
    )
    return not narrowed and parent != "Limit"


def allowed(statement: Statement[Any], node: Node) -> bool:
    return any(
        statement.name == name and node["Relation Name"].startswith(table)
        for name, table in READ_WHOLE
    )


def planned() -> list[Statement[Any]]:
    """Every statement of the runtime's."""
    return [
        one
        for name, one in declared().items()
        if not name.startswith(NOT_PLANNED) and not name.endswith("_named")
    ]


async def kept_plan(worker: Hand, statement: Statement[Any]) -> Node:
    await worker.session.connection.execute(f"prepare kept as {statement.text}")
    count = await worker.ask(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'kept'"
    )
    values = f"({', '.join(['null'] * count)})" if count else ""
    text = await worker.ask(f"explain (format json) execute kept{values}")
    await worker.ask("deallocate kept")
    [top] = json.loads(text)
    return dict(top["Plan"])


@pytest.mark.parametrize("known", ["nothing", "empty", "few", "many"])
async def test_no_kept_plan_reads_all_of_a_table_that_grows(db: str, known: str) -> None:
    await know(db, known)
    async with keeper(db) as worker:
        for statement in planned():
            plan = await kept_plan(worker, statement)
            bad = [
                node
                for node, parent in nodes(plan)
                if reads_it_all(node, parent) and not allowed(statement, node)
            ]
            assert not bad, f"{statement.name}: {json.dumps(bad, indent=1)}"


@pytest.mark.parametrize("statement", [settling.FINISH, settling.PUT_BACK])
async def test_what_is_written_looks_at_no_day_of_the_history(
    db: str, statement: Statement[Any]
) -> None:
    async with keeper(db) as worker:
        plan = await kept_plan(worker, statement)
    looked_at = [
        node["Relation Name"]
        for node, _ in nodes(plan)
        if node["Node Type"].endswith("Scan") and "Relation Name" in node
    ]
    assert not [name for name in looked_at if name.startswith(("finished_", "attempts"))]


@pytest.mark.parametrize("known", ["nothing", "empty", "few", "many"])
async def test_statements_whose_plans_were_kept_read_no_more_once_a_table_is_full(
    db: str, known: str
) -> None:
    """Whatever the planner knew: also that all jobs have one name."""
    await know(db, known)
    async with keeper(db) as worker:
        await turn(worker)
        await tell(db, FILL, MANY)
        async with worker.session.transaction():
            await turn(worker)
            assert await rows_read(worker.session) < 1_000  # of 30,000 and more


@pytest.mark.parametrize("statement", [claiming.CLAIM, claiming.CLAIM_LANE])
async def test_a_claim_is_planned_to_stop_early_also_where_all_jobs_have_one_name(
    db: str, statement: Statement[Any]
) -> None:
    """Who expects few rows has no reason to walk in order: on some servers all that is due was read and sorted, a claim."""
    await know(db, "many")
    async with keeper(db) as worker:
        plan = await kept_plan(worker, statement)
    [expected] = [
        node["Plan Rows"]
        for node, _ in nodes(plan)
        if node.get("Index Name") == "jobs_claim" and "name = ANY" in node.get("Filter", "")
    ]
    assert expected > MANY / 100


async def turn(worker: Hand) -> None:
    """Claim, put back, claim and finish ten jobs, if there are any."""
    claim = await worker.claim()
    await worker.put_back(*claim.jobs, last_of=tokens(claim))
    claim = await worker.claim_in_lanes()
    await worker.finish(*claim.jobs, last_of=tokens(claim))


def tokens(claim: claiming.Claim) -> list[int]:
    return [job.lock_token for job in claim.jobs[:1]]
