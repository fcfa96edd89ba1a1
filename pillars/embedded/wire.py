"""The few words of the Postgres protocol a supervisor needs: is anyone in, and do this one thing.

Protocol 3.0 over a unix socket (https://www.postgresql.org/docs/current/protocol-message-formats.html), without a
driver: this package is imported before there is a database, and by code that must not import one.
"""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

__all__ = ["DATABASE", "PATIENCE", "PORT", "ROLE", "Door", "Reply", "ask"]

ROLE = "app"
DATABASE = "dev"
PORT = 5432

WELCOME = "00000"
NOBODY = "08001"  # no answer, or half of one: said by us, never by a server
NOT_YET = "57P03"  # starting up, recovering or shutting down
NO_SUCH_DATABASE = "3D000"

PATIENCE = 5.0  # seconds; a server that was paged out answers within it


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server listens: the folder that holds its socket, and the port that names it."""

    folder: Path
    port: int = PORT

    @property
    def socket(self) -> Path:
        return self.folder / f".s.PGSQL.{self.port}"

    @property
    def url(self) -> str:
        """The address of the database, read alike by asyncpg and by libpq (psql, pg_dump). With its port: PGPORT may be set."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self.folder))}&port={self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said: the SQLSTATE, and its message where it refused."""

    sqlstate: str
    message: str = ""

    @property
    def welcome(self) -> bool:
        return self.sqlstate == WELCOME

    @property
    def ready(self) -> bool:
        """Whether a server is in and takes connections, even if it refused this one."""
        return self.sqlstate not in {NOBODY, NOT_YET}

    @property
    def lacks_database(self) -> bool:
        return self.sqlstate == NO_SUCH_DATABASE


def ask(
    door: Door,
    *,
    database: str = DATABASE,
    statement: str | None = None,
    patience: float = PATIENCE,
) -> Reply:
    """Log in as the app's role, run `statement` if there is one, and say how it went; `patience` is seconds a message.

    Logging in for real is the point: an SSLRequest is answered by a server that is still starting up.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(patience)
            line.connect(str(door.socket))
            with line.makefile("rb") as answers:
                line.sendall(_startup(database))
                reply = _until_ready(answers)
                if reply.welcome and statement is not None:
                    line.sendall(_message(b"Q", statement.encode() + b"\0"))
                    reply = _until_ready(answers)
                if reply.welcome:
                    line.sendall(_message(b"X", b""))
            return reply
    except OSError as error:
        return Reply(NOBODY, str(error))


def _startup(database: str) -> bytes:
    words = ("user", ROLE, "database", database, "application_name", "pillars.embedded", "")
    body = struct.pack("!i", 3 << 16) + b"".join(word.encode() + b"\0" for word in words)
    return struct.pack("!i", len(body) + 4) + body


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _until_ready(answers: BinaryIO) -> Reply:
    while True:
        head = answers.read(5)
        if len(head) < 5:
            return Reply(NOBODY, "the connection was closed without an answer")
        body = answers.read(struct.unpack_from("!i", head, 1)[0] - 4)
        match head[:1]:
            case b"E":
                return _refusal(body)
            case b"R" if body[:4] != bytes(4):
                return Reply("28000", "the server wants a password on its own socket")
            case b"Z":
                return Reply(WELCOME)


def _refusal(body: bytes) -> Reply:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return Reply(fields.get(b"C", "XX000"), fields.get(b"M", ""))
