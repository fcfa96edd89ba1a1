"""The audit trail of requests: who changed what, from where, written right after it was done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import anyio
from starlette.requests import Request
from starlette.responses import Response

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.service.access import Caller, address
from pillars.store import audit
from pillars.store.audit import Deed
from pillars.store.database import Database
from pillars.web.operations import Handler, Resource

PLACE = "pillars.deed"  # of the request's scope: what a handler adds to the row


@dataclass(slots=True)
class Noted:
    """What a handler adds to the row of its request."""

    action: str | None = None
    target: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    changed: bool = True
    done: bool = False
    """Whether what was asked for has happened, whatever becomes of the answer."""


def note(
    request: Request, *, action: str | None = None, target: object = None, **details: Any
) -> None:
    """Add to the row of this request: `action` and `target` in place of what its route and path say, and details."""
    noted = _noted(request)
    noted.action = action or noted.action
    noted.target = noted.target if target is None else str(target)
    noted.details |= {name: value for name, value in details.items() if value is not None}


def done(request: Request) -> None:
    """Say that the change has happened: it has a row also where what is read for the answer cannot be."""
    _noted(request).done = True


def nothing_done(request: Request) -> None:
    """Say that the request succeeded and changed nothing: it has no row."""
    _noted(request).changed = False


def _noted(request: Request) -> Noted:
    found: Noted = request.scope.setdefault(PLACE, Noted())
    return found


def who(request: Request) -> str:
    """Who asks, as the trail calls them."""
    asking: Caller = request.scope["caller"]
    return asking.actor


class Trail:
    """Writes a row for each request that changed something.

    Not in the transaction of the change: some changes repeat themselves, are sent with those of others, or commit at several
    places. Where the row cannot be written the log has it, and the answer stands, since the change does.
    """

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    def over(self, resource: Resource) -> Resource:
        """The resource, those of its operations that have an action written down."""
        operations = {
            method: replace(one, handler=self._kept(one.action, one.handler)) if one.action else one
            for method, one in resource.operations.items()
        }
        return replace(resource, operations=operations)

    def _kept(self, action: str, handler: Any) -> Handler:
        handle = cast("Callable[[Request], Awaitable[Response]]", handler)

        async def kept(request: Request) -> Response:
            try:
                response = await handle(request)
            except DatabaseTrouble as trouble:
                if _noted(request).done:
                    await self._write(request, action)
                elif trouble.may_have_happened:
                    note(request, outcome="unknown")
                    await self._write(request, action)
                raise
            if response.status_code < 400:
                await self._write(request, action)
            return response

        return kept

    async def _write(self, request: Request, action: str) -> None:
        noted, named = _noted(request), request.path_params
        if not noted.changed:
            return
        deed = Deed(
            actor=who(request),
            action=noted.action or action,
            target=noted.target or named.get("job_id") or named.get("name"),
            address=address(request.scope),
            details=noted.details,
        )
        # What was done is done: whoever stops waiting for the answer, and a process that ends, shall leave no gap.
        # The pool's patience and the statement's limit bound the wait.
        with anyio.CancelScope(shield=True):
            await self._write_or_log(deed)

    async def _write_or_log(self, deed: Deed) -> None:
        try:
            await audit.write(self._pool, deed)
        except DatabaseTrouble as trouble:
            log.get("pillars.web").error(
                log.Event.AUDIT_UNWRITTEN,
                actor=deed.actor,
                action=deed.action,
                target=deed.target,
                address=deed.address,
                error=str(trouble),
            )
