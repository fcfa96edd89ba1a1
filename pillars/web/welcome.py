"""What stands in for the user's application where there is none."""

from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pillars.settings import Settings

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Three Pillars</title>
<h1>It runs. Now give it your application.</h1>
<p>Any ASGI application will do: FastAPI, Starlette, Litestar, Django. Name it in <code>pyproject.toml</code>:</p>
<pre>[tool.pillars]
web = "module:app"</pre>
<p>It gets every path but the runtime's own: <a href="{dashboard}">the dashboard</a>, <a href="{health}">{health}</a>, <a href="{jobs}">{jobs}</a> and their like.</p>
</html>
"""


def application(settings: Settings) -> Starlette:
    """404 for every path, and in dev a page at `/` that says what to do."""
    paths = {"dashboard": "/dashboard", "health": "/api/health", "jobs": "/api/jobs"}
    page = PAGE.format(**{name: escape(settings.prefix + path) for name, path in paths.items()})

    async def welcome(_request: Request) -> Response:
        return HTMLResponse(page)

    return Starlette(routes=[Route("/", welcome)] if settings.env == "dev" else [])
