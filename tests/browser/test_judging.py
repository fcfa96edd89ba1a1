"""What the tests of pages call hard to read or use, and what they let pass."""

import pytest
from playwright.async_api import Browser

from browsing import visiting
from judging import faults

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

PAGE = "<!doctype html><html lang=en><title>page</title><style>{style}</style><main>{body}</main>"


@pytest.mark.parametrize(
    ("style", "body", "fault"),
    [
        ("p { color: #777 }", "<p>grey", "contrast 4.48: <p>"),
        ("p { color: oklch(60% 0 0) } main { background: white }", "<p>grey", "contrast 3."),
        ("p { opacity: .5 }", "<p>faint", "contrast 3."),
        ("main { background: #000c }", "<p>shade", "contrast 1."),
        ("a { color: #aaa }", "<a href=/>link</a>", "contrast 2.32: <a>"),
        ("input::placeholder { color: #999 }", "<input placeholder=Search>", "contrast 2.85: <input>"),
        ("text { fill: #999 }", "<svg><text y=20>chart</text></svg>", "contrast 2.85: <text>"),
        ("", "<button><svg></svg></button>", "nameless button"),
        ("", "<a href=/><img alt=''></a>", "nameless link"),
        ("", "<input type=checkbox>", "nameless checkbox"),
        ("", "<select><option>1</select>", "nameless combobox"),
        ("p { width: 3000px }", "<p>long", "the page is 30"),
        ("", "<p id=a><p id=a>", "two elements are #a"),
    ],
)  # fmt: skip
async def test_what_is_hard_to_read_or_use_is_found(
    chromium: Browser, style: str, body: str, fault: str
) -> None:
    async with visiting(chromium, "about:blank") as visit:
        await visit.page.set_content(PAGE.format(style=style, body=body))
        assert any(one.startswith(fault) for one in await faults(visit.page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_plain_page_is_easy_to_read_and_use(chromium: Browser, scheme: str) -> None:
    style = ":root { color-scheme: light dark } h1 { color: light-dark(#777, #888); font-size: 24px } .scroll { overflow: auto } table { width: 3000px }"
    body = """
        <h1>Large</h1><p>text <a href=/>link</a></p><p hidden>unseen</p>
        <button disabled>not now</button> <button aria-label=Close>&times;</button>
        <label><input type=checkbox> choose</label> <input aria-label=Search type=search>
        <details><summary>More</summary>all</details>
        <div class=scroll tabindex=0><table><tr><td>wide</table></div>"""
    async with visiting(chromium, "about:blank", scheme=scheme) as visit:  # type: ignore[arg-type]
        await visit.page.set_content(PAGE.format(style=style, body=body))
        assert await faults(visit.page) == []
