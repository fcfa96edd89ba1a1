"""The cursor that goes on from a page of jobs."""

import base64
import binascii
import hashlib
from uuid import UUID

from pillars.errors import UsageError

SEAL = 4  # bytes of a digest: it finds slips and meddling, and keeps no secret


def cursor_after(job_id: UUID) -> str:
    """Where the next page begins, in a form that invites nobody to build one."""
    return base64.urlsafe_b64encode(job_id.bytes + _seal(job_id)).decode().rstrip("=")


def opened(cursor: str) -> UUID:
    """The id in a cursor; raises `UsageError` for what is none of ours."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        job_id = UUID(bytes=content[:16])
    except (binascii.Error, ValueError):
        raise UsageError("cursor: expected the `next` of an earlier page") from None
    if cursor_after(job_id) != cursor:
        raise UsageError("cursor: expected the `next` of an earlier page")
    return job_id


def _seal(job_id: UUID) -> bytes:
    return hashlib.blake2s(job_id.bytes, digest_size=SEAL, person=b"pillars").digest()
