"""An uploaded file, analysed in stages: examine, parse, describe.

Each stage is a job, and each job ends with one transaction that stores what it found and enqueues what comes next. A job that
is killed has stored nothing and simply runs again; one that runs again after its transaction was committed sees that its work
is done and does nothing. So the numbers are right whatever happens, and any stage runs on any machine.

    examine -> parse (2 MiB) -> parse (the next 2 MiB) -> ... -> describe, three at a time
"""

import asyncio
import codecs
from itertools import islice
from typing import Any
from uuid import UUID

from jobs.detection import Format, likely_encoding, look, refusal
from jobs.findings import plan
from jobs.records import Stretch, read_stretch
from pillars import Context, job

CHUNK = 1024 * 1024  # bytes in a row of upload_chunks
STRETCH = 2 * CHUNK  # of one parse job: well under a second of work, and more than the longest row
BATCH = (
    2_000  # rows of one COPY: asyncpg encodes them on the loop, which must not stand still for long
)

RECEIVED = "select name from uploads where upload_id = $1 and state = 'received'"

REFUSE = """
update uploads set state = 'refused', reason = $2, finished_at = pillars.now(), touched_at = pillars.now()
where upload_id = $1 and state = 'received'
"""

EXAMINED = """
update uploads set state = 'parsing', touched_at = pillars.now(),
    kind = $2, encoding = $3, delimiter = $4, columns = $5, header = $6
where upload_id = $1 and state = 'received'
returning upload_id
"""

# Held to the end of the transaction: a second worker with the same stretch waits here, and then finds no row.
HOLD_STRETCH = """
select bytes, row_count, kind, encoding, delimiter, columns, header from uploads
where upload_id = $1 and state = 'parsing' and parsed_bytes = $2
for no key update
"""

PARSED = """
update uploads set touched_at = pillars.now(), parsed_bytes = parsed_bytes + $2,
    row_count = row_count + $3, ragged_rows = ragged_rows + $4, cut_lines = cut_lines + $5
where upload_id = $1
"""

ROW = ("upload_id", "number", "cells", "level", "logged_at")

CONTINUED_BY = "update uploads set job_id = $2 where upload_id = $1"

CHUNKS = """
select content from upload_chunks where upload_id = $1 and number between $2 and $3 order by number
"""


@job(timeout="1h")
async def examine(ctx: Context, upload_id: UUID) -> str:
    """Tell what a file is: its kind, its encoding, its columns. Refuse what is not text."""
    async with ctx.connection() as connection:
        name = await connection.fetchval(RECEIVED, upload_id)
        if name is None:
            return "nothing to do"
        sample = await _read(connection, upload_id, 0, CHUNK)
        reason = refusal(sample)
        encoding = None if reason else await _encoding(connection, upload_id, sample)
        if encoding is None:
            reason = reason or "damaged: it begins as UTF-16 and does not go on so"
            await connection.execute(REFUSE, upload_id, f"It is {reason}.")
            return f"refused: {reason}"
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
        shape = look(text, encoding=encoding, name=name)
        if await connection.fetchval(EXAMINED, upload_id, *_stored(shape)):
            await _go_on(connection, upload_id, start=0)
    return f"{shape.kind}, {shape.encoding}"


@job(timeout="10m")
async def parse(
    ctx: Context, upload_id: UUID, start: int, *, inside_line: bool = False
) -> int | None:
    """Store the rows of the stretch that begins at byte `start`, then go on with the next.

    `inside_line` says that the stretch before ended within a line that was too long. Returns the number of rows.
    """
    async with ctx.connection() as connection:
        upload = await connection.fetchrow(HOLD_STRETCH, upload_id, start)
        if upload is None:
            return None  # the stretch is stored already, or the upload was pruned
        block = await _read(connection, upload_id, start, STRETCH)
        last = start + len(block) == upload["bytes"]
        # Reading is work for the processor. In a thread it leaves the loop, and with it all other jobs, free to go on.
        stretch = await asyncio.to_thread(
            read_stretch,
            block,
            _shape(upload),
            first=start == 0,
            last=last,
            inside_line=inside_line,
        )
        await _store(connection, upload_id, upload, stretch)
        if start + stretch.taken < upload["bytes"]:
            end = start + stretch.taken
            await _go_on(connection, upload_id, start=end, inside_line=stretch.inside_line)
        else:
            await plan(connection, upload_id, upload["kind"], upload["columns"])
    return len(stretch.rows)


async def _go_on(
    connection: Any, upload_id: UUID, *, start: int, inside_line: bool = False
) -> None:
    """Enqueue the next stretch in this transaction: it exists exactly when the rows of this one do."""
    next_job = parse.configure(connection=connection)
    handle = await next_job.enqueue(upload_id, start, inside_line=inside_line)
    await connection.execute(CONTINUED_BY, upload_id, handle.job_id)


async def _store(connection: Any, upload_id: UUID, upload: Any, stretch: Stretch) -> None:
    numbered = enumerate(stretch.rows, start=upload["row_count"] + 1)
    records = ((upload_id, number, *row) for number, row in numbered)
    while batch := list(islice(records, BATCH)):
        await connection.copy_records_to_table("upload_rows", columns=ROW, records=batch)
    width = len(upload["columns"] or [])
    ragged = sum(len(row.cells) != width for row in stretch.rows) if width else 0
    counts = (stretch.taken, len(stretch.rows), ragged, stretch.cut_lines)
    await connection.execute(PARSED, upload_id, *counts)


async def _read(connection: Any, upload_id: UUID, start: int, size: int) -> bytes:
    """Up to `size` bytes of a file from byte `start` on."""
    number, offset = divmod(start, CHUNK)
    chunks = await connection.fetch(CHUNKS, upload_id, number, (start + size - 1) // CHUNK)
    return b"".join(chunk["content"] for chunk in chunks)[offset : offset + size]


async def _encoding(connection: Any, upload_id: UUID, sample: bytes) -> str | None:
    """The encoding that fits the whole file: UTF-8, UTF-16, else Latin-1, to which every byte is a letter."""
    likely = likely_encoding(sample)
    decoder = codecs.getincrementaldecoder(likely)()
    start = 0
    try:
        while block := await _read(connection, upload_id, start, CHUNK):
            decoder.decode(block)
            start += len(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1" if likely == "utf-8" else None
    return likely


def _stored(shape: Format) -> tuple[object, ...]:
    columns = list(shape.columns) if shape.kind == "csv" else None
    return shape.kind, shape.encoding, shape.delimiter, columns, shape.header


def _shape(upload: Any) -> Format:
    return Format(
        kind=upload["kind"],
        encoding=upload["encoding"],
        delimiter=upload["delimiter"],
        columns=tuple(upload["columns"] or ()),
        header=upload["header"],
    )
