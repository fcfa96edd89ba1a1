"""What is to be said about a parsed file: one job a finding, a few side by side; the last one ends the upload."""

from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from pillars import Context, enqueue_many, job

Topic = Literal["column", "levels", "hours", "words", "lines"]

MOST_COLUMNS = 50  # are described; the others are stored all the same
LANES = 3  # findings at a time: a query over a million rows must leave connections for other jobs

TOPICS: dict[str, list[tuple[Topic, str]]] = {
    "log": [("levels", "Levels"), ("hours", "The last 24 hours")],
    "text": [("words", "Words"), ("lines", "Longest lines")],
}

DESCRIBING = """
update uploads set state = 'describing', touched_at = pillars.now() where upload_id = $1
"""

EXPECT = """
insert into upload_findings (upload_id, position, topic, label) values ($1, $2, $3, $4)
"""

BEGUN = "update upload_findings set job_id = $3 where upload_id = $1 and position = $2"

# Held to the end of the transaction: a second worker with the same finding waits here, and then finds no row.
HOLD_FINDING = """
select topic from upload_findings where upload_id = $1 and position = $2 and content is null
for update
"""

FOUND = "update upload_findings set content = $3 where upload_id = $1 and position = $2"

IS_EXPECTED = "select exists (select from upload_findings where upload_id = $1 and position = $2)"

# One after the other. Without this lock the last two jobs, each unaware of the other's row, would both leave the end to the other.
HOLD_UPLOAD = "select from uploads where upload_id = $1 for no key update"

DONE = """
update uploads set state = 'done', finished_at = pillars.now(), touched_at = pillars.now()
where upload_id = $1 and state = 'describing'
    and not exists (select from upload_findings where upload_id = $1 and content is null)
"""

COLUMN = r"""
with counted as (
    select left(cells[$2::integer], 200) collate "C" as value, count(*) as times
    from upload_rows
    where upload_id = $1 and cells[$2::integer] <> ''
    group by 1
), judged as (
    select value, times, value ~ '^[+-]?\d+(\.\d+)?$' as is_number, value ~ '^\d\d\d\d-\d\d-\d\d' as is_date
    from counted
), described as (
    select coalesce(sum(times), 0) as filled,
        count(*) as different,
        bool_and(is_number) as is_number,
        bool_and(is_date) as is_date,
        min(case when is_number then value::numeric end) as lowest,
        max(case when is_number then value::numeric end) as highest,
        min(value) as first,
        max(value) as last
    from judged
), top as (
    select value, times from counted order by times desc, value limit 3
)
select jsonb_build_object(
    'type', case when is_number then 'number' when is_date then 'date' when filled > 0 then 'text' else 'empty' end,
    'filled', filled,
    'different', different,
    'min', case when is_number then lowest::text else first end,
    'max', case when is_number then highest::text else last end,
    'top', (select coalesce(jsonb_agg(jsonb_build_array(value, times) order by times desc, value), '[]') from top)
)
from described
"""

LEVELS = """
select coalesce(jsonb_agg(jsonb_build_array(level, lines) order by lines desc, level), '[]')
from (
    select coalesce(level, 'none') as level, count(*) as lines
    from upload_rows
    where upload_id = $1
    group by 1
) counted
"""

HOURS = """
select coalesce(jsonb_agg(jsonb_build_array(hour, lines, warnings, errors) order by hour), '[]')
from (
    select to_char(date_trunc('hour', logged_at at time zone 'UTC'), 'YYYY-MM-DD HH24:00') as hour,
        count(*) as lines,
        count(*) filter (where level = 'WARNING') as warnings,
        count(*) filter (where level in ('ERROR', 'CRITICAL', 'FATAL')) as errors
    from upload_rows
    where upload_id = $1 and logged_at is not null
    group by 1
    order by 1 desc
    limit 24
) counted
"""

WORDS = r"""
with counted as (
    select word, count(*) as times
    from upload_rows, regexp_split_to_table(lower(cells[1]), '[\s[:punct:]]+') as word
    where upload_id = $1 and word <> ''
    group by word
), top as (
    select word, times from counted where char_length(word) > 3 order by times desc, word limit 20
)
select jsonb_build_object(
    'words', (select coalesce(sum(times), 0) from counted),
    'different', (select count(*) from counted),
    'top', (select coalesce(jsonb_agg(jsonb_build_array(left(word, 60), times) order by times desc, word), '[]') from top)
)
"""

LINES = """
select coalesce(jsonb_agg(jsonb_build_array(number, characters, line) order by characters desc, number), '[]')
from (
    select number, char_length(cells[1]) as characters, left(cells[1], 200) as line
    from upload_rows
    where upload_id = $1
    order by characters desc, number
    limit 5
) longest
"""

STATEMENTS = {"column": COLUMN, "levels": LEVELS, "hours": HOURS, "words": WORDS, "lines": LINES}


async def plan(connection: Any, upload_id: UUID, kind: str, columns: Iterable[str] | None) -> None:
    """Note which findings a parsed file is to have, and enqueue the first, in the caller's transaction."""
    topics = TOPICS.get(kind) or [("column", name) for name in list(columns or ())[:MOST_COLUMNS]]
    rows = [(upload_id, position, *topic) for position, topic in enumerate(topics, start=1)]
    await connection.executemany(EXPECT, rows)
    await connection.execute(DESCRIBING, upload_id)
    await _begin(connection, upload_id, range(1, min(LANES, len(rows)) + 1))


@job(timeout="1h")
async def describe(ctx: Context, upload_id: UUID, position: int) -> None:
    """Store one finding and go on with the next of its lane. Whoever stores the last one ends the upload."""
    async with ctx.connection() as connection:
        topic = await connection.fetchval(HOLD_FINDING, upload_id, position)
        if topic is None:
            return  # stored already, or the upload was pruned
        arguments = (upload_id, position) if topic == "column" else (upload_id,)
        content = await connection.fetchval(STATEMENTS[topic], *arguments)
        await connection.execute(HOLD_UPLOAD, upload_id)
        await connection.execute(FOUND, upload_id, position, content)
        await connection.execute(DONE, upload_id)
        if await connection.fetchval(IS_EXPECTED, upload_id, position + LANES):
            await _begin(connection, upload_id, [position + LANES])


async def _begin(connection: Any, upload_id: UUID, positions: Iterable[int]) -> None:
    """Enqueue findings, all of them in one statement."""
    listed = list(positions)
    calls = [describe.call(upload_id, position) for position in listed]
    handles = await enqueue_many(calls, connection=connection)
    begun = zip(listed, handles, strict=True)
    await connection.executemany(BEGUN, [(upload_id, one, handle.job_id) for one, handle in begun])
