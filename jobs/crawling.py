"""A crawler of the app's own pages: it looks at all of them, again and again, until somebody ends it."""

import os
import time
from collections import deque
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

from pillars import Child, Context, Snooze, job

MOST_PAGES = 500  # of a round
MOST_AT_ONCE = 1_000  # pages of an attempt, and some more
LARGEST = 2_000_000  # bytes of a page
PATIENCE = 10.0  # seconds for a page
BETWEEN = 2.0  # seconds between two rounds
PAUSE = 0.2  # seconds between two pages: it is a guest


@job(
    queue="crawls",
    process=Child(env=["SITE_URL", "PORT"]),
    timeout=None,
    unique_key="crawl",
    keep="slim",
)
def crawl(ctx: Context) -> None:
    """Visit every page that links lead to from the first, on this site alone, round after round; it has no end of its own.

    The site is SITE_URL, or the web process on this machine. In a process of its own it can be ended wherever it waits.
    """
    site = os.environ.get("SITE_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    seen = 0
    while seen < MOST_AT_ONCE:
        number = ctx.metadata.get("rounds", 0) + 1
        pages, slowest = walk(ctx, site, number)
        seen += pages
        ctx.metadata["rounds"] = number
        ctx.log.info("crawl.round_ended", round=number, pages=pages, slowest_ms=slowest)
        time.sleep(BETWEEN)
    raise Snooze(
        BETWEEN, "to be gone on with"
    )  # what an attempt may say is bounded, and this is no failure


def walk(ctx: Context, site: str, number: int) -> tuple[int, int]:
    """One round; returns how many pages it has seen, and how long the slowest took."""
    waiting, known = deque([urljoin(site, "/")]), {urljoin(site, "/")}
    seen = slowest = 0
    while waiting and seen < MOST_PAGES:
        url = waiting.popleft()
        page = look(url)
        seen, slowest = seen + 1, max(slowest, page["ms"])
        ctx.emit(
            "page",
            {"round": number, **{name: page[name] for name in ("url", "status", "ms", "bytes")}},
        )
        for link in page["links"]:
            if urlsplit(link).netloc == urlsplit(site).netloc and link not in known:
                known.add(link)
                waiting.append(link)
        ctx.progress(seen, len(known), f"round {number}")
        time.sleep(PAUSE)
    return seen, slowest


def look(url: str) -> dict[str, Any]:
    """A page: its status (0 where nobody answered), its size, how long it took, and where it leads."""
    began, content, status = time.monotonic(), b"", 0
    asked = Request(url, headers={"accept": "text/html", "user-agent": "three-pillars-crawler"})  # noqa: S310 - the site's own
    try:
        with urlopen(asked, timeout=PATIENCE) as answer:  # noqa: S310 # nosec B310 - as above
            status, content = answer.status, answer.read(LARGEST)
    except HTTPError as error:
        status = error.code
    except (URLError, OSError, ValueError):
        pass
    links = Links(url)
    links.feed(content.decode("utf-8", "replace"))
    ms = round((time.monotonic() - began) * 1000)
    return {"url": url, "status": status, "ms": ms, "bytes": len(content), "links": links.found}


class Links(HTMLParser):
    """Where a page's links lead, without fragments; dashboards and downloads left out."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        told = dict(attrs)
        target = told.get("href")
        if tag == "a" and target and "download" not in told:
            try:
                url = urldefrag(urljoin(self._base, target)).url
            except ValueError:  # such as http://[
                return
            if urlsplit(url).scheme in {"http", "https"} and not urlsplit(url).path.startswith(
                "/dashboard"
            ):
                self.found.append(url)
