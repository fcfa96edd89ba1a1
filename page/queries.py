"""What the page shows, read from Postgres: JSON-able values that templates print and `GET /uploads/{id}` returns."""

import json
from typing import Any
from uuid import UUID

PREVIEW_CHARACTERS = 80  # of a cell

# Jobs are rows like any others: a join tells at once which uploads stand still because their job has failed.
RECENT = """
select upload.upload_id, upload.name, upload.state, upload.reason, upload.kind, upload.bytes,
    upload.parsed_bytes, upload.row_count, upload.created_at, problem.state as problem
from uploads upload
left join lateral (
    select job.state from pillars.all_jobs job
    where upload.finished_at is null
        and job.state in ('failed', 'cancelled', 'expired')
        and job.job_id = any(upload.job_id || array(
            select finding.job_id from upload_findings finding
            where finding.upload_id = upload.upload_id and finding.content is null))
    limit 1
) problem on true
order by upload.created_at desc
limit 20
"""

UPLOAD = """
select upload_id, name, state, reason, created_at, finished_at, bytes, parsed_bytes,
    row_count, ragged_rows, cut_lines, kind, encoding, delimiter, columns, job_id
from uploads where upload_id = $1
"""

PREVIEW = """
select number, cells[1:12] as cells, level, logged_at
from upload_rows where upload_id = $1 and number <= 8 order by number
"""

FINDINGS = """
select position, topic, label, job_id, content
from upload_findings where upload_id = $1 order by position
"""

EXPORT = """
select export_id, job_id, finished_at, row_count, bytes from exports where upload_id = $1
"""

PROBLEM = """
select job_id, state, last_error from pillars.all_jobs
where job_id = any($1::uuid[]) and state in ('failed', 'cancelled', 'expired')
limit 1
"""

SIGNS = """
select (select max(beat_at) from pulses) as pulse,
    (select to_jsonb(digests) from digests order by made_at desc limit 1) as digest
"""


async def recent(connection: Any) -> list[dict[str, Any]]:
    """The last 20 uploads, newest first."""
    return [dict(row) for row in await connection.fetch(RECENT)]


async def signs_of_life(connection: Any) -> dict[str, Any]:
    """When cron last fired, and the last digest; each None before the first."""
    signs = await connection.fetchrow(SIGNS)
    return {"pulse": signs["pulse"], "digest": json.loads(signs["digest"] or "null")}


async def upload(connection: Any, upload_id: UUID) -> dict[str, Any] | None:
    """All about one upload, or None where there is none."""
    row = await connection.fetchrow(UPLOAD, upload_id)
    if row is None:
        return None
    findings = [_finding(found) for found in await connection.fetch(FINDINGS, upload_id)]
    export = await connection.fetchrow(EXPORT, upload_id)
    waited_for = [row["job_id"], *(one["job_id"] for one in findings if one["content"] is None)]
    unfinished = row["finished_at"] is None
    return {
        **dict(row),
        "preview": [_preview(one) for one in await connection.fetch(PREVIEW, upload_id)],
        "findings": findings,
        "export": None if export is None else await _export(connection, export),
        "problem": await _problem(connection, waited_for) if unfinished else None,
    }


def is_waiting(upload: dict[str, Any]) -> bool:
    """Whether something is still to arrive."""
    if upload["problem"] is not None:
        return False
    export = upload["export"]
    writing = export is not None and export["finished_at"] is None and export["problem"] is None
    return upload["finished_at"] is None or writing


def _finding(row: Any) -> dict[str, Any]:
    return {**dict(row), "content": json.loads(row["content"] or "null")}


def _preview(row: Any) -> dict[str, Any]:
    return {**dict(row), "cells": [_shortened(cell) for cell in row["cells"]]}


def _shortened(cell: str) -> str:
    return cell if len(cell) <= PREVIEW_CHARACTERS else cell[: PREVIEW_CHARACTERS - 1] + "…"


async def _export(connection: Any, row: Any) -> dict[str, Any]:
    writing = row["finished_at"] is None
    problem = await _problem(connection, [row["job_id"]]) if writing else None
    return {**dict(row), "problem": problem}


async def _problem(connection: Any, job_ids: list[UUID | None]) -> dict[str, Any] | None:
    row = await connection.fetchrow(PROBLEM, job_ids)
    return None if row is None else dict(row)
