"""The API described, by OpenAPI 3.1: written from the route table and from the types of what is answered."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillars.service.access import READING
from pillars.version import __version__
from pillars.web.operations import JSON, Answer, Operation, Resource
from pillars.web.problems import answer
from pillars.web.shapes import NAMED, Problem

REF = "#/components/schemas/{name}"
ABOUT = """\
Operate a Three Pillars application: its jobs, schedules, queues and processes.

Names in paths are percent-encoded, a slash as %2F or as it is. Whatever is refused or fails is answered with
`application/problem+json`. HEAD answers wherever GET does. Where no token is set, only this machine is answered."""
BEARER = """\
Two scopes. `view`: PILLARS_VIEW_TOKEN, may GET. `operate`: PILLARS_TOKEN, may do everything. The health routes need none. A stream
token opens the streams that it was made for, and nothing else."""
TAGS = {
    "jobs": "One row of work each, all its attempts.",
    "tasks": "The unfinished jobs of one name, for who knows no id.",
    "streams": "What jobs say and how they stand, as it comes: Server-Sent Events.",
    "schedules": "Periodic rules.",
    "queues": "Lanes that workers claim from.",
    "names": "What code defines: each name of jobs, in whatever queue they are.",
    "workers": "The processes of the application.",
    "health": "For load balancers, platforms and monitoring.",
    "description": "This document.",
}
PROBLEMS = {
    400: "Something in the request is not as expected; the detail names it.",
    401: "The token is missing or wrong, or none is set and the request does not come from this machine.",
    403: "Who asks may only read, or follow other streams; or a page of another site asked for this.",
    404: "There is no such thing; of names, the detail says the nearest.",
    405: "The path has other methods; the header Allow names them.",
    408: "The body did not arrive in time.",
    409: "What is now does not allow it; of a job, `state` says what is.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    500: "This is a bug here, or in the database's schema; the log says more.",
    503: "The database cannot serve this now, or did not answer in time.",
}
OF_ANY = (405, 500)
WITHOUT_DATABASE = {"health", "description"}  # tags of routes that answer without it
HEADERS = {
    401: ("WWW-Authenticate", "Bearer."),
    405: ("Allow", "The methods that the path has."),
    503: ("Retry-After", "Seconds."),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "job_id": {"description": "A job's id.", "schema": {"type": "string", "format": "uuid"}},
    "name": {
        "description": "A name, percent-encoded.",
        "schema": {"type": "string", **NAMED},
    },
}


class Document:
    """Describes the routes once they are known, and shows the description."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._table: Sequence[Resource] = ()

    def describe(self, table: Sequence[Resource]) -> None:
        """Take the table, which has a row of this document's own."""
        self._table = table

    async def show(self, _request: Request) -> Response:
        return answer(self.content)

    @cached_property
    def content(self) -> dict[str, Any]:
        schemas = Schemas(self._table)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Three Pillars", "version": __version__, "description": ABOUT},
            "servers": [{"url": self._prefix or "/"}],
            "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
            "paths": {one.template: _path(one, schemas) for one in self._table},
            "components": {
                "schemas": schemas.components,
                "responses": {str(status): _problem(status, schemas) for status in PROBLEMS},
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": BEARER}
                },
            },
        }


class Schemas:
    """The schemas of all types that the table names."""

    def __init__(self, table: Sequence[Resource]) -> None:
        shapes = list(dict.fromkeys(_shapes(table)))
        found, self.components = msgspec.json.schema_components(shapes, ref_template=REF)
        self._by_shape: dict[Any, dict[str, Any]] = dict(zip(shapes, found, strict=True))

    def of(self, shape: Any) -> dict[str, Any]:
        return self._by_shape[shape]


def _shapes(table: Sequence[Resource]) -> Iterator[Any]:
    yield Problem
    for one in table:
        for operation in one.operations.values():
            answers = operation.answers.values()
            yield from (one.shape for one in answers if one.shape is not None)
            if operation.body is not None:
                yield operation.body


def _path(one: Resource, schemas: Schemas) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", one.template)
    parameters = [
        {"name": name, "in": "path", "required": True, **PARAMETERS[name]} for name in names
    ]
    operations = {
        method.lower(): _operation(one, method, operation, schemas)
        for method, operation in one.operations.items()
    }
    return {**({"parameters": parameters} if parameters else {}), **operations}  # fmt: skip


def _operation(
    one: Resource, method: str, operation: Operation, schemas: Schemas
) -> dict[str, Any]:
    scope = "view" if method in READING else "operate"
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [one.tag],
        "security": [] if one.is_open else [{"bearer": [scope]}],
    }
    if operation.query is not None:
        described["parameters"] = list(_filters(operation.query))
    if operation.body is not None:
        content = {JSON: {"schema": schemas.of(operation.body)}}
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    described["responses"] = _responses(one, method, operation, schemas)
    return described


def _filters(query: type[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    _, components = msgspec.json.schema_components([query], ref_template=REF)
    for name, schema in components[query.__name__]["properties"].items():
        said = schema.pop("description", "")
        yield {"name": name, "in": "query", "description": said, "schema": schema}


def _responses(
    one: Resource, method: str, operation: Operation, schemas: Schemas
) -> dict[str, Any]:
    refused = {*operation.problems, *OF_ANY}
    if not one.is_open:
        refused |= {401} if method in READING else {401, 403}
    if one.tag not in WITHOUT_DATABASE:
        refused.add(503)
    if "{" in one.path:
        refused.add(404)
    answers = {status: _answer(said, schemas) for status, said in operation.answers.items()}
    problems = {status: {"$ref": f"#/components/responses/{status}"} for status in refused}
    return {str(status): said for status, said in sorted({**problems, **answers}.items())}


def _answer(said: Answer, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": said.meaning}
    if said.shape is not None:
        described["content"] = {said.media: {"schema": schemas.of(said.shape)}}
    if said.located:
        described["headers"] = {"Location": _header("The path of the job.")}
    return described


def _problem(status: int, schemas: Schemas) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": schemas.of(Problem)}}
    described: dict[str, Any] = {"description": PROBLEMS[status], "content": content}
    if status in HEADERS:
        name, said = HEADERS[status]
        described["headers"] = {name: _header(said)}
    return described


def _header(said: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": "string"}}
