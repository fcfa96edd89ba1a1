"""Receive a file of any size, straight into Postgres.

Full chunks of 1 MiB are stored as they arrive, each in a short transaction, under an upload that is `receiving`. The last
transaction stores the rest, marks the upload `received` and enqueues its first job: the job exists exactly when the file is
complete. The file is never in memory as a whole, nor on this machine's disk.
"""

from typing import Any
from uuid import UUID, uuid4

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

import pillars
from jobs.uploads import CHUNK, examine

LARGEST = 10 * 1024**3  # bytes, 10 GiB; what the disk of your database can take

BEGIN = "insert into uploads (upload_id, name, bytes) values ($1, $2, $3)"

ADD = "update uploads set bytes = bytes + $2, touched_at = pillars.now() where upload_id = $1"

ADD_CHUNK = "insert into upload_chunks (upload_id, number, content) values ($1, $2, $3)"

RECEIVED = """
update uploads set state = 'received', job_id = $2, touched_at = pillars.now()
where upload_id = $1 and state = 'receiving'
"""

DISCARD = "delete from uploads where upload_id = $1 and state = 'receiving'"


async def receive(request: Request) -> UUID:
    """Store the file of a multipart form and have it examined; returns the upload's id."""
    upload = Upload()
    part = FilePart(request.headers.get("content-type", ""))
    try:
        async for piece in request.stream():
            part.feed(piece)
            while len(part.waiting) >= CHUNK:
                async with pillars.connection() as connection:
                    await upload.add(connection, part.name, part.take(CHUNK))
        part.check_complete()
        async with pillars.connection() as connection:
            await upload.add(connection, part.name, part.take(CHUNK))
            await upload.finish(connection)
    except (ClientDisconnect, HTTPException):  # after anything worse, jobs.upkeep.prune cleans up
        async with pillars.connection() as connection:
            await connection.execute(DISCARD, upload.upload_id)
        raise
    return upload.upload_id


class Upload:
    """A file on its way into the database."""

    def __init__(self) -> None:
        self.upload_id = uuid4()
        self._bytes = 0
        self._number = 0

    async def add(self, connection: Any, name: str, content: bytes) -> None:
        """Store the next chunk. A pruned upload is not begun anew: the chunk's foreign key refuses."""
        if self._bytes + len(content) > LARGEST:
            raise HTTPException(413, f"A file may have {LARGEST:,} bytes.")
        if self._number == 0:
            await connection.execute(BEGIN, self.upload_id, name, len(content))
        else:
            await connection.execute(ADD, self.upload_id, len(content))
        if content:
            await connection.execute(ADD_CHUNK, self.upload_id, self._number, content)
        self._number += 1
        self._bytes += len(content)

    async def finish(self, connection: Any) -> None:
        """Mark the file complete and enqueue its first job, both or neither."""
        handle = await examine.configure(connection=connection).enqueue(self.upload_id)
        await connection.execute(RECEIVED, self.upload_id, handle.job_id)


class FilePart:
    """The file of a multipart form, as its bytes arrive: its `name`, then what is `waiting` to be taken."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise HTTPException(415, 'Send a form with a file: curl -F "file=@sales.csv" …/uploads')
        self.name = ""
        self.waiting = bytearray()
        self._complete = False
        self._is_file = False
        self._field = self._value = b""
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes of the request's body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise HTTPException(400, f"This is no multipart form: {error}") from error

    def take(self, size: int) -> bytes:
        """Up to `size` bytes of the file."""
        taken = bytes(self.waiting[:size])
        del self.waiting[:size]
        return taken

    def check_complete(self) -> None:
        """Raise where the body is at its end and the file is not."""
        if not self.name:
            raise HTTPException(400, "Choose a file first.")
        if not self._complete:
            raise HTTPException(400, "The upload broke off. Send it again.")

    def _on_part_begin(self) -> None:
        self._is_file = False
        self._field = self._value = b""

    def _on_header_field(self, piece: bytes, start: int, end: int) -> None:
        self._field += piece[start:end]

    def _on_header_value(self, piece: bytes, start: int, end: int) -> None:
        self._value += piece[start:end]

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            filename = options.get(b"filename")
            if filename and not self.name:  # one file; what follows is left aside
                self.name = clean_name(filename.decode("utf-8", "replace"))
                self._is_file = True
        self._field = self._value = b""

    def _on_part_data(self, piece: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.waiting += piece[start:end]

    def _on_end(self) -> None:
        self._complete = True


def clean_name(name: str) -> str:
    """A file's name without its folders and without characters that cannot be seen."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last)).strip()[:200] or "unnamed"
