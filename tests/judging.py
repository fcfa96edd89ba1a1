"""What is wrong with a page for those who read and use it: contrast, names, width."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

LOOK = Path(__file__).with_name("judging.js").read_text("utf-8")

# Roles that Chromium gives to what can be used; each must be called something.
CONTROLS = {
    "button", "checkbox", "combobox", "link", "listbox", "menuitem", "progressbar", "radio", "searchbox", "slider",
    "spinbutton", "switch", "tab", "textbox", "DisclosureTriangle",
}  # fmt: skip


async def faults(page: Page) -> list[str]:
    """Text that is hard to read, controls without a name, a page wider than its window; empty where all is well."""
    seen: list[str] = await page.evaluate(LOOK)
    return seen + await nameless(page)


async def nameless(page: Page) -> list[str]:
    """Controls that a screen reader could not call anything, by the browser's own reckoning."""
    session = await page.context.new_cdp_session(page)
    try:
        tree = await session.send("Accessibility.getFullAXTree")
    finally:
        await session.detach()
    return [f"nameless {_said(node, 'role')}" for node in tree["nodes"] if _is_nameless(node)]


def _is_nameless(node: dict[str, Any]) -> bool:
    return (
        not node["ignored"] and _said(node, "role") in CONTROLS and not _said(node, "name").strip()
    )


def _said(node: dict[str, Any], what: str) -> str:
    return str(node.get(what, {}).get("value", ""))
