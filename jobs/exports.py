"""The rows of an upload as one XML file, however large."""

import asyncio
import io
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

# Both write; bandit is wary of what reads.
from xml.sax.saxutils import XMLGenerator  # nosec B406
from xml.sax.xmlreader import AttributesImpl  # nosec B406

from jobs.uploads import CHUNK
from pillars import Context, job

BATCH = 2_000  # rows in memory at a time

# XML 1.0 (section 2.2) has no way to write most control characters, not even escaped.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
NAMELESS: "AttributesImpl[str]" = AttributesImpl(
    {}
)  # a ragged row has more cells than the header has names

# Held to the end of the transaction, so that a second worker with the same export waits, and finds it finished.
HOLD = """
select upload_id, upload.name, upload.columns from exports export join uploads upload using (upload_id)
where export.export_id = $1 and export.finished_at is null
for no key update of export
"""

ROWS = (
    "select number, cells, level, logged_at from upload_rows where upload_id = $1 order by number"
)

STORE = "insert into export_chunks (export_id, number, content) values ($1, $2, $3)"

FINISHED = """
update exports set finished_at = clock_timestamp(), row_count = $2, bytes = $3 where export_id = $1
"""


@job(queue="exports", timeout="1h", max_attempts=3)
async def export_rows(ctx: Context, export_id: UUID) -> int | None:
    """Write the export, all of it or nothing; returns its number of rows.

    A cursor on the server hands out the rows, and full chunks leave at once: a million rows take no more memory than a few
    thousand. All of it is one transaction, so a killed job leaves nothing behind.
    """
    async with ctx.connection() as connection:
        export = await connection.fetchrow(HOLD, export_id)
        if export is None:
            return None  # written already, or pruned
        document = Document(export["name"], export["columns"] or ["line"])
        chunks = Chunks(connection, export_id)
        cursor = await connection.cursor(ROWS, export["upload_id"])
        while rows := await cursor.fetch(BATCH):
            await chunks.add(await asyncio.to_thread(document.write, rows))
        await chunks.add(document.end(), last=True)
        await connection.execute(FINISHED, export_id, document.rows, chunks.bytes)
    return document.rows


class Document:
    """An XML document that is written piece by piece: each call returns the bytes that are new."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.rows = 0
        self._columns = [AttributesImpl({"column": clean(column)}) for column in columns]
        self._out = io.StringIO()
        self._xml = XMLGenerator(self._out, encoding="utf-8", short_empty_elements=True)
        self._xml.startDocument()
        self._xml.startElement("rows", AttributesImpl({"file": clean(name)}))

    def write(self, rows: Sequence[Any]) -> bytes:
        """Add rows: mappings with `number`, `cells`, `level` and `logged_at`."""
        for row in rows:
            self._row(row)
        self.rows += len(rows)
        return self._taken()

    def end(self) -> bytes:
        """Close the document."""
        self._xml.endElement("rows")
        self._xml.endDocument()
        return self._taken()

    def _row(self, row: Any) -> None:
        attributes = {"number": str(row["number"])}
        if row["level"]:
            attributes["level"] = row["level"]
        if row["logged_at"]:
            attributes["time"] = row["logged_at"].isoformat()
        self._xml.ignorableWhitespace("\n")
        self._xml.startElement("row", AttributesImpl(attributes))
        for index, cell in enumerate(row["cells"]):
            named = self._columns[index] if index < len(self._columns) else NAMELESS
            self._xml.startElement("cell", named)
            self._xml.characters(clean(cell))
            self._xml.endElement("cell")
        self._xml.endElement("row")

    def _taken(self) -> bytes:
        new = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return new.encode()


class Chunks:
    """Bytes on their way into export_chunks, in pieces of 1 MiB."""

    def __init__(self, connection: Any, export_id: UUID) -> None:
        self.bytes = 0
        self._connection = connection
        self._export_id = export_id
        self._number = 0
        self._waiting = bytearray()

    async def add(self, content: bytes, *, last: bool = False) -> None:
        """Store what fills a chunk; with `last`, all."""
        self.bytes += len(content)
        self._waiting += content
        while len(self._waiting) >= CHUNK or (last and self._waiting):
            await self._connection.execute(
                STORE, self._export_id, self._number, bytes(self._waiting[:CHUNK])
            )
            self._number += 1
            del self._waiting[:CHUNK]


def clean(text: str) -> str:
    """Text with every character that XML cannot hold replaced by U+FFFD."""
    return FORBIDDEN.sub("\ufffd", text)
