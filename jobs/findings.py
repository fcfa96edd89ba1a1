"""What is to be said about a parsed file: one job a finding, side by side; the last one ends the upload."""

from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from pillars import Context, enqueue_many, job

Topic = Literal["column", "levels", "hours", "words", "lines"]

MOST_COLUMNS = 50  # are described; the others are stored all the same

TOPICS: dict[str, list[tuple[Topic, str]]] = {
    "log": [("levels", "Levels"), ("hours", "The last 24 hours")],
    "text": [("words", "Words"), ("lines", "Longest lines")],
}

DESCRIBING = """
update uploads set state = 'describing', touched_at = now() where upload_id = $1
"""

EXPECT = """
insert into upload_findings (upload_id, position, topic, label, job_id) values ($1, $2, $3, $4, $5)
"""

FOUND = "update upload_findings set content = $3 where upload_id = $1 and position = $2"

# One after the other. Without this lock the last two jobs, each unaware of the other's row, would both leave the end to the other.
HOLD = "select from uploads where upload_id = $1 for no key update"

DONE = """
update uploads set state = 'done', finished_at = now(), touched_at = now()
where upload_id = $1 and state = 'describing'
    and not exists (select from upload_findings where upload_id = $1 and content is null)
"""

COLUMN = r"""
with counted as (
    select left(cells[$2::integer], 200) as value, count(*) as times
    from upload_rows
    where upload_id = $1 and cells[$2::integer] <> ''
    group by 1
), described as (
    select coalesce(sum(times), 0) as filled,
        count(*) as different,
        bool_and(value ~ '^[+-]?\d{1,30}(\.\d{1,30})?$') as is_number,
        bool_and(value ~ '^\d{4}-\d\d-\d\d') as is_date,
        min(case when value ~ '^[+-]?\d{1,30}(\.\d{1,30})?$' then value::numeric end) as lowest,
        max(case when value ~ '^[+-]?\d{1,30}(\.\d{1,30})?$' then value::numeric end) as highest,
        min(value collate "C") as first,
        max(value collate "C") as last
    from counted
), top as (
    select value, times from counted order by times desc, value collate "C" limit 3
)
select jsonb_build_object(
    'type', case when is_number then 'number' when is_date then 'date' when filled > 0 then 'text' else 'empty' end,
    'filled', filled,
    'different', different,
    'min', case when is_number then lowest::text else first end,
    'max', case when is_number then highest::text else last end,
    'top', (select coalesce(jsonb_agg(jsonb_build_array(value, times) order by times desc, value collate "C"), '[]') from top)
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

STATEMENTS = {"levels": LEVELS, "hours": HOURS, "words": WORDS, "lines": LINES}


async def plan(connection: Any, upload_id: UUID, kind: str, columns: Iterable[str] | None) -> None:
    """Enqueue all findings of a file that is parsed, and note which are expected, in the caller's transaction."""
    topics = TOPICS.get(kind) or [("column", name) for name in list(columns or ())[:MOST_COLUMNS]]
    numbered = [(position, *topic) for position, topic in enumerate(topics, start=1)]
    handles = await enqueue_many(
        (describe.call(upload_id, position, topic) for position, topic, _ in numbered),
        connection=connection,
    )
    await connection.executemany(
        EXPECT,
        [(upload_id, *row, handle.job_id) for row, handle in zip(numbered, handles, strict=True)],
    )
    await connection.execute(DESCRIBING, upload_id)


@job(timeout="1h")
async def describe(ctx: Context, upload_id: UUID, position: int, topic: Topic) -> None:
    """Store one finding. The job that stores the last one ends the upload in the same transaction."""
    async with ctx.connection() as connection:
        if topic == "column":
            content = await connection.fetchval(COLUMN, upload_id, position)
        else:
            content = await connection.fetchval(STATEMENTS[topic], upload_id)
        await connection.execute(HOLD, upload_id)
        await connection.execute(FOUND, upload_id, position, content)
        await connection.execute(DONE, upload_id)
