"""The rows of an upload as one XML file, however large."""

import io
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

# Both write; bandit is wary of what reads.
from xml.sax.saxutils import XMLGenerator  # nosec B406
from xml.sax.xmlreader import AttributesImpl  # nosec B406

from pillars import Context, job

BATCH = 2_000  # rows of a piece, and in memory at a time

# XML 1.0 (section 2.2) has no way to write most control characters, not even escaped.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
NAMELESS: "AttributesImpl[str]" = AttributesImpl(
    {}
)  # a ragged row has more cells than the header has names

EXPORT = """
select upload_id, upload.name, upload.columns, upload.row_count as total, export.row_count as written, export.chunks
from exports export join uploads upload using (upload_id)
where export.export_id = $1 and export.finished_at is null
"""

ROWS = """
select number, cells, level, logged_at from upload_rows where upload_id = $1 and number > $2 order by number limit $3
"""

# A chunk and how far the export is with it, or neither: where another attempt has added that chunk, nothing happens.
ADD = """
with added as (
    update exports set chunks = chunks + 1, row_count = $4, bytes = bytes + octet_length($3::bytea),
        finished_at = case when $5 then clock_timestamp() end
    where export_id = $1 and chunks = $2 and finished_at is null
    returning export_id
)
insert into export_chunks (export_id, number, content) select export_id, $2, $3::bytea from added
returning number
"""


@job(queue="exports", process=True, timeout="6h", max_attempts=5)
async def export_rows(ctx: Context, export_id: UUID) -> int | None:
    """Write the export piece by piece; returns its number of rows.

    In a process of its own, since writing XML is work for the processor, and can be paused and stopped there at any moment. Each piece
    is a short transaction that also stores how far it is: an attempt goes on where the last one was cut off.
    """
    async with ctx.connection() as connection:
        export = await connection.fetchrow(EXPORT, export_id)
    if export is None:
        return None  # written already, or pruned
    document = Document(export["name"], export["columns"] or ["line"], rows=export["written"])
    number, last = export["chunks"], False
    while not last:
        ctx.progress(document.rows, export["total"], "rows written")
        await ctx.checkpoint()
        async with ctx.connection() as connection:
            rows = await connection.fetch(ROWS, export["upload_id"], document.rows, BATCH)
            last = len(rows) < BATCH
            content = document.write(rows) + (document.end() if last else b"")
            if (
                await connection.fetchval(ADD, export_id, number, content, document.rows, last)
                is None
            ):
                return None  # another attempt is at it, or it was pruned
        number += 1
    ctx.progress(document.rows, export["total"], "rows written")
    ctx.log.info("export.written", rows=document.rows, pieces=number)
    return document.rows


class Document:
    """An XML document that is written piece by piece: each call returns the bytes that are new. `rows` are written already."""

    def __init__(self, name: str, columns: Sequence[str], *, rows: int = 0) -> None:
        self.rows = rows
        self._columns = [AttributesImpl({"column": clean(column)}) for column in columns]
        self._out = io.StringIO()
        self._xml = XMLGenerator(self._out, encoding="utf-8", short_empty_elements=True)
        self._xml.startDocument()
        self._xml.startElement("rows", AttributesImpl({"file": clean(name)}))
        if rows:
            self._taken()  # its beginning stands there

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


def clean(text: str) -> str:
    """Text with every character that XML cannot hold replaced by U+FFFD."""
    return FORBIDDEN.sub("\ufffd", text)
