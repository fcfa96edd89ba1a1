"""The page of the audit trail: what people and their programs changed."""

from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UsageError
from pillars.jobs import options
from pillars.store import audit
from pillars.web.api.paths import ID
from pillars.web.dashboard import notices
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings

ON_A_PAGE = 50
MOST_DIGITS = 18


class AuditPage:
    """Lists what was done, newest first."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings

    async def show(self, request: Request) -> Response:
        before = _before(request)
        found = await audit.listed(self._readings.pool, limit=ON_A_PAGE + 1, older_than=before)
        rows = found[:ON_A_PAGE]
        older = self._frame.link("audit", before=rows[-1].audit_id) if found[ON_A_PAGE:] else None
        return self._frame.show(
            request,
            "audit.html",
            place="audit",
            title="Audit",
            now=await self._readings.now(),
            rows=rows,
            is_job=lambda target: target is not None and ID.fullmatch(target) is not None,
            older=older,
            is_first=before is None,
        )


def _before(request: Request) -> int | None:
    """The id that the page goes on from."""
    given = [one for one in request.query_params.multi_items() if one[0] not in notices.FIELDS]
    match given:
        case []:
            return None
        case [("before", text)] if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
            return int(text)
    raise UsageError(f"before: expected an id, once, got {options.shown(str(request.url.query))}")
