"""Take the pictures of docs/img: the starter with real work behind it, as a browser shows it.

    python deploy/screenshots.py

Web, worker and cron run on a Postgres of their own, with the jobs of deploy/shop.py beside the starter's. A picture is written anew only where it has
visibly changed, so that ids and ages, which differ from run to run, do not churn it.
"""

import asyncio
import base64
import shutil
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browsing import Scheme, visiting  # noqa: E402
from pillars import embedded  # noqa: E402
from pillars.store import migrate  # noqa: E402
from pillars.store.pool import Address  # noqa: E402
from process.pillar import app, told  # noqa: E402
from support import ask, asking, tell, until  # noqa: E402

PICTURES = ROOT / "docs" / "img"
WIDTH = 1280  # CSS pixels
SCALE = 1.5
LARGEST = 300_000  # bytes of a picture
CHANGED = 0.03  # the part of all pixels that must differ; ids and ages are less

QUEUES = "default:20,mail:10,reports:2,exports:1"
WORK = """
select pillars.enqueue('jobs.shop.send_receipt', jsonb_build_object('order_id', 4200 + n, 'to', format('%s@example.com', (array['ada', 'alan', 'grace', 'edsger', 'barbara'])[1 + n % 5])))
from generate_series(1, 180) n;
select pillars.enqueue('jobs.shop.charge', jsonb_build_object('order_id', 4200 + n * 31, 'cents', 1999 * n)) from generate_series(1, 3) n;
select pillars.enqueue('jobs.shop.sync_stock', jsonb_build_object('warehouse', name)) from unnest(array['Rotterdam', 'Gdynia']) name;
select pillars.enqueue('jobs.shop.build_report', jsonb_build_object('month', format('2026-%s', to_char(n, 'FM00')))) from generate_series(6, 10) n;
select pillars.enqueue('jobs.shop.send_receipt', '{"order_id": 4391, "to": "kim@example.com"}', run_at => now() + n * interval '3 hours') from generate_series(1, 4) n;
select pillars.enqueue('jobs.shop.send_receipt', '{"order_id": 4217, "to": "nobody@shop.invalid"}', context => 'after the payment of order 4217');
"""
SETTLED = """
select count(*) filter (where state = 'failed') = 4 and count(*) filter (where state = 'running') = 2
    and count(*) filter (where state = 'ready') = 3 and count(*) filter (where state = 'scheduled') >= 6
from pillars.all_jobs
"""
TICKED = "select count(*) >= 2 from pillars.ticks"
ROWS = 600_000
GIANT = """
insert into uploads (name, state, finished_at, bytes, parsed_bytes, row_count, kind, encoding, columns)
values ('customers.csv', 'done', now(), 41200000, 41200000, $1, 'csv', 'utf-8', array['id', 'name', 'note']) returning upload_id
"""
FILL = """
insert into upload_rows (upload_id, number, cells)
select $1, n, array[n::text, 'customer ' || n, 'paid in ' || (array['March', 'April', 'May'])[1 + n % 3]] from generate_series(1, $2::bigint) n
"""
SO_FAR = "select row_count > $1 from exports order by 1 desc limit 1"
EXPORT = "select job_id from exports"
FAILED = "select job_id from pillars.finished_jobs where state = 'failed' and name = 'jobs.shop.charge' order by job_id desc limit 1"

# What a picture is worth comparing by: the browser decodes both, and counts the pixels that differ by more than a shade.
DIFFERENCE = """
async ([one, other]) => {
  const pixels = async (png) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const brush = new OffscreenCanvas(image.width, image.height).getContext("2d");
    brush.drawImage(image, 0, 0);
    return [image.width, image.height, brush.getImageData(0, 0, image.width, image.height).data];
  };
  const [[width, height, left], [wide, high, right]] = [await pixels(one), await pixels(other)];
  if (width !== wide || height !== high) return 1;
  let differing = 0;
  for (let i = 0; i < left.length; i += 4)
    if (Math.abs(left[i] - right[i]) + Math.abs(left[i + 1] - right[i + 1]) + Math.abs(left[i + 2] - right[i + 2]) > 24) differing += 1;
  return differing / (width * height);
}
"""


async def main() -> None:
    """Run everything, take the pictures, end everything."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        folder.chmod(0o711)
        cluster = embedded.cluster(folder, settings=embedded.TEST_SETTINGS, idle=timedelta(0))
        stack.callback(embedded.stop, cluster)
        url = stack.enter_context(embedded.start(cluster)).url
        migrations = [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")]
        await migrate.migrate(Address(url), migrations)
        address = await started(stack, folder, url)
        page = await worked(url, address)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
            await taken(browser, address, page, await ask(url, FAILED))
            await taken_live(browser, address, url)
            await browser.close()


async def started(stack: ExitStack, folder: Path, url: str) -> str:
    """The starter with a shop beside it, as real processes; the address of its web."""
    project = folder / "project"
    for name in ("jobs", "crons", "page"):
        shutil.copytree(ROOT / name, project / name)
    shutil.copy(ROOT / "pyproject.toml", project)
    shutil.copy(ROOT / "deploy" / "shop.py", project / "jobs")
    (project / "crons" / "shop.py").write_text("from jobs.shop import rates, stock\n")
    environ = {"HOST": "127.0.0.1", "PORT": "0", "PILLARS_ENV": "dev", "GIT_COMMIT_SHA": "4f2c9e1"}
    web, *others = [
        stack.enter_context(app(folder, url, *words, project=project, **environ))
        for words in (("web",), ("worker", "-q", QUEUES), ("cron",))
    ]
    for one in (web, *others):
        await one.ready()
    return str(told(web, "web.ready")[0]["url"])


async def worked(url: str, address: str) -> str:
    """Upload files and enqueue the shop's jobs, until all of it stands still; the path of one upload."""
    async with httpx2.AsyncClient(base_url=address) as client:
        paths = [await sent(client, *file) for file in files()]
    await until(lambda: ask(url, "select bool_and(finished_at is not null) from uploads"))
    async with asking(url) as connection:
        await connection.execute(WORK)
    await until(lambda: ask(url, SETTLED))
    await until(lambda: ask(url, TICKED), within=60)
    return paths[0]


def files() -> list[tuple[str, bytes]]:
    """A table, a log, and one that cannot be read."""
    cities = ("Lisbon", "Gdynia", "Turin", "Malmö")
    rows = (
        f"{4000 + n},{cities[n % 7 % 4]},{n % 90}.50,2026-10-{n % 28 + 1:02}\n"
        for n in range(12_000)
    )
    lines = (f"2026-11-21 {n // 60 % 24:02}:{n % 60:02}:00 {'ERROR' if n % 40 == 7 else 'INFO'} GET /orders/{n} {200 + n % 3}\n" for n in range(3_000))  # fmt: skip
    return [
        ("orders-october.csv", ("order,city,amount,day\n" + "".join(rows)).encode()),
        ("web.log", "".join(lines).encode()),
        ("invoice.pdf", b"%PDF-1.7"),
    ]


async def sent(client: httpx2.AsyncClient, name: str, content: bytes) -> str:
    answer = await client.post("/uploads", files={"file": (name, content)})
    return str(answer.headers["location"])


async def taken(browser: Browser, address: str, upload: str, failed: object) -> None:
    """Each page as it stands, cut at a height that says enough."""
    pictures: list[tuple[str, str, int, Scheme]] = [
        ("overview", "/dashboard", 800, "light"),
        ("overview-dark", "/dashboard", 800, "dark"),
        ("jobs", "/dashboard/jobs?limit=12", 760, "light"),
        ("job", f"/dashboard/jobs/{failed}", 800, "light"),
        ("page", upload, 800, "light"),
    ]
    for name, path, height, scheme in pictures:
        size = (WIDTH, height)
        async with visiting(
            browser, address, scheme=scheme, size=size, device_scale_factor=SCALE
        ) as visit:
            await visit.page.goto(path)
            await expect(visit.page.get_by_role("main")).to_be_visible()
            for opened in await visit.page.locator("details[open] summary").all():
                await opened.click()  # a traceback shows where this checkout stands
            await kept(visit.page, PICTURES / f"{name}.png", await visit.page.screenshot())


async def taken_live(browser: Browser, address: str, url: str) -> None:
    """An export under way: on the upload's page, then on the dashboard, a third and two thirds of the way."""
    upload = await ask(url, GIANT, ROWS)
    await tell(url, FILL, upload, ROWS)
    size = (WIDTH, 800)
    async with visiting(browser, address, size=size, device_scale_factor=SCALE) as visit:
        page = visit.page
        await page.goto(f"/uploads/{upload}")
        await page.get_by_role("button", name=f"Write {ROWS:,} rows as XML").click()
        await until(lambda: ask(url, SO_FAR, ROWS // 3), within=60)
        await kept(page, PICTURES / "live.png", await page.screenshot())
    async with visiting(browser, address, size=size, device_scale_factor=SCALE) as visit:
        await visit.page.goto(f"/dashboard/jobs/{await ask(url, EXPORT)}")
        await until(lambda: ask(url, SO_FAR, ROWS * 2 // 3), within=60)
        await expect(visit.page.get_by_role("progressbar")).to_be_visible()
        await kept(visit.page, PICTURES / "live-job.png", await visit.page.screenshot())


async def kept(page: Page, file: Path, picture: bytes) -> None:
    """Write a picture, unless the one that is there looks the same."""
    assert len(picture) <= LARGEST, f"{file.name} has {len(picture):,} bytes"
    differs = 1.0
    if file.exists():
        differs = await differing(page, file.read_bytes(), picture)
    if differs >= CHANGED:
        file.write_bytes(picture)
    print(
        f"{file.name}: {len(picture):,} bytes, {'written' if differs >= CHANGED else 'as it was'} ({differs:.1%} differ)"
    )


async def differing(page: Page, one: bytes, other: bytes) -> float:
    """Which part of two pictures' pixels differs."""
    await page.goto("about:blank")
    pair: list[Any] = [base64.b64encode(each).decode() for each in (one, other)]
    return float(await page.evaluate(DIFFERENCE, pair))


if __name__ == "__main__":
    asyncio.run(main())
