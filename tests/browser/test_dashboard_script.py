"""What the dashboard's script reckons, by the engine that runs it."""

import re

import pytest
from playwright.async_api import Browser

from pillars.web.dashboard import assets

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("took", "failed", "rests"),
    [(20, 0, 3000), (1000, 0, 20_000), (5000, 1, 60_000), (10, 1, 3000), (10, 3, 12_000)],
)
async def test_a_page_rests_the_longer_the_slower_its_look_was(
    chromium: Browser, took: int, failed: int, rests: int
) -> None:
    script = (assets.FOLDER / "dashboard.js").read_text()
    constants = re.findall(r"^const (?:EVERY|REST|LONGEST_REST) = \d+;", script, re.MULTILINE)
    [rest] = re.findall(r"^function rest\(.*?^}", script, re.MULTILINE | re.DOTALL)
    page = await chromium.new_page()
    try:
        asked = f"() => {{ {' '.join(constants)} {rest}; return rest({took}, {failed}) }}"
        assert await page.evaluate(asked) == rests
    finally:
        await page.close()
