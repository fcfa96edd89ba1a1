"""What a form of the dashboard sends."""

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pillars.errors import UsageError
from pillars.web import bodies

MEDIA = "application/x-www-form-urlencoded"
MOST = 64 * 1024  # bytes: 200 ids take 10,000
MOST_FIELDS = 250


async def read(request: Request) -> dict[str, list[str]]:
    """The fields by name; raises 408, 413 or 415 as `HTTPException`, or `UsageError`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA:
        raise HTTPException(415, f"expected a form, as {MEDIA}")
    content = await bodies.received(
        request, most=MOST, said=f"expected a form of at most {MOST:,} bytes"
    )
    try:
        return parse_qs(
            content.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise UsageError(f"the form: expected at most {MOST_FIELDS} fields, in UTF-8") from None
